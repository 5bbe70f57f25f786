"""What the engine hears of the cluster: one watch a kind, begun in the order in which they decide what is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kube_registrar.cluster import resources
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.watching import Limits, Watch
from kube_registrar.model.records import BarePod, KubeService, Pod, Slice
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import WatchState
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.interest import Need

AnyWatch = Watch[Any]

SLICES_A_PAGE = 50
"""A slice holds a hundred endpoints, some 30 KB."""


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
class _Others:
    """Any kind but pods: what the engine's intake has for it."""

    engine: Engine
    kind: str
    applied: Callable[[Any], None]
    gone: Callable[[Any], None]

    def deleted(self, record: object, seen: bool) -> None:  # noqa: FBT001, ARG002 - the listener's signature
        self.gone(record)

    def synced(self) -> None:
        self.engine.synced(self.kind)


@dataclass(frozen=True, slots=True)
class _Services:
    engine: Engine

    def applied(self, record: Any) -> None:
        self.engine.intake.service_applied(record)

    def deleted(self, record: Any, seen: bool) -> None:  # noqa: FBT001 - the listener's signature
        self.engine.intake.service_deleted(record, seen=seen)

    def synced(self) -> None:
        self.engine.synced("Service")


@dataclass(frozen=True, slots=True)
class Watches:
    """All watches, in tiers: what a tier tells decides what the next one keeps."""

    engine: Engine
    tiers: Sequence[Sequence[AnyWatch]]

    @property
    def all(self) -> Sequence[AnyWatch]:
        """Every watch."""
        return [watch for tier in self.tiers for watch in tier]

    async def run(self, watch: AnyWatch) -> None:
        """Run a watch of ours, once all of the tiers before it have been told in full."""
        place = next(number for number, tier in enumerate(self.tiers) if watch in tier)
        before = {one.resource.kind for tier in self.tiers[:place] for one in tier}
        await self.engine.has_heard(before)
        self.engine.interest.begins(watch.resource.kind)
        await watch.run()

    async def fetch(self, need: Need) -> None:
        """Read what a watch passed over. Raises ApiError."""
        params = {"labelSelector": need.labels, "fieldSelector": need.fields}
        for watch in self.all:
            if watch.resource.kind == need.kind:
                await watch.fetch(need.namespace, {key: value for key, value in params.items() if value})


def watches(session: Session, engine: Engine, namespaces: Sequence[str], *, nodes: bool) -> Watches:
    """Return a watch for each kind; only what some source asks for is remembered. `nodes`: whether they may be read."""
    intake, interest, vouch = engine.intake, engine.interest, engine.identity.vouch
    both = {kind: _Others(engine, kind, intake.object_applied, intake.object_deleted) for kind in resources.OURS}
    ours = [Watch(session, resource, both[kind], namespaces, vouch=vouch) for kind, resource in resources.OURS.items()]
    kube = _Others(engine, "Namespace", intake.namespace_applied, intake.namespace_deleted)
    first: list[AnyWatch] = [Watch(session, resources.NAMESPACES, kube, vouch=vouch), *ours]
    if nodes:
        of_nodes = _Others(engine, "Node", intake.node_applied, intake.node_deleted)
        first.append(Watch(session, resources.NODES, of_nodes, vouch=vouch))
    slices = _Others(engine, "EndpointSlice", intake.slice_applied, intake.slice_deleted)
    second: AnyWatch = Watch(
        session, resources.services(interest.service), _Services(engine), namespaces, keep=_is(KubeService), vouch=vouch
    )
    third: AnyWatch = Watch(
        session,
        resources.endpoint_slices(interest.slices),
        slices,
        namespaces,
        keep=_is(Slice),
        limits=Limits(page_size=SLICES_A_PAGE),
        vouch=vouch,
    )
    last: AnyWatch = Watch(session, resources.pods(interest.pod), _Pods(engine), namespaces, keep=_is(Pod), vouch=vouch)
    found = Watches(engine, (first, [second], [third], [last]))
    interest.fetch = found.fetch
    return found


def _is(kind: type) -> Callable[[object], bool]:
    return lambda record: isinstance(record, kind)


def states(watching: Sequence[AnyWatch], clock: Clock) -> Iterator[WatchState]:
    """Return what metrics show of the watches."""
    since_1970 = clock.time() - clock.monotonic()
    for watch in watching:
        counters = watch.counters
        heard = counters.last_event_monotonic
        anew = max(0, counters.watches - len(watch.reflectors))
        yield WatchState(watch.resource.kind, anew, None if heard is None else heard + since_1970)
