"""What one object asks of the registries."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from kube_registrar.model.instances import Registration
from kube_registrar.model.reasons import Problem
from kube_registrar.model.refs import InstanceId, ServiceRef


def some(services: Iterable[ServiceRef]) -> frozenset[ServiceRef]:
    """Return the set of these services: the same object for equal ones, for thousands of pods have equal ones."""
    return _shared(frozenset(services))


@lru_cache(maxsize=4096)
def _shared(services: frozenset[ServiceRef]) -> frozenset[ServiceRef]:
    return services


class LackKind(Enum):
    """In what way something that is there cannot serve."""

    NOT_READY = "not-ready"
    """It says so itself, or it ends."""
    UNREACHABLE = "unreachable"
    """Its node does not answer, so that nobody knows."""
    ADDRESS = "address"
    """A pod has its address."""
    ABSENT = "absent"
    """What would serve there is not there any more: nobody says that it is not ready."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Why something that is there is not to be registered as healthy, in a kind and in plain words."""

    kind: LackKind
    why: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What one object wants, and what is wrong with it.

    `held`: something of it cannot be read or resolved now, so instances of it that no longer seem to be wanted stay
    as they are, except in the services in `settled`: for those it is certain what is wanted, so the pod's readiness
    counts there although another of its references is wrong. `absent_because` says in plain words why a service
    that is asked for has no registration; it is empty if nothing is missing.
    """

    registrations: tuple[Registration, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: bool = False
    settled: frozenset[ServiceRef] = frozenset()
    missing_ids: frozenset[InstanceId] = frozenset()
    """The instances that are asked for and have no registration: not ready, for example."""
    unready: frozenset[ServiceRef] = frozenset()
    """Services that a pod asks for, and that only its readiness or a missing address keep it out of."""
    absent_because: str = ""
    unresolved: bool = False
    """Whether a reference names what is not in its registry, as far as is known: it is worth looking there again."""
    addresses_to_check: frozenset[str] = frozenset()
    """Addresses of endpoints without pods: whether a pod has them has to be known, and is in World.pod_addresses."""
    lacks: tuple[tuple[InstanceId, Lack], ...] = ()
    """Of what a Service publishes: what is there and cannot serve. What is not even there has no place here."""

    @property
    def settled_ids(self) -> frozenset[InstanceId]:
        """The instances that are asked for, there or not: whatever else cannot be read, readiness counts for them."""
        return self.missing_ids.union(registration.instance.id for registration in self.registrations)

    def frozen(self, why: str) -> "Wish":
        """Return the wish of an object that another one says something of which cannot be read.

        Nothing is made or changed by it, for that may be part of it; what is not ready may go.
        """
        return replace(
            self,
            registrations=(),
            held=True,
            settled=frozenset(),
            absent_because="; ".join(filter(None, [self.absent_because, why])),
        )

    def holds(self, service: ServiceRef, instance_id: InstanceId | None = None) -> bool:
        """Whether instances of this object in `service`, or this one there, must stay as they are."""
        return self.held and service not in self.settled and instance_id not in self.settled_ids
