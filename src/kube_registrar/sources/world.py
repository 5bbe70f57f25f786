"""What sources must know beside the object that they read: what is declared, and what was found in registries."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.declared.specs import AllowedNamespaces
from kube_registrar.model.limits import Limits
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import NamespaceSpec, NamespaceType, ServiceSpec


@dataclass(frozen=True, slots=True)
class DeclaredNamespace:
    """A RegistryNamespace: which registry namespace it declares, and who may use that one."""

    object_name: str
    ref: NamespaceRef
    type: NamespaceType
    allowed: AllowedNamespaces


@dataclass(frozen=True, slots=True)
class DeclaredService:
    """A RegistryService: which registry service it stands for.

    `ref` is None while its namespaceRef names no RegistryNamespace. `ready` says that instances may be registered in
    it: False before it is created or adopted and after a conflict, but not while a registry does not answer, for a
    short outage must not hold what could go on. `why`: in plain words, why it is not ready.
    """

    object_name: str
    ref: ServiceRef | None
    ready: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """One look at everything that a wish depends on, besides the pod.

    What was found in registries may be live mappings of the engine: they are looked up for each pod and never
    copied or kept. A World is made anew when what is declared changes.
    """

    cluster_uid: Uid
    cluster_name: str = ""
    """A name for people; empty: none is configured."""
    default_registry: RegistryName = DEFAULT_REGISTRY
    allow_undeclared: bool = False
    """Whether registry namespaces that no RegistryNamespace declares may be used by anyone: single-tenant clusters."""

    registries: Mapping[RegistryName, Limits] = field(default_factory=lambda: {DEFAULT_REGISTRY: Limits()})
    """Every configured registry."""
    declared_namespaces: Mapping[NamespaceRef, Sequence[DeclaredNamespace]] = field(default_factory=dict)
    """By what they declare. Several objects may declare the same: whom any of them allows is allowed."""
    declared_services: Mapping[tuple[str, str], DeclaredService] = field(default_factory=dict)
    """By (Kubernetes namespace, name) of the RegistryService."""
    kube_namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The labels of each Kubernetes namespace; one that is missing has not been read yet."""

    namespaces: Mapping[NamespaceRef, NamespaceSpec] = field(default_factory=dict)
    """Registry namespaces that were found."""
    services: Mapping[ServiceRef, ServiceSpec] = field(default_factory=dict)
    """Registry services that were found."""
    arns: Mapping[str, ServiceRef] = field(default_factory=dict)
    """The same services by ARN, in registries that have such."""
    listed: AbstractSet[NamespaceRef] = frozenset()
    """Registry namespaces all of whose services are in `services`: tells "not yet known" from "does not exist"."""
    listed_registries: AbstractSet[RegistryName] = frozenset()
    """Registries all of whose namespaces are in `namespaces`."""

    expected: AbstractSet[ServiceRef] = field(init=False)
    """What the declared services stand for, made or not: a reference to one that is being made is no mistake."""

    def __post_init__(self) -> None:
        """Note once what is expected, for it is asked for each pod while services are being made."""
        expected = frozenset(one.ref for one in self.declared_services.values() if one.ref)
        object.__setattr__(self, "expected", expected)
