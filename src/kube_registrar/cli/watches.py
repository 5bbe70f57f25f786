"""What the engine hears of the cluster: one watch a kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kube_registrar.cluster import resources
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.watching import Watch
from kube_registrar.model.records import BarePod, CustomObject, KubeNamespace, Pod
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import WatchState
from kube_registrar.sync.engine import Engine

AnyWatch = Watch[Any]


@dataclass(frozen=True, slots=True)
class _Pods:
    engine: Engine

    def applied(self, record: Pod | BarePod) -> None:
        self.engine.pod_applied(record)

    def deleted(self, record: Pod | BarePod, seen: bool) -> None:  # noqa: FBT001 - the listener's signature
        self.engine.pod_deleted(record, seen=seen)

    def synced(self) -> None:
        self.engine.synced("Pod")


@dataclass(frozen=True, slots=True)
class _Namespaces:
    engine: Engine

    def applied(self, record: KubeNamespace) -> None:
        self.engine.namespace_applied(record)

    def deleted(self, record: KubeNamespace, seen: bool) -> None:  # noqa: FBT001, ARG002 - the listener's signature
        self.engine.namespace_deleted(record)

    def synced(self) -> None:
        self.engine.synced("Namespace")


@dataclass(frozen=True, slots=True)
class _Objects:
    engine: Engine
    kind: str

    def applied(self, record: CustomObject) -> None:
        self.engine.object_applied(record)

    def deleted(self, record: CustomObject, seen: bool) -> None:  # noqa: FBT001, ARG002 - the listener's signature
        self.engine.object_deleted(record)

    def synced(self) -> None:
        self.engine.synced(self.kind)


def watches(session: Session, engine: Engine, namespaces: Sequence[str]) -> Sequence[AnyWatch]:
    """Return a watch for each kind; only pods with annotations of ours are remembered by theirs."""
    return [
        Watch(session, resources.NAMESPACES, _Namespaces(engine)),
        *(Watch(session, resource, _Objects(engine, kind), namespaces) for kind, resource in resources.OURS.items()),
        Watch(session, resources.PODS, _Pods(engine), namespaces, keep=lambda record: isinstance(record, Pod)),
    ]


def states(watching: Sequence[AnyWatch], clock: Clock) -> Iterator[WatchState]:
    """Return what metrics show of the watches."""
    since_1970 = clock.time() - clock.monotonic()
    for watch in watching:
        counters = watch.counters
        heard = counters.last_event_monotonic
        anew = max(0, counters.watches - len(watch.reflectors))
        yield WatchState(watch.resource.kind, anew, None if heard is None else heard + since_1970)
