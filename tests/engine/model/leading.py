"""Two replicas over one cluster and one registry: leadership goes from one to the other, and back."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.engine.model.machine import Machine


class LeadRules(Machine):
    """The lease is given up, or lost without a word, or its holder is killed."""

    replicas_count = 2

    @property
    def standby(self) -> int:
        return 1 - self.replicas.index(self.leader)

    @rule(seconds=st.sampled_from([0.0, 1.0, 3.0]))
    def hand_over(self, seconds: float) -> None:
        """Stop leading, and some time later the other begins."""
        if not self.may_end():
            return
        self.run(self.leader.stand_by())
        self.pass_time(seconds)
        self._take_over()

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0]))
    def wake_up_too_late(self, seconds: float) -> None:
        """Be stopped past the end of the lease: the other leads while this one does not know it yet."""
        if not self.may_end():
            return
        old = self.leader
        old.fence.close()
        self._take_over()
        self.pass_time(seconds)
        self.run(old.stand_by())

    @rule(pauses=st.sampled_from([{}, {"Pod": 3.0}, {"Service": 1.0, "EndpointSlice": 1.0}]))
    def kill(self, pauses: dict[str, float]) -> None:
        """Kill the leader; the other takes over, and the killed one comes back as a standby."""
        if not self.may_end():
            return
        old = self.leader
        self.run(old.stop())
        self._take_over()
        self.run(old.begin(pauses, leads=False))

    def _take_over(self) -> None:
        self.leader = self.replicas[self.standby]
        self.run(self._lead())

    async def _lead(self) -> None:
        self.leader.lead()
        await self.leader.settle()
