"""Takes in what the watches tell of everything but pods, and says whose wishes may come out differently for it."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from kube_registrar.model.records import CustomObject, KubeNamespace, KubeService, Node, Slice, Unselected
from kube_registrar.model.refs import Uid
from kube_registrar.sources.endpoints import ServiceKey
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.interest import Interest
from kube_registrar.sync.wanted import WantedState


class Rewishes(Protocol):
    """Makes wishes anew: the engine. A change of the catalog makes all of them anew, which it hears by itself."""

    def pods_concerned(self, pods: Iterable[Uid]) -> None:
        """Something that these pods depend on has changed."""

    def service_concerned(self, key: ServiceKey) -> None:
        """Something that this Service depends on has changed, or it went."""

    def service_gone(self, uid: Uid, *, seen: bool) -> None:
        """A Service is gone, and is about to be forgotten."""

    def service_unselected(self, uid: Uid) -> None:
        """Nothing asks for a Service any more, and it is about to be forgotten."""

    def object_concerned(self, thing: CustomObject) -> None:
        """An object of our kinds has changed: something may be approved on it."""

    def services_by_node_concerned(self) -> None:
        """Something has changed that Services which publish nodes depend on."""

    def nodes_concerned(self, pods: Iterable[Uid]) -> None:
        """The node of these pods answers again, or no longer."""


class Intake:
    """Feeds the catalog."""

    def __init__(self, catalog: Catalog, wanted: WantedState, interest: Interest, rewishes: Rewishes) -> None:
        self._catalog = catalog
        self._wanted = wanted
        self._interest = interest
        self._rewishes = rewishes

    # Our kinds, and Kubernetes namespaces.

    def object_applied(self, thing: CustomObject) -> None:
        """Take in a RegistryNamespace or RegistryService."""
        if self._catalog.put_object(thing):
            self._reselected()
        self._rewishes.object_concerned(thing)

    def object_deleted(self, thing: CustomObject) -> None:
        """Take in that a RegistryNamespace or RegistryService is gone."""
        self._catalog.drop_object(thing)
        self._reselected()

    def namespace_applied(self, namespace: KubeNamespace) -> None:
        """Take in a Kubernetes namespace."""
        self._catalog.put_kube_namespace(namespace)
        self._interest.changed()

    def namespace_deleted(self, namespace: KubeNamespace) -> None:
        """Take in that a Kubernetes namespace is gone."""
        self._catalog.drop_kube_namespace(namespace)
        self._interest.changed()

    def _reselected(self) -> None:
        """Forget Services that nobody asks for any more, and look for what is selected now."""
        services = self._catalog.endpoints.services
        for service in [one for one in services.values() if not one.annotations]:
            if not self._interest.service(service.namespace, service.name, {}):
                self._rewishes.service_unselected(service.uid)
                self._forget_service(service.key)
        self._interest.changed()

    # Services and their slices.

    def service_applied(self, service: KubeService | Unselected) -> None:
        """Take in a Service."""
        endpoints = self._catalog.endpoints
        if isinstance(service, Unselected):
            self._rewishes.service_unselected(service.uid)
            self._forget_service((service.namespace, service.name))
            return
        before = endpoints.services.get(service.key)
        if before == service:
            return
        concerned = set(self._behind(service.key))
        endpoints.put_service(service)
        concerned |= set(self._behind(service.key))
        self._interest.changed()
        self._rewishes.pods_concerned(concerned)
        self._rewishes.service_concerned(service.key)

    def service_deleted(self, service: KubeService | Unselected, *, seen: bool) -> None:
        """Take in that a Service is gone; `seen=False`: a relist lacks it, which is no evidence by itself."""
        self._rewishes.service_gone(service.uid, seen=seen)
        self._forget_service((service.namespace, service.name))

    def _forget_service(self, key: ServiceKey) -> None:
        concerned = list(self._behind(key))
        if self._catalog.endpoints.drop_service(key) is not None:
            self._catalog.endpoints.drop_slices_of(key)
            self._interest.changed()
            self._rewishes.pods_concerned(concerned)
            self._rewishes.service_concerned(key)

    def _behind(self, key: ServiceKey) -> Iterator[Uid]:
        """Yield the pods that a Service concerns: those of its slices, and those that its selector matches."""
        yield from self._catalog.endpoints.pods_of(key)
        service = self._catalog.endpoints.services.get(key)
        if service is None or not service.selector:
            return
        for pod in self._wanted.pods.values():
            if pod.namespace == service.namespace and service.selector.items() <= pod.labels.items():
                yield pod.uid

    def slice_applied(self, found: Slice | Unselected) -> None:
        """Take in an EndpointSlice."""
        if isinstance(found, Unselected):
            self.slice_deleted(found)
            return
        self._slice_changed(found.service_key, self._catalog.endpoints.put_slice(found))

    def slice_deleted(self, found: Slice | Unselected) -> None:
        """Take in that an EndpointSlice is gone: its endpoints may be in others."""
        owner = self._catalog.endpoints.owner_of(found.namespace, found.name)
        if owner is not None:
            self._slice_changed(owner, self._catalog.endpoints.drop_slice(found.namespace, found.name))

    def _slice_changed(self, key: ServiceKey, pods: Iterable[Uid]) -> None:
        service = self._catalog.endpoints.services.get(key)
        if service is not None and not service.selector:
            self._interest.changed()  # pods that no selector matches are known by their slices only
        self._rewishes.pods_concerned(pods)
        self._rewishes.service_concerned(key)

    # Nodes.

    def node_applied(self, node: Node) -> None:
        """Take in a node."""
        before = self._catalog.nodes.get(node.name)
        self._catalog.put_node(node)
        self._node_changed(before, node)

    def node_deleted(self, node: Node) -> None:
        """Take in that a node is gone."""
        self._node_changed(self._catalog.drop_node(node), None)

    def _node_changed(self, before: Node | None, node: Node | None) -> None:
        known = before or node
        if before == node or known is None:
            return
        pods = [pod.uid for pod in self._wanted.pods.values() if pod.node == known.name]
        if (before and before.labels) != (node and node.labels):
            self._rewishes.pods_concerned(pods)
        if (before is None or before.reachable) != (node is None or node.reachable):
            self._rewishes.nodes_concerned(pods)
        self._rewishes.services_by_node_concerned()
