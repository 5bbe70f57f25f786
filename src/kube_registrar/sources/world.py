"""What sources must know beside the object that they read: what is declared, and what was found in registries."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.declared.annotations import Reading
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.specs import AllowedNamespaces, LabelSelector
from kube_registrar.declared.templates import Template
from kube_registrar.model.limits import Limits
from kube_registrar.model.records import Node
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.sources.endpoints import EndpointIndex
from kube_registrar.sources.selection import Selection


@dataclass(frozen=True, slots=True)
class DeclaredNamespace:
    """A RegistryNamespace: which registry namespace it declares, and who may use that one."""

    object_name: str
    ref: NamespaceRef
    type: NamespaceType
    allowed: AllowedNamespaces
    allows_machines: bool = False
    """Whether endpoints that stand for no pod may be registered in it."""


@dataclass(frozen=True, slots=True)
class DeclaredService:
    """A RegistryService: which registry service it stands for.

    `ref` is None while its namespaceRef names no RegistryNamespace. `ready`: instances may be registered in it, as far
    as the object goes. It is False after a conflict, but not while a registry does not answer, for a short outage must
    not hold what could go on. Whether it is there, `World.services` says. `why`: in plain words, why it is not ready.
    """

    object_name: str
    ref: ServiceRef | None
    ready: bool
    why: str = ""
    selector: LabelSelector | None = None
    """Asks for the pods of its Kubernetes namespace that it matches."""
    kube_service: str = ""
    """Asks for the endpoints of this Service of its Kubernetes namespace; empty: of none."""
    port: PortRequest | None = None
    """Of the pods that it selects, or the Service's."""
    attributes: Mapping[str, Template] = field(default_factory=dict)
    """Of whatever of its Kubernetes namespace is registered in its registry service."""
    marks_unhealthy: bool = False
    """Whether instances of pods that are not ready stay and are marked, instead of going."""
    why_unread: str = ""
    """In plain words, why its attributes are not known, so that what would have them stays as it is."""


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
    defaults: Mapping[str, Reading] = field(default_factory=dict)
    """What the annotations of Kubernetes namespaces say, of those that have any."""
    endpoints: EndpointIndex = field(default_factory=EndpointIndex)
    """The Services that somebody asks for, and their slices."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """By name; empty where nodes may not be read."""
    unreachable_nodes: AbstractSet[str] = frozenset()
    """The names of nodes that Kubernetes hears nothing of: that their pods are not ready says nothing of the pods."""
    pod_addresses: Mapping[str, str] = field(default_factory=dict)
    """Of addresses that were looked up: the Kubernetes namespace of the pod that has it, empty where none has."""

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
    marked: AbstractSet[ServiceRef] = field(init=False)
    """Registry services in which instances of pods that are not ready stay, marked as unhealthy."""
    selection: Selection = field(init=False)
    """Which declared services select a pod, and which name a Service."""
    in_service: Mapping[tuple[str, ServiceRef], Sequence[DeclaredService]] = field(init=False)
    """The declared services with attributes, known or not, by their Kubernetes namespace and what they stand for."""

    def __post_init__(self) -> None:
        """Work out once what is asked for each pod."""
        declared = self.declared_services
        in_service: dict[tuple[str, ServiceRef], list[DeclaredService]] = {}
        for (namespace, _), one in sorted(declared.items()):
            if one.ref and (one.attributes or one.why_unread):
                in_service.setdefault((namespace, one.ref), []).append(one)
        expected = frozenset(one.ref for one in declared.values() if one.ref)
        marked = frozenset(one.ref for one in declared.values() if one.ref and one.marks_unhealthy)
        for name, value in (
            ("expected", expected),
            ("marked", marked),
            ("in_service", in_service),
            ("selection", Selection.of({key: (one.selector, one.kube_service) for key, one in declared.items()})),
        ):
            object.__setattr__(self, name, value)
