"""The pod readiness gate `kube-registrar.dev/registered`: when it opens, and why it is closed until then.

It only ever opens. Once its condition is True nobody of ours sets it to anything else: no outage, drift, restart or
mistake may take a running pod out of Kubernetes' own Services.

| a living pod that lists the gate, its containers ready | the gate |
|---|---|
| every registration that is wanted is confirmed | opens: Registered |
| nothing is wanted, and that is certain | opens: NothingToRegister |
| what is missing is withheld by the policy of its registry | opens: Withheld; a policy must not stop a roll-out |
| something is not confirmed, held, refused, unresolved, or without an address | stays closed |
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from kube_registrar.model.attributes import CLUSTER_UID
from kube_registrar.model.identity import is_own
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import NOTHING_TO_REGISTER, REGISTERED, WITHHELD, Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import ServiceRef, Uid
from kube_registrar.planning.plan import is_met

OPEN = "True"
"""The status of the gate's condition once it is open."""
_NAMED = 5
"""As many registrations are named in a message."""


@dataclass(frozen=True, slots=True)
class Open:
    """The gate is to be opened: reason and message of its condition.

    `must_last`: it follows from what is not there, and so must have been so for a moment: what is made together is not
    told together.
    """

    reason: str
    message: str
    must_last: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The gate stays closed: why, in plain words."""

    why: str


class Asks(Protocol):
    """What a pod asks for: a `sources.wishes.Wish`."""

    @property
    def registrations(self) -> Sequence[Registration]:
        """What is wanted."""

    @property
    def held(self) -> bool:
        """Whether something of it cannot be read or resolved now."""

    @property
    def unready(self) -> AbstractSet[ServiceRef]:
        """The services that a missing address keeps it out of."""

    @property
    def absent_because(self) -> str:
        """In plain words, why something that is asked for is not wanted."""

    @property
    def unresolved(self) -> bool:
        """Whether a reference leads to nothing that its registry has."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the instance of one registration. `policy`: of its registry.

    `settled`: nothing is under way with it, nor of unknown outcome, so that what is there stays there.
    """

    current: Instance | None
    settled: bool = True
    policy: Policy = Policy.SYNC


def decide(
    pod: Pod,
    asks: Asks | None,
    look: Callable[[Registration], Seen],
    *,
    observes_all: bool = False,
) -> Open | Closed | None:
    """Say whether the gate of a pod opens now; None where nothing is to be decided: no gate, open already, or ended.

    `observes_all`: the policy of every registry is observe, so what is not there will not be made either.
    """
    if not is_waiting(pod):
        return None
    if not pod.ready:
        return Closed("its containers are not ready")
    if asks is None:
        return Closed("what it asks for has not been worked out yet")
    if asks.held and not (asks.unresolved and observes_all):
        return Closed(f"what it asks for is held: {asks.absent_because}")
    if asks.unready:
        return Closed(asks.absent_because)
    seen = [(registration, look(registration)) for registration in asks.registrations]
    missing = [(registration, known) for registration, known in seen if not _is_confirmed(registration, known)]
    waiting = [registration for registration, known in missing if not _is_withheld(registration, known)]
    if waiting:
        return Closed(f"not confirmed by the registry yet: {_listed([_named(each) for each in waiting])}")
    if asks.held:
        return Open(WITHHELD.name, f"Every registry is only observed, and {asks.absent_because}", must_last=True)
    if missing:
        return Open(WITHHELD.name, _listed([_withheld(registration, known) for registration, known in missing]))
    if not asks.registrations:
        problem = Problem.of(NOTHING_TO_REGISTER, why=asks.absent_because)
        return Open(problem.reason, problem.message, must_last=True)
    return Open(REGISTERED.name, _listed([_registered(registration) for registration in asks.registrations]))


def is_waiting(pod: Pod) -> bool:
    """Whether a pod lists the gate, lives, and waits for it to be opened."""
    return pod.gated and pod.gate != OPEN and not pod.terminating and not pod.is_terminal


def _is_confirmed(registration: Registration, known: Seen) -> bool:
    if not known.settled or not is_met(registration, known.current):
        return False
    health = registration.instance.health
    # An instance that is marked as unhealthy is not found by those who ask for healthy ones.
    return known.current is None or health is Health.UNKNOWN or known.current.health is health


def _is_withheld(registration: Registration, known: Seen) -> bool:
    """Whether only a policy keeps it from becoming as wanted; somebody else's instance under its id is no such case."""
    if known.current is None:
        return not known.policy.makes
    cluster_uid = Uid(registration.instance.attributes.get(CLUSTER_UID, ""))
    return known.settled and not known.policy.updates and is_own(known.current.attributes, cluster_uid)


def _named(registration: Registration) -> str:
    return f"{registration.instance.id} in {registration.service}"


def _registered(registration: Registration) -> str:
    return Problem.of(REGISTERED, instance=registration.instance.id, service=registration.service).message


def _withheld(registration: Registration, known: Seen) -> str:
    registry = registration.service.namespace.registry
    words = {"action": "registration", "what": _named(registration), "registry": registry, "policy": known.policy}
    return Problem.of(WITHHELD, **words).message


def _listed(texts: Sequence[str]) -> str:
    rest = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
