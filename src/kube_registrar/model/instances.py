"""Instances as a registry holds them, and as the cluster wants them."""

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Registration:
    """One wanted instance and the object that wants it."""

    service: ServiceRef
    instance: Instance
    origin: Origin


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the cluster wants of one registry service.

    `held` are origins that cannot be read just now (a malformed annotation, an unresolved reference):
    their instances are neither made, changed nor removed, in whatever service they are.
    """

    registrations: Mapping[InstanceId, Registration] = field(default_factory=dict)
    held: AbstractSet[Uid] = frozenset()


@dataclass(frozen=True, slots=True)
class Query:
    """A discovery: `parameters` are ANDed, `optional_parameters` apply only if something matches them too."""

    service: ServiceRef
    parameters: Mapping[str, str] = field(default_factory=dict)
    optional_parameters: Mapping[str, str] = field(default_factory=dict)
    health: HealthFilter = HealthFilter.HEALTHY
    max_results: int | None = None
