"""Instances as a registry holds them, and as the cluster wants them."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from kube_registrar.model.refs import InstanceId, Origin, ServiceRef, Uid


class Health(StrEnum):
    """What a registry says of an instance; UNKNOWN where the service has no health check."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"


class HealthFilter(StrEnum):
    """Which instances a discovery returns, in Cloud Map's words."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    ALL = "ALL"
    HEALTHY_OR_ELSE_ALL = "HEALTHY_OR_ELSE_ALL"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a registry service."""

    id: InstanceId
    attributes: Mapping[str, str]
    health: Health = Health.UNKNOWN
    is_whole: bool = True
    """False where the registry shows clients, as in DNS, something else than this: registering it anew repairs that."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One wanted instance and the object that wants it."""

    service: ServiceRef
    instance: Instance
    origin: Origin
    optional: bool = False
    """Kept if it is there, and not made if it is not: of a pod that is not ready and is to be marked, not removed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the cluster wants of one registry service.

    `held` are origins that cannot be read just now (a malformed annotation, an unresolved reference):
    their instances are neither made, changed nor removed, in whatever service they are.
    """

    registrations: Mapping[InstanceId, Registration] = field(default_factory=dict)
    held: AbstractSet[Uid] = frozenset()
    settled: Callable[[Uid], AbstractSet[InstanceId]] = lambda _uid: frozenset()
    """The instances of a held origin about which all is known."""

    def holds(self, uid: Uid, instance_id: InstanceId) -> bool:
        """Whether an instance of this origin must stay as it is."""
        return uid in self.held and instance_id not in self.settled(uid)


@dataclass(frozen=True, slots=True)
class Query:
    """A discovery: `parameters` are ANDed, `optional_parameters` apply only if something matches them too."""

    service: ServiceRef
    parameters: Mapping[str, str] = field(default_factory=dict)
    optional_parameters: Mapping[str, str] = field(default_factory=dict)
    health: HealthFilter = HealthFilter.HEALTHY
    max_results: int | None = None
