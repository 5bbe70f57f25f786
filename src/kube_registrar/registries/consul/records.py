"""What is declared of registry namespaces and services, as JSON in Consul's key-value store.

`epoch` counts what must end the validity of writes that are still under way: a transaction names the index at which
it read the record, so writing the record once more keeps every earlier transaction from being made. `removing` says
that somebody is about to remove it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.consul.names import last_of
from kube_registrar.registries.port import Found

JsonObject = Mapping[str, Any]


class NamespaceRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A registry namespace."""

    id: str
    created_by: str
    description: str = ""
    tags: dict[str, str] = {}
    removing: bool = False
    epoch: int = 0

    def found(self, ref: NamespaceRef) -> Found:
        """Return it in the words of the port."""
        spec = NamespaceSpec(ref, NamespaceType.HTTP, self.description, tags=dict(self.tags))
        return Found(spec, self.id, created_by=self.created_by)


class ServiceRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A registry service; `name` is its name in Consul's catalog."""

    id: str
    created_by: str
    name: str
    description: str = ""
    custom_health: bool = False
    tags: dict[str, str] = {}
    removing: bool = False
    epoch: int = 0

    def found(self, ref: ServiceRef) -> Found:
        """Return it in the words of the port."""
        health = HealthCheckType.CUSTOM if self.custom_health else HealthCheckType.NONE
        spec = ServiceSpec(ref, self.description, health_check=health, tags=dict(self.tags))
        return Found(spec, self.id, created_by=self.created_by)


class Claim(msgspec.Struct, frozen=True, rename="camel"):
    """Whose a name of Consul's catalog is."""

    namespace: str
    service: str


Record = TypeVar("Record", NamespaceRecord, ServiceRecord, Claim)


@dataclass(frozen=True, slots=True)
class Stored(Generic[Record]):
    """A record, and the index at which it was last written."""

    key: str
    record: Record
    index: int

    def namespace_ref(self, registry: RegistryName) -> NamespaceRef:
        """Return the registry namespace that the key names."""
        return NamespaceRef(registry, last_of(self.key))

    def service_ref(self, namespace: NamespaceRef) -> ServiceRef:
        """Return the registry service that the key names."""
        return ServiceRef(namespace, last_of(self.key))


def stored(json: JsonObject, kind: type[Record]) -> Stored[Record]:
    """Return what a key holds. ValueError if it is no record of that kind."""
    value = base64.b64decode(json.get("Value") or "")
    try:
        return Stored(json["Key"], msgspec.json.decode(value, type=kind), json["ModifyIndex"])
    except msgspec.DecodeError as error:
        raise ValueError(f"the key {json['Key']!r} holds no record of kube-registrar ({error})") from None


# Operations of a transaction.


def put(key: str, record: NamespaceRecord | ServiceRecord | Claim, index: int) -> JsonObject:
    """Write a record if the key was last written at `index`; 0: if there is no such key."""
    value = base64.b64encode(msgspec.json.encode(record)).decode()
    return {"KV": {"Verb": "cas", "Key": key, "Value": value, "Index": index}}


def drop(key: str, index: int) -> JsonObject:
    """Remove a key if it was last written at `index`."""
    return {"KV": {"Verb": "delete-cas", "Key": key, "Index": index}}


def unchanged(key: str, index: int) -> JsonObject:
    """Let all fail unless the key was last written at `index`."""
    return {"KV": {"Verb": "check-index", "Key": key, "Index": index}}
