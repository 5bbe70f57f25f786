"""What the cluster wants: the wish of every pod that asks for something, indexed by registry service."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.model.instances import Registration, Wanted
from kube_registrar.model.records import KubeService, Pod
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.sources.wishes import Wish

_NOTHING: Mapping[InstanceId, Registration] = {}


@dataclass(slots=True)
class WantedState:
    """Pods and Services that are asked for, their wishes, and the registrations by registry service."""

    pods: dict[Uid, Pod] = field(default_factory=dict)
    services_asking: dict[Uid, KubeService] = field(default_factory=dict)
    """Kubernetes Services: they want what stands for no pod, and what is wrong with them is told to them."""
    wishes: dict[Uid, Wish] = field(default_factory=dict)
    _held: set[Uid] = field(default_factory=set)
    _by_service: dict[ServiceRef, dict[InstanceId, Registration]] = field(default_factory=dict)

    def of(self, service: ServiceRef) -> Wanted:
        """Return what is wanted of one service: a view, to be used before the next change."""
        held = _Held(service, self._held, self.wishes)
        return Wanted(self._by_service.get(service, _NOTHING), held, self._settled)

    def _settled(self, origin: Uid) -> AbstractSet[InstanceId]:
        wish = self.wishes.get(origin)
        return wish.settled_ids if wish else frozenset()

    def registration(self, service: ServiceRef, instance_id: InstanceId) -> Registration | None:
        """Return one wanted registration, if it is wanted."""
        return self._by_service.get(service, _NOTHING).get(instance_id)

    def services(self) -> Iterable[ServiceRef]:
        """Return every service that somebody wants something of."""
        return self._by_service.keys()

    def put(self, pod: Pod, wish: Wish) -> frozenset[ServiceRef] | None:
        """Take in a pod's wish; return the services it asks or asked something of, None if the wish is the same."""
        self.pods[pod.uid] = pod
        return self._put(pod.uid, wish)

    def put_service(self, service: KubeService, wish: Wish) -> frozenset[ServiceRef] | None:
        """Take in the wish of a Service, as `put` does."""
        self.services_asking[service.uid] = service
        return self._put(service.uid, wish)

    def _put(self, origin: Uid, wish: Wish) -> frozenset[ServiceRef] | None:
        before = self.wishes.get(origin)
        if before == wish:
            return None
        touched = self._remove(before) | self._add(wish)
        self.wishes[origin] = wish
        if wish.held:
            self._held.add(origin)
        else:
            self._held.discard(origin)
        return touched

    def drop(self, origin: Uid) -> frozenset[ServiceRef]:
        """Forget a pod or Service; return the services it wanted something of."""
        self.pods.pop(origin, None)
        self.services_asking.pop(origin, None)
        self._held.discard(origin)
        return self._remove(self.wishes.pop(origin, None))

    def _add(self, wish: Wish) -> frozenset[ServiceRef]:
        for registration in wish.registrations:
            self._by_service.setdefault(registration.service, {})[registration.instance.id] = registration
        return frozenset(r.service for r in wish.registrations)

    def _remove(self, wish: Wish | None) -> frozenset[ServiceRef]:
        registrations = wish.registrations if wish else ()
        for registration in registrations:
            wanted = self._by_service.get(registration.service, {})
            wanted.pop(registration.instance.id, None)
            if not wanted:
                self._by_service.pop(registration.service, None)
        return frozenset(r.service for r in registrations)


@dataclass(frozen=True, slots=True, eq=False)
class _Held(AbstractSet[Uid]):
    """The pods that are held in one service. A plan asks for a few of them, so the whole set is never made."""

    service: ServiceRef
    held: AbstractSet[Uid]
    wishes: Mapping[Uid, Wish]

    def __contains__(self, uid: object) -> bool:
        return uid in self.held and self.wishes[Uid(str(uid))].holds(self.service)

    def __iter__(self) -> Iterator[Uid]:
        return (uid for uid in self.held if uid in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
