"""The kinds we watch: where the API server serves each, and how its JSON becomes slim records."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from kube_registrar.cluster import projection
from kube_registrar.cluster.codec import Codec
from kube_registrar.cluster.projection import Selects, nothing
from kube_registrar.model.records import (
    BarePod,
    CustomObject,
    KubeNamespace,
    KubeService,
    Node,
    Pod,
    Slice,
    Unselected,
)

R_co = TypeVar("R_co", covariant=True)

GROUP = "kube-registrar.dev"
VERSION = "v1alpha1"
FINALIZER = f"{GROUP}/registry"
"""On objects of our kinds whose deletion has to remove something from a registry."""


@dataclass(frozen=True, slots=True)
class Resource(Generic[R_co]):
    """One kind of the API. `group` is empty for the core group."""

    kind: str
    plural: str
    group: str
    version: str
    codec: Codec[R_co]
    namespaced: bool = True

    @property
    def qualified(self) -> str:
        """The name that RBAC rules and kubectl use, such as `registryservices.kube-registrar.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the path of the collection (all namespaces if `namespace` is empty), or of one object of it."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        one = f"/{quote(name, safe='')}" if name else ""
        return f"{root}{within}/{self.plural}{one}" + (f"/{subresource}" if subresource else "")


def pods(selects: Selects = nothing) -> Resource[Pod | BarePod]:
    """Pods; those that `selects` refuses, and that do not ask by themselves, become BarePods."""
    return Resource("Pod", "pods", "", "v1", projection.pods(selects))


def services(selects: Selects = nothing) -> Resource[KubeService | Unselected]:
    """Services."""
    return Resource("Service", "services", "", "v1", projection.services(selects))


def endpoint_slices(selects: Selects = nothing) -> Resource[Slice | Unselected]:
    """EndpointSlices; `selects` is asked with the name of their Service."""
    return Resource("EndpointSlice", "endpointslices", "discovery.k8s.io", "v1", projection.endpoint_slices(selects))


PODS = pods()
NODES: Resource[Node] = Resource("Node", "nodes", "", "v1", projection.NODES, namespaced=False)
NAMESPACES: Resource[KubeNamespace] = Resource(
    "Namespace", "namespaces", "", "v1", projection.NAMESPACES, namespaced=False
)
REGISTRY_NAMESPACES: Resource[CustomObject] = Resource(
    "RegistryNamespace", "registrynamespaces", GROUP, VERSION, projection.custom("RegistryNamespace"), namespaced=False
)
REGISTRY_SERVICES: Resource[CustomObject] = Resource(
    "RegistryService", "registryservices", GROUP, VERSION, projection.custom("RegistryService")
)
OURS = {resource.kind: resource for resource in (REGISTRY_NAMESPACES, REGISTRY_SERVICES)}
