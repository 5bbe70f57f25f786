"""The cluster of the model as it is, whoever watches it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kube_registrar.model.records import CustomObject, Endpoint, KubeNamespace, KubeService, Node, Pod, Slice
from kube_registrar.model.refs import Uid
from kube_registrar.testing import builders
from tests.engine.harness import Key, registry_namespace
from tests.engine.model.asks import Selecting, kube_namespace

KINDS = ("Namespace", "RegistryNamespace", "RegistryService", "Node", "Service", "EndpointSlice", "Pod")
"""In the order in which they are listed."""
NAMES = ("web-0", "web-1", "web-2", "web-3", "api-0", "api-1", "job-0")
ADDRESSES = [f"10.0.0.{number}" for number in range(1, 10)]
NODES = ("node-1", "node-2")


@dataclass(slots=True)
class Truth:
    """Every object by its Kubernetes namespace and name, by kind."""

    pods: dict[Key, Pod] = field(default_factory=dict)
    services: dict[Key, KubeService] = field(default_factory=dict)
    slices: dict[Key, Slice] = field(default_factory=dict)
    registry_services: dict[Key, CustomObject] = field(default_factory=dict)
    registry_namespaces: dict[Key, CustomObject] = field(default_factory=dict)
    namespaces: dict[Key, KubeNamespace] = field(default_factory=dict)
    nodes: dict[Key, Node] = field(default_factory=dict)
    uids: int = 0

    def __post_init__(self) -> None:
        self.namespaces["", "default"] = kube_namespace({})
        declared = registry_namespace()
        self.registry_namespaces["", declared.name] = declared
        for name in NODES:
            self.nodes["", name] = Node(name, Uid(f"uid-{name}"))

    def of(self, kind: str) -> Mapping[Key, Any]:
        """Return all objects of a kind."""
        kinds: Mapping[str, Mapping[Key, Any]] = {
            "Namespace": self.namespaces,
            "RegistryNamespace": self.registry_namespaces,
            "RegistryService": self.registry_services,
            "Node": self.nodes,
            "Service": self.services,
            "EndpointSlice": self.slices,
            "Pod": self.pods,
        }
        return kinds[kind]

    def new_uid(self) -> Uid:
        """Return one that nobody had."""
        self.uids += 1
        return Uid(f"uid-{self.uids}")

    def pod(self, name: str) -> Pod | None:
        """Return a pod."""
        return self.pods.get(("default", name))

    def free_address(self, name: str, number: int) -> str:
        """Return an address that no other pod has that runs; one that was just left is given out again at once."""
        others = [pod for pod in self.pods.values() if pod.name != name and not pod.is_terminal]
        free = [ip for ip in ADDRESSES if not any(ip in pod.ips for pod in others)]
        return free[number % len(free)]

    def make_pod(self, name: str, number: int, **fields: Any) -> None:
        """Make a pod, or another one under its name."""
        app = name.partition("-")[0]
        defaults = {"uid": self.new_uid(), "ips": (self.free_address(name, number),), "labels": {"app": app}}
        self.pods["default", name] = builders.pod(name, **(defaults | fields))

    def select(self, selecting: Selecting | None, name: str) -> None:
        """Make, change or delete a RegistryService."""
        key = ("default", name)
        if selecting is None:
            self.registry_services.pop(key, None)
            return
        before = self.registry_services.get(key)
        self.registry_services[key] = selecting.object(before.uid if before else self.new_uid())

    def endpoints_follow(self, name: str, *, shared: bool) -> None:
        """Let the slices of a Service become what its endpoints are: one for all pods, or one for each."""
        for key in [key for key, found in self.slices.items() if found.service == name]:
            del self.slices[key]
        service = self.services.get(("default", name))
        if service is None:
            return
        pods = [pod for pod in self.pods.values() if service.selector.items() <= pod.labels.items()]
        pods = [pod for pod in pods if not pod.is_terminal]
        for number, part in enumerate([pods] if shared else [[pod] for pod in pods]):
            self._put_slice(name, number, part)

    def _put_slice(self, service: str, number: int, pods: list[Pod]) -> None:
        name = f"{service}-{number}"
        endpoints = tuple(self._endpoints(pods))
        self.slices["default", name] = Slice("default", name, Uid(f"uid-{name}"), service, endpoints, (("http", 8080),))

    @staticmethod
    def _endpoints(pods: list[Pod]) -> Iterator[Endpoint]:
        for pod in pods:
            is_ready = pod.ready and not pod.terminating
            yield Endpoint(
                pod.ips, ready=is_ready, serving=pod.ready, terminating=pod.terminating, pod=pod.name, pod_uid=pod.uid
            )
