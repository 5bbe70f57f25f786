"""What pods, Services, RegistryServices and namespaces of the model may ask for, each with what it means.

The meaning stands beside the text, so that the oracle needs nothing of the code that reads annotations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kube_registrar.model.records import CustomObject, KubeNamespace, KubeService, ServicePort
from kube_registrar.model.refs import ServiceRef, Uid
from kube_registrar.testing import builders
from tests.engine.harness import FLASK, OTHER

CHECKED = builders.service_ref("test-namespace/checked")
"""The registry service with custom health checks."""
REFS = (FLASK, OTHER, CHECKED)
PORT = 8080
"""What all pods listen on, and what slices say."""

Annotations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What annotations mean. `is_read` is False where nothing of them can be acted upon; `is_clear` where something."""

    refs: tuple[ServiceRef, ...] = ()
    port: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_read: bool = True
    is_clear: bool = True
    opts_out: bool = False

    @property
    def asks(self) -> bool:
        """Whether it names registry services, however badly."""
        return bool(self.refs) or not self.is_clear


_NONSENSE = Meaning(is_read=False, is_clear=False)
_FLASK, _OTHER, _CHECKED = (str(ref.namespace.name) + "/" + ref.name for ref in REFS)

_PODS: list[tuple[Annotations, Meaning]] = [
    ({"service": _FLASK}, Meaning((FLASK,))),
    ({"service": _FLASK, "attributes": "stage=dev"}, Meaning((FLASK,), attributes={"stage": "dev"})),
    (
        {"service": _FLASK, "attributes": "stage=prod,tier=pod"},
        Meaning((FLASK,), attributes={"stage": "prod", "tier": "pod"}),
    ),
    ({"service": _FLASK, "port": "9090"}, Meaning((FLASK,), 9090)),
    ({"service": _OTHER, "port": "http"}, Meaning((OTHER,), PORT)),
    ({"service": f"{_FLASK},{_OTHER}"}, Meaning((FLASK, OTHER))),
    ({"service": _CHECKED}, Meaning((CHECKED,))),
    ({}, Meaning()),
    ({"attributes": "tier=pod"}, Meaning(attributes={"tier": "pod"})),
    ({"register": "false"}, Meaning(opts_out=True)),
    ({"service": "///"}, _NONSENSE),
    ({"service": "test-namespace/nowhere"}, Meaning(is_clear=False)),
    ({"service": _FLASK, "attributes": "stage"}, _NONSENSE),
    ({"service": f"{_FLASK},test-namespace/nowhere"}, Meaning((FLASK,), is_clear=False)),
]
_SERVICES: list[tuple[Annotations, Meaning]] = [
    ({"service": _FLASK, "attributes": "tier=service"}, Meaning((FLASK,), attributes={"tier": "service"})),
    ({"service": _FLASK}, Meaning((FLASK,))),
    ({"service": f"{_FLASK},{_OTHER}"}, Meaning((FLASK, OTHER))),
    ({"service": _CHECKED}, Meaning((CHECKED,))),
    ({}, Meaning()),
    ({"service": _FLASK, "register": "false"}, Meaning(opts_out=True)),
    ({"service": "///"}, _NONSENSE),
]
_NAMESPACES: list[tuple[Annotations, Meaning]] = [
    ({}, Meaning()),
    ({"attributes": "tier=namespace"}, Meaning(attributes={"tier": "namespace"})),
    ({"service": _OTHER, "attributes": "zone=ns"}, Meaning((OTHER,), attributes={"zone": "ns"})),
    ({"service": _FLASK}, Meaning((FLASK,))),
]

POD_ASKS = [annotations for annotations, _ in _PODS]
CLEAR_ASKS = [annotations for annotations, meaning in _PODS if meaning.refs and meaning.is_clear]
SERVICE_ASKS = [annotations for annotations, _ in _SERVICES]
NAMESPACE_ASKS = [annotations for annotations, _ in _NAMESPACES]
_MEANINGS = {frozenset(annotations.items()): meaning for annotations, meaning in (*_PODS, *_SERVICES, *_NAMESPACES)} | {
    frozenset(annotations.items()): meaning for annotations, meaning in _PODS
}


def meaning_of(annotations: Annotations) -> Meaning:
    """Return what the annotations of a pod, a Service or a namespace mean."""
    return _MEANINGS[frozenset(annotations.items())]


# Who else asks.

SERVICES = {
    name: KubeService(
        "default",
        name,
        Uid(f"uid-{name}-0"),
        selector={"app": name},
        ports=(ServicePort("http", 80),),
        cluster_ips=("10.96.0.1",),
    )
    for name in ("web", "api")
}


def kube_namespace(annotations: Annotations) -> KubeNamespace:
    """Return Kubernetes namespace `default` with these defaults."""
    return KubeNamespace("default", Uid("kube-default"), {}, annotations)


@dataclass(frozen=True, slots=True)
class Selecting:
    """A RegistryService of the model: which registry service it stands for, and what it selects."""

    name: str
    ref: ServiceRef
    app: str
    """The label that it selects; empty: it has no selector."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    marks_unhealthy: bool = False

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it asks for a pod with these labels."""
        return bool(self.app) and labels.get("app") == self.app

    def object(self, uid: Uid) -> CustomObject:
        """Return it as it is applied."""
        spec: dict[str, Any] = {"namespaceRef": {"name": "default-test-namespace"}, "name": self.ref.name}
        if self.app:
            spec["selector"] = {"matchLabels": {"app": self.app}}
        if self.attributes:
            spec["attributes"] = dict(self.attributes)
        if self.ref == CHECKED:
            spec["healthCheck"] = {"type": "Custom"}
        if self.marks_unhealthy:
            spec["notReadyPolicy"] = "MarkUnhealthy"
        return CustomObject("RegistryService", "default", self.name, uid, 1, spec)

    @classmethod
    def of(cls, thing: CustomObject) -> "Selecting":
        """Return what an object of the model was made from."""
        spec: Mapping[str, Any] = thing.spec
        app = spec.get("selector", {}).get("matchLabels", {}).get("app", "")
        marks = spec.get("notReadyPolicy") == "MarkUnhealthy"
        ref = builders.service_ref(f"test-namespace/{spec['name']}")
        return cls(thing.name, ref, app, spec.get("attributes", {}), marks)


BY_LABEL = Selecting("by-label", FLASK, "web", {"tier": "kind", "by": "label"})
MARKING = Selecting("marking", CHECKED, "api", marks_unhealthy=True)
SELECTINGS = (
    BY_LABEL,
    replace(BY_LABEL, app="api"),
    replace(BY_LABEL, app="wbe"),  # mistyped
    replace(BY_LABEL, app="", attributes={}),
    MARKING,
    replace(MARKING, app="web"),
    replace(MARKING, app="web", marks_unhealthy=False),
)
