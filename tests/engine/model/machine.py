"""What all machines of the model have: a truth, replicas, a loop and a clock, what must hold at each step, and calm.

A machine is this and the rules of some themes, each a class of its own beside this one.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Instance
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.planning.brake import STANDING_SECONDS
from kube_registrar.runtime.fence import WRITE_SECONDS
from kube_registrar.sources.pods import wish_of
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK
from tests.engine.model.asks import REFS
from tests.engine.model.oracle import Asked, Surroundings, asked_by, is_as_asked
from tests.engine.model.replica import Replica
from tests.engine.model.truth import Truth

LONGEST_LATE = 250.0
CALM_SECONDS = 100.0
"""The longest backoff, and what comes after it; doubts are looked into no less often."""
RESYNC_SECONDS = 1_500.0
"""Two resyncs: only they find what others wrote, and what a predecessor sent may land after the first."""
TIMES = float(os.environ.get("KUBE_REGISTRAR_MODEL_TIMES", "1"))
"""So many times the usual number of histories; CONTRIBUTING.md has it."""


_LOG = logging.getLogger("kube_registrar")


class Violated(AssertionError):
    """Something that must always hold does not: what a machine is there to find."""


def histories(count: int, steps: int = 40, **changes: Any) -> settings:
    """Return settings for so many histories of so many steps."""
    return settings(
        max_examples=max(1, int(count * TIMES)),
        stateful_step_count=steps,
        deadline=None,
        derandomize="KUBE_REGISTRAR_MODEL_TIMES" not in os.environ,  # the suite must not depend on luck
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
        **changes,
    )


class Machine(RuleBasedStateMachine):
    """One cluster, one registry with three services, one replica or more."""

    replicas_count = 1

    def __init__(self) -> None:
        super().__init__()
        _LOG.setLevel(logging.CRITICAL)  # thousands of warnings that nobody reads take more time than the engine
        self.loop = asyncio.new_event_loop()
        self.truth = Truth()
        self.replicas: list[Replica] = self.run(self._made())
        self.leader = self.replicas[0]
        self.registry = self.leader.line.shared
        self.is_wild = False
        """Whether things happen that only a resync repairs."""
        self.policy = Policy.SYNC
        self.lands_at = 0.0
        """Until when a straggler may land; 0: none is on its way."""
        self.needs_resync = False
        self.slowness = 0.0
        self.is_slow = False
        """Whether single operations may be slower still."""
        self.foreign: dict[InstanceId, Mapping[str, str]] = {
            InstanceId("foreign"): {"by": "hand"},
            InstanceId("twin"): {keys.CLUSTER_UID: "another", keys.POD_UID: "uid-1"},
            InstanceId("clone"): {
                keys.CLUSTER_UID: builders.CLUSTER_UID,
                keys.CLUSTER: "before-it-was-renamed",
                keys.POD_UID: "uid-gone",
                keys.POD: "gone",
                keys.NAMESPACE: "default",
            },
        }

    async def _made(self) -> list[Replica]:
        first = Replica(self.truth)
        return [first, *(Replica(self.truth, first) for _ in range(self.replicas_count - 1))]

    @staticmethod
    async def _end() -> None:
        """End what is left: nothing, unless something is wrong that was found by then."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def do(self, deed: Callable[..., object], *args: Any, **fields: Any) -> None:
        """Do something to the cluster, have it told, and let it settle."""

        async def done() -> None:
            deed(*args, **fields)
            for replica in self.replicas:
                replica.view.follow()
            await self.leader.settle()

        self.run(done())

    def begin(self) -> None:
        """Start all replicas, over what is in the registry already."""
        self.slow_down()
        for instance_id, attributes in self.foreign.items():
            self.registry.put(FLASK, Instance(instance_id, attributes))
        for replica in self.replicas:
            self.run(replica.begin({}, leads=replica is self.leader))

    def slow_down(self) -> None:
        """Let every write take its time, so that much happens meanwhile."""
        for op in (Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH):
            self.registry.faults.delay(op, self.slowness)

    def may_end(self) -> bool:
        """Whether the leader may end now; note it if what it sent may land later than its successor looks for that."""
        is_late = self.slowness > WRITE_SECONDS or self.is_slow
        if self.lands_at or (is_late and not self.leader.engine.is_quiet):
            if not self.is_wild:
                return False
            self.needs_resync = True
        return True

    # Time.

    def pass_time(self, seconds: float) -> None:
        self.run(self.leader.advance(seconds))

    # What must hold at every step.

    @invariant()
    def nothing_was_sent_that_must_never_be(self) -> None:
        for replica in self.replicas:
            if replica.line.violations:
                raise Violated("; ".join(replica.line.violations))

    @invariant()
    def foreign_instances_are_as_they_were(self) -> None:
        if self.leader.runs:
            held = self.registry.held(FLASK)
            found = {each: dict(held[each].attributes) for each in self.foreign if each in held}
            if found != self.foreign:
                raise Violated(f"foreign instances are {found} now")

    # Quiet.

    def heal(self) -> None:
        """Let everything go well from now on."""
        self.registry.faults.heal()
        for replica in self.replicas:
            replica.view.lookup_error = None
            replica.view.hidden.clear()
            self.run(replica.view.list_anew())

    @rule()
    def calm(self) -> None:
        """Heal everything, wait, and look."""
        self.heal()
        late = LONGEST_LATE if self.lands_at else 0.0
        self.pass_time(RESYNC_SECONDS if self.needs_resync else late + CALM_SECONDS)
        for _ in range(2):
            if self._explained_holds():
                self.pass_time(STANDING_SECONDS + CALM_SECONDS)
        if self._explained_holds():
            raise Violated("something is held for ever")
        self.needs_resync, self.is_slow, self.lands_at = False, False, 0.0
        for replica in self.replicas:
            replica.line.is_tampered = False
        self.slow_down()
        if not self.leader.engine.is_quiet:
            raise Violated("the engine is not quiet")
        self.nothing_was_sent_that_must_never_be()
        self.look()

    def _explained_holds(self) -> int:
        """Return how much is held; every bit of it must be explained on the registry namespace, and offered there."""
        engine = self.leader.engine
        held = sum(len(brake.held()) for brake in engine.holds.brakes.values())
        notices = engine.holds.notices()
        if any("DuplicateCluster" in notice.conditions for notice in notices.values()):
            raise Violated("this cluster's own instances are taken for another writer's")
        said = [n.held.count for (kind, *_), n in notices.items() if kind == "RegistryNamespace" and n.held]
        if sum(said) != held:
            raise Violated(f"{held} instances are held, and {said} are explained")
        return held

    def look(self) -> None:
        """Compare what is registered with what the pods want."""
        if self.policy is Policy.OBSERVE:
            return  # nothing was ever sent, and whatever is there is there
        around = Surroundings.of(self.truth.of)
        asked = {pod.uid: (pod, asked_by(pod, around)) for pod in self.truth.pods.values()}
        for service in REFS:
            own = self._own(service)
            for pod, wishes in asked.values():
                mine = [each for each in own if each.attributes[keys.POD_UID] == pod.uid]
                self._compare(service, pod, wishes, mine)
            if self.policy is Policy.SYNC:
                left = [each.id for each in own if each.attributes[keys.POD_UID] not in asked]
                if left:
                    raise Violated(f"{left} in {service} have outlived their pods")

    def _own(self, service: ServiceRef) -> list[Instance]:
        own = self.leader.own(service)
        return [each for each in own if each.id not in self.foreign]

    def _compare(self, service: ServiceRef, pod: Pod, asked: Asked, mine: list[Instance]) -> None:
        by_port: dict[int, list[Instance]] = {}
        for each in mine:
            by_port.setdefault(int(each.attributes[keys.PORT]), []).append(each)
        where = f"{pod.name} ({pod.uid}) in {service}"
        for port, found in by_port.items():
            if len(found) > 1:
                raise Violated(f"{where}: {len(found)} instances with port {port}")
            user = asked.identities.get((service, port))
            if user is None:
                self._check_left(service, pod, asked, found[0], where)
            elif self.policy.updates and not is_as_asked(pod, (service, port), user, found[0]):
                raise Violated(f"{where}: {found[0]}, and {user} is asked for")
        missing = [port for ref, port in asked.must if ref == service and port not in by_port]
        if missing:
            raise Violated(f"{where}: no instance with port {missing}")

    def _check_left(self, service: ServiceRef, pod: Pod, asked: Asked, found: Instance, where: str) -> None:
        """See that an instance that nobody asks for is there only because it is not clear what is asked for."""
        if self.policy is not Policy.SYNC:
            return
        wish = wish_of(pod, self.leader.engine.catalog.world)
        if asked.is_clear or not wish.holds(service, found.id):
            raise Violated(f"{where}: {found.id} is left, and nobody asks for it")

    def teardown(self) -> None:
        try:
            if self.leader.runs:
                self.calm()
        finally:
            for replica in self.replicas:
                self.run(replica.stop())
            self.run(self._end())
            self.loop.close()
            _LOG.setLevel(logging.NOTSET)
