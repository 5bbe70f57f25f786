"""What stands under our prefix: one JSON object a key, and how it is read as what the port speaks of."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from kube_registrar.model.errors import Retryable
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import (
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    RoutingPolicy,
    ServiceSpec,
)
from kube_registrar.registries.etcd.layout import name_in
from kube_registrar.registries.etcd.wire import Entry
from kube_registrar.registries.port import Found


class Record(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Any of them. What a newer version adds is read over."""


R = TypeVar("R", bound=Record)


class NamespaceRecord(Record, frozen=True, omit_defaults=True, rename="camel"):
    """A registry namespace."""

    id: str
    type: NamespaceType
    created_by: str = ""
    description: str = ""
    vpc_id: str = ""
    soa_ttl_seconds: int | None = None
    tags: Mapping[str, str] = {}

    def found(self, ref: NamespaceRef) -> Found:
        """Return it as the port does."""
        spec = NamespaceSpec(ref, self.type, self.description, self.vpc_id, self.soa_ttl_seconds, dict(self.tags))
        return Found(spec, self.id, created_by=self.created_by or None)


class ServiceRecord(Record, frozen=True, omit_defaults=True, rename="camel"):
    """A registry service. `unpublished`: its settings changed, and what CoreDNS reads does not yet follow them all."""

    id: str
    created_by: str = ""
    description: str = ""
    records: Sequence[tuple[RecordType, int]] | None = None
    """Type and time to live of each; None: found by API only."""
    routing: RoutingPolicy = RoutingPolicy.MULTIVALUE
    health_check: HealthCheckType = HealthCheckType.NONE
    tags: Mapping[str, str] = {}
    unpublished: bool = False

    def spec(self, ref: ServiceRef) -> ServiceSpec:
        """Return its settings."""
        dns = None
        if self.records is not None:
            dns = DnsSettings(tuple(DnsRecord(kind, ttl) for kind, ttl in self.records), self.routing)
        return ServiceSpec(ref, self.description, dns, self.health_check, tags=dict(self.tags))

    def found(self, ref: ServiceRef) -> Found:
        """Return it as the port does."""
        return Found(self.spec(ref), self.id, created_by=self.created_by or None)


class InstanceRecord(Record, frozen=True, omit_defaults=True, rename="camel"):
    """An instance. Whose it is, its attributes tell."""

    attributes: Mapping[str, str]
    health: Health = Health.UNKNOWN

    def instance(self, instance_id: InstanceId) -> Instance:
        """Return it as the port does."""
        return Instance(instance_id, dict(self.attributes), self.health)


def of_namespace(spec: NamespaceSpec, new_id: str, creator: str) -> NamespaceRecord:
    """Return the record of a namespace that is made."""
    return NamespaceRecord(
        new_id, spec.type, creator, spec.description, spec.vpc_id, spec.soa_ttl_seconds, dict(spec.tags)
    )


def of_service(spec: ServiceSpec, new_id: str, creator: str) -> ServiceRecord:
    """Return the record of a service that is made."""
    return ServiceRecord(
        new_id,
        creator,
        spec.description,
        records_of(spec),
        spec.dns.routing if spec.dns else RoutingPolicy.MULTIVALUE,
        spec.health_check,
        dict(spec.tags),
    )


def records_of(spec: ServiceSpec) -> Sequence[tuple[RecordType, int]] | None:
    """Return its DNS records as they are kept."""
    return tuple((record.type, record.ttl_seconds) for record in spec.dns.records) if spec.dns else None


def written(record: Record) -> bytes:
    """Return the value of a key."""
    return msgspec.json.encode(record)


def read(entry: Entry, kind: type[R]) -> R:
    """Read the value of a key. Raises Retryable, naming the key, where somebody wrote what cannot be read."""
    try:
        return msgspec.json.decode(entry.value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Retryable(
            f"the key {entry.key} in etcd cannot be read: {error}. Correct or delete it, with what belongs to it"
        ) from None


def instance_of(entry: Entry) -> Instance:
    """Read an instance with its id, which its key tells."""
    return read(entry, InstanceRecord).instance(InstanceId(name_in(entry.key)))


def found_namespace(entry: Entry, registry: RegistryName) -> Found:
    """Read a registry namespace with its name."""
    return read(entry, NamespaceRecord).found(NamespaceRef(registry, name_in(entry.key)))


def found_service(entry: Entry, parent: NamespaceRef) -> Found:
    """Read a registry service with its name."""
    return read(entry, ServiceRecord).found(ServiceRef(parent, name_in(entry.key)))
