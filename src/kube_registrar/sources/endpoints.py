"""The Services that some source asks for, with the endpoints of all their slices: looked up by Service and by pod.

A Service has any number of EndpointSlices: an endpoint that one of them lacks may be in another, so what counts is the
union, and a slice that goes takes only its own endpoints with it.
Source: Kubernetes documentation, "EndpointSlices".
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.model.records import Endpoint, KubeService, Pod, Slice
from kube_registrar.model.refs import Uid

ServiceKey = tuple[str, str]
"""Kubernetes namespace and name of a Service."""

_NONE: Mapping[str, Slice] = {}


@dataclass(slots=True)
class EndpointIndex:
    """A live index: the engine puts in what the watches tell, sources look up."""

    services: dict[ServiceKey, KubeService] = field(default_factory=dict)
    _slices: dict[ServiceKey, dict[str, Slice]] = field(default_factory=dict)
    _owners: dict[tuple[str, str], ServiceKey] = field(default_factory=dict)
    """By a slice's namespace and name: whose it was last, for its label may have changed since."""
    _by_pod: dict[Uid, dict[tuple[ServiceKey, str], None]] = field(default_factory=dict)
    _named: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many slices name a pod, by its Kubernetes namespace and name."""
    _by_label: dict[tuple[str, str, str], dict[ServiceKey, None]] = field(default_factory=dict)
    """Services by namespace and one label of their selector: a pod has few labels, a cluster many Services."""

    def put_service(self, service: KubeService) -> KubeService | None:
        """Take in a Service; return what was known of it."""
        before = self.drop_service(service.key)
        self.services[service.key] = service
        if service.selector:
            self._by_label.setdefault(_label(service), {})[service.key] = None
        return before

    def drop_service(self, key: ServiceKey) -> KubeService | None:
        """Forget a Service, not its slices; return what was known of it."""
        before = self.services.pop(key, None)
        if before is not None and before.selector:
            keys = self._by_label.get(_label(before), {})
            keys.pop(key, None)
            if not keys:
                self._by_label.pop(_label(before), None)
        return before

    def put_slice(self, found: Slice) -> AbstractSet[Uid]:
        """Take in a slice; return the pods that it names or named."""
        touched = self.drop_slice(found.namespace, found.name)
        self._slices.setdefault(found.service_key, {})[found.name] = found
        self._owners[found.namespace, found.name] = found.service_key
        pods = _pods(found)
        self._named.update(_names(found))
        for uid in pods:
            self._by_pod.setdefault(uid, {})[found.service_key, found.name] = None
        return touched | pods

    def drop_slice(self, namespace: str, name: str) -> AbstractSet[Uid]:
        """Forget a slice; return the pods that it named."""
        owner = self._owners.pop((namespace, name), None)
        if owner is None:
            return frozenset()
        slices = self._slices[owner]
        found = slices.pop(name)
        if not slices:
            del self._slices[owner]
        pods = _pods(found)
        for key in _names(found):
            self._named[key] -= 1
            if not self._named[key]:
                del self._named[key]
        for uid in pods:
            places = self._by_pod[uid]
            places.pop((owner, name), None)
            if not places:
                del self._by_pod[uid]
        return pods

    def drop_slices_of(self, key: ServiceKey) -> None:
        """Forget all slices of a Service."""
        for name in list(self._slices.get(key, _NONE)):
            self.drop_slice(key[0], name)

    def owner_of(self, namespace: str, name: str) -> ServiceKey | None:
        """Return the Service of a slice, as far as it is known."""
        return self._owners.get((namespace, name))

    def slices_of(self, key: ServiceKey) -> Sequence[Slice]:
        """Return all slices of a Service, in the order of their names."""
        return [found for _, found in sorted(self._slices.get(key, _NONE).items())]

    def pods_of(self, key: ServiceKey) -> AbstractSet[Uid]:
        """Return the pods that the slices of a Service name."""
        return frozenset[Uid]().union(*(_pods(found) for found in self._slices.get(key, _NONE).values()))

    def pod_names_of(self, key: ServiceKey) -> AbstractSet[str]:
        """Return the names of the pods that the slices of a Service name."""
        slices = self._slices.get(key, _NONE).values()
        return frozenset(each.pod for found in slices for each in found.endpoints if each.pod)

    def names_pod(self, namespace: str, name: str) -> bool:
        """Whether any slice names this pod."""
        return (namespace, name) in self._named

    def selecting(self, pod_namespace: str, labels: Mapping[str, str]) -> Iterator[KubeService]:
        """Yield the Services whose selector matches these labels."""
        for key, value in labels.items():
            for service_key in self._by_label.get((pod_namespace, key, value), ()):
                service = self.services[service_key]
                if all(labels.get(name) == wanted for name, wanted in service.selector.items()):
                    yield service

    def holding(self, pod: Pod) -> Mapping[ServiceKey, Sequence[tuple[Slice, Endpoint]]]:
        """Return the endpoints of a pod by Service.

        A targetRef is somebody's word: it counts if it names a pod of the slice's own namespace, with its UID.
        """
        found: dict[ServiceKey, list[tuple[Slice, Endpoint]]] = {}
        for service_key, name in self._by_pod.get(pod.uid, ()):
            one = self._slices[service_key][name]
            if one.namespace == pod.namespace:
                mine = [(one, each) for each in one.endpoints if each.pod_uid == pod.uid and each.pod == pod.name]
                if mine:
                    found.setdefault(service_key, []).extend(mine)
        return found


def _pods(found: Slice) -> AbstractSet[Uid]:
    return frozenset(each.pod_uid for each in found.endpoints if each.pod_uid)


def _names(found: Slice) -> AbstractSet[tuple[str, str]]:
    return frozenset((found.namespace, each.pod) for each in found.endpoints if each.pod)


def _label(service: KubeService) -> tuple[str, str, str]:
    key, value = next(iter(sorted(service.selector.items())))
    return (service.namespace, key, value)
