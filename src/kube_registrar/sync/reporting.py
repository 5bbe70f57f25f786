"""Says what the engine does and finds: events on the objects concerned, log lines, metrics."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, Protocol

from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Conflict, NotLeading, RegistryError
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import (
    DELETION_HELD,
    DEREGISTERED,
    DEREGISTRATION_FAILED,
    DUPLICATE_CLUSTER,
    REGISTERED,
    REGISTRATION_FAILED,
    REGISTRY_UNAVAILABLE,
    WITHHELD,
    Problem,
    Reason,
)
from kube_registrar.model.records import CustomObject, Pod
from kube_registrar.model.refs import InstanceId, ObjectRef, Origin, RegistryName, ServiceRef
from kube_registrar.planning.evidence import UNSEEN
from kube_registrar.planning.plan import ESTRANGED_ID, FOREIGN_ID, Plan

_log = logging.getLogger(__name__)

_ACTIONS: Mapping[type[Change], str] = {Register: "register", Deregister: "deregister", SetHealth: "set_health"}
_NOUNS = {"register": "registration", "deregister": "deregistration", "set_health": "health"}
HELD_EVENTS = 20
"""Pods that get an event when deregistrations are held; how many there are is said on our own kinds."""


EventType = Literal["Normal", "Warning"]


class Recorder(Protocol):
    """Writes events; never blocks or raises."""

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        """Record an event of type Normal or Warning."""


class ChangeMetrics(Protocol):
    """The counters that the engine moves."""

    def changed(self, registry: RegistryName, action: str, result: str) -> None:
        """Count a change by what it was and how it ended."""

    def withheld(self, registry: RegistryName, action: str, policy: Policy) -> None:
        """Count a change that a policy withheld."""

    def blocked(self, registry: RegistryName, guard: str) -> None:
        """Count a deregistration or a mark that is held, by what holds it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An instance that stays: whose it is, why it is to go, or to be marked as unhealthy, and why it does not."""

    origin: Origin
    instance_id: InstanceId
    why: str
    why_held: str
    is_mark: bool = False


class Reporter:
    """One place for everything the engine says."""

    def __init__(self, recorder: Recorder, metrics: ChangeMetrics) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._unreadable: set[ServiceRef] = set()
        self._conflicts: dict[ServiceRef, frozenset[InstanceId]] = {}
        self._withheld: dict[ServiceRef, dict[InstanceId, Change]] = {}
        self._held: Counter[RegistryName] = Counter()
        self._unseen: set[ServiceRef] = set()

    def problems(self, ref: ObjectRef, problems: tuple[Problem, ...]) -> None:
        """Tell the owner of an object what is wrong with what it asks for."""
        for problem in problems:
            _log.warning("%s: %s", ref, problem.message)
            self._recorder.record(ref, "Warning", problem.reason, problem.message)

    def gate_not_opened(self, pod: Pod, problem: Problem) -> None:
        """Tell on a pod why it is not ready although it is registered."""
        self._recorder.record(pod.ref, "Warning", problem.reason, problem.message)

    def planned(self, service: ServiceRef, made: Plan, estranged: AbstractSet[InstanceId] = frozenset()) -> None:
        """Say what a plan could not do; once, for the same is planned again and again.

        `estranged`: instances with this cluster's UID and another name, which look foreign.
        """
        if made.changes or made.kept:
            _log.debug("%s: %d changes, %d kept", service, len(made.changes), len(made.kept))
        self._say_unseen(service, made)
        told = self._conflicts.pop(service, frozenset())
        if made.conflicts:
            self._conflicts[service] = frozenset(registration.instance.id for registration in made.conflicts)
        for registration in made.conflicts:
            if registration.instance.id in told:
                continue
            instance_id = registration.instance.id
            why = ESTRANGED_ID if instance_id in estranged else FOREIGN_ID
            self._failed(REGISTRATION_FAILED, registration.origin, instance_id, service, why)

    def _say_unseen(self, service: ServiceRef, made: Plan) -> None:
        """Say once that pods live which no watch and no list tells of: something between us and them is wrong."""
        first = next((each for each, why in made.kept.items() if why == UNSEEN.why), None)
        if first is None:
            self._unseen.discard(service)
        elif service not in self._unseen:
            self._unseen.add(service)
            _log.warning("%s: %s and perhaps others stay, for %s", service, first, UNSEEN.why)

    def withheld(self, service: ServiceRef, made: Plan, policy: Policy) -> None:
        """Say and count what a policy withholds from a plan; once, for the same is planned again and again."""
        told = self._withheld.pop(service, {})
        # What is kept now is told no second time either: it is withheld again once its evidence is there again.
        still = {each: change for each, change in told.items() if each in made.kept}
        for change in made.withheld:
            if not _is_same(told.get(change.instance_id), change):
                registry, action = service.namespace.registry, _ACTIONS[type(change)]
                self._metrics.withheld(registry, action, policy)
                what = f"{change.instance_id} in {service}"
                words = {"action": _NOUNS[action], "what": what, "registry": registry, "policy": policy}
                self._say("Normal", change.origin, Problem.of(WITHHELD, **words))
            still[change.instance_id] = change
        if still:
            self._withheld[service] = still

    def blocked(self, registry: RegistryName, guard: str) -> None:
        """Count a deregistration that is held."""
        self._metrics.blocked(registry, guard)

    def held(self, service: ServiceRef, told: Sequence[Hold], *, is_first: bool) -> None:
        """Say that deregistrations, or marks as unhealthy, are held.

        `is_first`: nothing was held in this registry before. The log has one line then, and few pods get an event.
        """
        registry = service.namespace.registry
        if is_first:
            self._held[registry] = 0
            _log.warning("%s, in %s and perhaps others: %s", told[0].origin, service, told[0].why_held)
        for each in told:
            self._held[registry] += 1
            if self._held[registry] <= HELD_EVENTS:
                stays = "stays HEALTHY" if each.is_mark else "stays"
                words = {"instance": each.instance_id, "stays": stays, "service": service}
                problem = Problem.of(DELETION_HELD, **words, why=each.why, held=each.why_held)
                self._record(each.origin, "Warning", problem)

    def released(self, service: ServiceRef, instance_id: InstanceId, why: str) -> None:
        """Note that an instance is held no longer."""
        _log.info("%s in %s was held, and %s", instance_id, service, why)

    def duplicate(self, registry: RegistryName, why: str) -> None:
        """Say that another writer has our identity."""
        _log.error("registry %s: %s", registry, Problem.of(DUPLICATE_CLUSTER, why=why).message)

    def about(self, thing: CustomObject, type_: EventType, problem: Problem) -> None:
        """Say something of an object of our kinds."""
        level = logging.WARNING if type_ == "Warning" else logging.INFO
        ref = thing.ref
        _log.log(level, "%s: %s", ref, problem.message)
        self._recorder.record(ref, type_, problem.reason, problem.message)

    def outcome(self, service: ServiceRef, outcome: Outcome) -> None:
        """Tell what became of a change."""
        change = outcome.change
        self._count(service, outcome)
        if isinstance(outcome.error, NotLeading):
            _log.debug("%s: %s", change.origin, outcome.error)  # whoever leads now does it, and tells
        elif outcome.error is not None:
            reason = DEREGISTRATION_FAILED if isinstance(change, Deregister) else REGISTRATION_FAILED
            self._failed(reason, change.origin, change.instance_id, service, str(outcome.error))
        elif isinstance(change, Deregister):
            problem = Problem.of(DEREGISTERED, instance=change.instance_id, service=service, why=change.why)
            self._say("Normal", change.origin, problem)
        elif isinstance(change, Register):
            self._say("Normal", change.origin, Problem.of(REGISTERED, instance=change.instance_id, service=service))

    def unclear(self, service: ServiceRef, outcome: Outcome) -> None:
        """Note a change of unknown outcome, or one that somebody else forestalled.

        It is no event yet: most are made, and a look is about to tell.
        """
        self._count(service, outcome)
        what = f"{type(outcome.change).__name__.lower()} of {outcome.change.instance_id} in {service}"
        happened = "was forestalled" if isinstance(outcome.error, Conflict) else "has an unknown outcome"
        _log.info("%s: the %s %s, and it is looked at: %s", outcome.change.origin, what, happened, outcome.error)

    def unavailable(self, origin: Origin, registry: RegistryName, error: str) -> None:
        """Tell a pod that its registration waits for a registry; the log has one line for all of them."""
        problem = Problem.of(REGISTRY_UNAVAILABLE, registry=registry, error=error)
        ref = ObjectRef("v1", origin.kind, origin.namespace, origin.name, origin.uid)
        self._recorder.record(ref, "Warning", problem.reason, problem.message)

    def drifted(self, service: ServiceRef, instances: int) -> None:
        """Note that somebody else changed or removed instances of ours."""
        _log.info("%s: %d instances were changed or removed, and not by us; they are repaired", service, instances)

    def _count(self, service: ServiceRef, outcome: Outcome) -> None:
        action = _ACTIONS[type(outcome.change)]
        self._metrics.changed(service.namespace.registry, action, "error" if outcome.error else "ok")

    def _failed(self, reason: Reason, origin: Origin, instance: str, service: ServiceRef, error: str) -> None:
        self._say("Warning", origin, Problem.of(reason, instance=instance, service=service, error=error))

    def _say(self, type_: EventType, origin: Origin, problem: Problem) -> None:
        level = logging.WARNING if type_ == "Warning" else logging.INFO
        _log.log(level, "%s: %s", origin, problem.message)
        self._record(origin, type_, problem)

    def _record(self, origin: Origin, type_: EventType, problem: Problem) -> None:
        ref = ObjectRef("v1", origin.kind, origin.namespace, origin.name, origin.uid)
        self._recorder.record(ref, type_, problem.reason, problem.message)

    def unreadable(self, service: ServiceRef, error: RegistryError) -> None:
        """Say once that a service cannot be read."""
        if service not in self._unreadable:
            self._unreadable.add(service)
            _log.warning("%s cannot be read, so nothing is changed in it; it is tried again: %s", service, error)

    def readable(self, service: ServiceRef) -> None:
        """Say that it can be read again."""
        if service in self._unreadable:
            self._unreadable.discard(service)
            _log.info("%s can be read again", service)


def _is_same(told: Change | None, change: Change) -> bool:
    """Whether this is what was told. Why an instance goes may be known better by now: that is no other change."""
    match change:
        case Register():
            return isinstance(told, Register) and told.instance == change.instance
        case SetHealth():
            return isinstance(told, SetHealth) and told.health is change.health
        case _:
            return isinstance(told, Deregister)
