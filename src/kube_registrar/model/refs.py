"""Names of things: registries, registry namespaces, registry services, instances, Kubernetes objects."""

from dataclasses import dataclass
from typing import NewType

RegistryName = NewType("RegistryName", str)
"""The name of a configured registry, such as `default`."""

InstanceId = NewType("InstanceId", str)
"""The id of an instance within its registry service."""

Uid = NewType("Uid", str)
"""The UID of a Kubernetes object."""

DEFAULT_REGISTRY = RegistryName("default")


@dataclass(frozen=True, slots=True, order=True)
class NamespaceRef:
    """A registry namespace, by name: ids belong to the backend and can recur."""

    registry: RegistryName
    name: str

    def __str__(self) -> str:
        return f"{self.registry}:{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ServiceRef:
    """A registry service, by name."""

    namespace: NamespaceRef
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def registry_of(ref: NamespaceRef | ServiceRef) -> RegistryName:
    """Return the registry that a registry namespace or service is in."""
    return ref.namespace.registry if isinstance(ref, ServiceRef) else ref.registry


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """The Kubernetes object that a registration stands for, and whom its events concern."""

    kind: str
    namespace: str
    name: str
    uid: Uid

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Any Kubernetes object an event or condition is written to; `namespace` is empty for cluster-scoped ones."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: Uid

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
