"""What has been reached: figures for each registry service, and pods that wait with leaving one for another."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kube_registrar.model.changes import Outcome, Register
from kube_registrar.model.identity import origin_of
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.planning.compare import is_true_to
from kube_registrar.planning.plan import MOVING, Plan, is_met
from kube_registrar.sync.gates import Gates
from kube_registrar.sync.wanted import WantedState


@dataclass(frozen=True, slots=True)
class Counts:
    """Instances of one registry service: wanted, registered as wanted, and kept though nobody wants them.

    `orphaned`: own ones that nobody wants and that are about to go. `unhealthy`: those of the registered that the
    registry calls so. `conflict`: wanted ones whose id somebody else's instance has.
    """

    wanted: int
    registered: int
    held: int
    unhealthy: int = 0
    orphaned: int = 0
    conflict: int = 0


@dataclass(slots=True)
class Progress:
    """Hears of every plan, look and outcome.

    `instances`: what a service is known to hold. `released` is called with services in which instances waited for a
    registration elsewhere; `vanished` with one that its registry does not have.
    """

    wanted: WantedState
    instances: Callable[[ServiceRef], Mapping[InstanceId, Instance]]
    released: Callable[[Iterable[ServiceRef]], None]
    vanished: Callable[[ServiceRef], None]
    gates: Gates
    _movers: dict[Uid, set[ServiceRef]] = field(default_factory=dict)
    _kept: dict[ServiceRef, int] = field(default_factory=dict)
    _conflicts: dict[ServiceRef, int] = field(default_factory=dict)
    _counts: dict[ServiceRef, Counts] = field(default_factory=dict)

    def counts(self, service: ServiceRef) -> Counts:
        """Return the figures of a service. They are counted anew only after a change: they are asked for every 5 s."""
        if service not in self._counts:
            self._counts[service] = self._count(service)
        return self._counts[service]

    def _count(self, service: ServiceRef) -> Counts:
        wanted, present = self.wanted.of(service).registrations, self.instances(service)
        there = [present[i] for i, r in wanted.items() if i in present and is_true_to(present[i], r.instance)]
        held, conflict = self._kept.get(service, 0), self._conflicts.get(service, 0)
        # Of somebody else's instances only the id is known.
        surplus = sum(1 for i, one in present.items() if i not in wanted and origin_of(one.attributes).uid)
        unhealthy = sum(1 for instance in there if instance.health is Health.UNHEALTHY)
        asked = sum(1 for i, r in wanted.items() if not r.optional or i in present)
        return Counts(asked, len(there), held, unhealthy, max(0, surplus - held), conflict)

    def outdated(self, services: Iterable[ServiceRef]) -> None:
        """Note that something else is wanted of these services than before."""
        for service in services:
            self._counts.pop(service, None)

    def forget(self, uid: Uid) -> None:
        """Forget a pod."""
        self.gates.forget(uid)
        self._movers.pop(uid, None)

    # What the workers tell.

    def is_moving(self, origin: Uid, leaving: ServiceRef) -> bool:
        """Whether what a pod wants instead of its instance in `leaving` is not confirmed yet.

        That is what it wants in the same registry, if anything: another registry that does not answer must not keep
        instances in this one.
        """
        wish = self.wanted.wishes.get(origin)
        registrations = wish.registrations if wish else ()
        near = [r for r in registrations if r.service.namespace.registry == leaving.namespace.registry]
        return not all(self._is_confirmed(r) for r in near or registrations)

    def planned(self, service: ServiceRef, made: Plan) -> None:
        """Note what a plan keeps, and who waits."""
        wanted = self.wanted.of(service).registrations
        self._kept[service] = sum(1 for each in made.kept if each not in wanted)  # of others a mark is held
        self._conflicts[service] = len(made.conflicts)
        self._counts.pop(service, None)
        for instance_id, why in made.kept.items():
            if why == MOVING:
                uid = origin_of(self.instances(service)[instance_id].attributes).uid
                self._movers.setdefault(uid, set()).add(service)

    def looked(self, service: ServiceRef) -> None:
        """Note that a service was read: what pods wait for may be there, without an outcome that says so."""
        self._counts.pop(service, None)
        self.gates.looked(service)
        if self._movers:
            for registration in self.wanted.of(service).registrations.values():
                self._release(registration.origin.uid)

    def changed(self, service: ServiceRef, outcome: Outcome) -> None:
        """Note what became of a change."""
        self._counts.pop(service, None)
        self.gates.look(outcome.change.origin.uid)
        if outcome.error is None and isinstance(outcome.change, Register):
            self._release(outcome.change.origin.uid)

    def _release(self, uid: Uid) -> None:
        if uid in self._movers:
            self.released(self._movers.pop(uid))

    def _is_confirmed(self, registration: Registration) -> bool:
        return is_met(registration, self.instances(registration.service).get(registration.instance.id))
