"""Settings of registry namespaces and registry services, in terms every registry can be asked in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kube_registrar.model.refs import NamespaceRef, ServiceRef


class NamespaceType(StrEnum):
    """How instances of a registry namespace are found. The values are those of our CRD."""

    HTTP = "HTTP"
    DNS_PRIVATE = "DNSPrivate"
    DNS_PUBLIC = "DNSPublic"


class RecordType(StrEnum):
    """DNS record types that a registry service may publish."""

    A = "A"
    AAAA = "AAAA"
    SRV = "SRV"
    CNAME = "CNAME"


class RoutingPolicy(StrEnum):
    """How DNS answers are chosen. The values are those of our CRD."""

    MULTIVALUE = "Multivalue"
    WEIGHTED = "Weighted"


class HealthCheckType(StrEnum):
    """Who decides whether an instance is healthy. The values are those of our CRD."""

    NONE = "None"
    CUSTOM = "Custom"
    ROUTE53 = "Route53"


class CreationPolicy(StrEnum):
    """May a thing that is declared be made, and may one that exists be used?"""

    CREATE_OR_ADOPT = "CreateOrAdopt"
    CREATE = "Create"
    ADOPT = "Adopt"


class DeletionPolicy(StrEnum):
    """What happens in the registry when the object that declared a thing goes."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Setting(StrEnum):
    """What may be set of a registry namespace or service and means nothing in some registries."""

    WEIGHTED_ROUTING = "WeightedRouting"
    """The routing policy Weighted."""
    RECORD_TTLS = "RecordTTLs"
    """A time to live for each type of record, and not one for all."""
    SOA_TTL = "SOATTL"
    VPC = "VPC"
    """That names of a private namespace are resolved in its VPC alone."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record type with its time to live in seconds."""

    type: RecordType
    ttl_seconds: int = 60


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """The DNS side of a registry service."""

    records: Sequence[DnsRecord]
    routing: RoutingPolicy = RoutingPolicy.MULTIVALUE


@dataclass(frozen=True, slots=True)
class Route53Check:
    """A health check made by the registry: `type` HTTP, HTTPS or TCP; `failure_threshold` in probes, 1 to 10."""

    type: str
    resource_path: str = ""
    failure_threshold: int = 1

    def as_made(self) -> "Route53Check":
        """Return it with the path that is asked for where none is given.

        Source: HealthCheckConfig, AWS Cloud Map API reference: "the default value is /"; TCP has none.
        """
        return self if self.type == "TCP" or self.resource_path else replace(self, resource_path="/")


@dataclass(frozen=True, slots=True)
class NamespaceSpec:
    """A registry namespace. `vpc_id` belongs to DNSPrivate, `soa_ttl_seconds` to both DNS types.

    `arn`: it exists, perhaps in another account that shares it, and is meant by this rather than by its name alone.
    """

    ref: NamespaceRef
    type: NamespaceType = NamespaceType.HTTP
    description: str = ""
    vpc_id: str = ""
    soa_ttl_seconds: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A registry service. `dns` is None in HTTP namespaces and for services found by API only."""

    ref: ServiceRef
    description: str = ""
    dns: DnsSettings | None = None
    health_check: HealthCheckType = HealthCheckType.NONE
    route53: Route53Check | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def publishes_port(self) -> bool:
        """Whether an instance's port means something here: not where all records are A, AAAA or CNAME.

        Sources: ECS takes no port for a registry whose records are A only (Amazon ECS, service discovery);
        RegisterInstance requires one where Route 53 checks health (AWS Cloud Map API reference).
        """
        if self.dns is None or self.health_check is HealthCheckType.ROUTE53:
            return True
        return any(record.type is RecordType.SRV for record in self.dns.records)

    @property
    def needs_port(self) -> str:
        """What of it needs a port of every instance, after "it has …"; empty if nothing does."""
        if RecordType.SRV in self.record_types:
            return "SRV records, which need a port"
        return "a Route53 health check, which needs a port" if self.health_check is HealthCheckType.ROUTE53 else ""

    @property
    def record_types(self) -> frozenset[RecordType]:
        """The record types it publishes; empty for a service found by API only."""
        return frozenset(record.type for record in self.dns.records) if self.dns else frozenset()


def obstacle(there: NamespaceSpec | ServiceSpec, asked: NamespaceSpec | ServiceSpec) -> str:
    """Say what keeps `there` from being used as what is asked for, after "it exists and …"; empty if nothing does.

    A type and record types are fixed at creation and matter to whoever registers; all else is its owner's business.
    """
    if isinstance(there, NamespaceSpec) and isinstance(asked, NamespaceSpec):
        return "" if there.type is asked.type else f"is of type {there.type}, not {asked.type}"
    if isinstance(there, ServiceSpec) and isinstance(asked, ServiceSpec):
        same = there.record_types == asked.record_types
        return "" if same else f"has the records {_record_names(there)}, not {_record_names(asked)}"
    return "is another kind of thing"


def _record_names(spec: ServiceSpec) -> str:
    return ", ".join(sorted(spec.record_types)) or "none"
