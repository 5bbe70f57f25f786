"""The engine: what the watches tell goes in, and every registry is kept true to it.

Nothing is planned before every watched kind is synced: an empty cache is no evidence.
"""

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping, Sequence

from kube_registrar.model.instances import Instance
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import BarePod, CustomObject, KubeNamespace, Pod
from kube_registrar.model.refs import InstanceId, RegistryName, ServiceRef, Uid
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.evidence import EvidenceOfPods, PodLookup
from kube_registrar.sync.following import RegistryFollower
from kube_registrar.sync.holds import Holds
from kube_registrar.sync.progress import Counts, Progress
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reconcile import GATHER_SECONDS, RegistrySync
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.second_list import SecondLists
from kube_registrar.sync.wanted import WantedState

__all__ = ["GRACE_SECONDS", "KINDS", "Counts", "Engine"]

KINDS = frozenset({"Pod", "Namespace", "RegistryNamespace", "RegistryService"})
"""The kinds that must have been read in full before anything is done."""
GRACE_SECONDS = 2.0
"""A problem is told if it lasts this long: what is applied together need not arrive in order."""
_CHUNK = 200
_REST = 3.0
"""After a round over all pods, so many times its duration goes to everything else before the next one begins."""

_log = logging.getLogger(__name__)


class Engine:
    """All registries of one cluster."""

    def __init__(
        self,
        registries: Sequence[Registry],
        catalog: Catalog,
        lookup: PodLookup,
        reporter: Reporter,
        clock: Clock,
        *,
        policies: Mapping[RegistryName, Policy] | None = None,
        draw: random.Random | None = None,
    ) -> None:
        """`policies`: of each registry, sync where none is given. `draw`: of jitter; tests give their own."""
        self.catalog = catalog
        self.wanted = WantedState()
        self._clock = clock
        self._reporter = reporter
        self._evidence = EvidenceOfPods(
            self.wanted, lookup, clock, self._wish_of, self._answered, is_unreachable=self._is_unreachable
        )
        self._second = SecondLists(lookup, catalog.world.cluster_uid, clock, self._listed)
        self._progress = Progress(self.wanted, self._instances, self._enqueue_soon, catalog.forget)
        draw, policies = draw or random.Random(), policies or {}
        self._syncs: Mapping[RegistryName, RegistrySync] = {
            registry.name: RegistrySync(
                registry=registry,
                cluster_uid=catalog.world.cluster_uid,
                wanted=self.wanted,
                evidence=self._evidence,
                reporter=reporter,
                clock=clock,
                hears=self._progress,
                draw=draw,
                second=self._second,
                policy=policies.get(registry.name, Policy.SYNC),
                cluster_name=catalog.world.cluster_name,
                is_unsettled=self._is_unsettled,
            )
            for registry in registries
        }
        self._followers = [
            RegistryFollower(sync, catalog, clock, draw, lambda: bool(self._unresolved))
            for sync in self._syncs.values()
        ]
        brakes = {name: sync.brake for name, sync in self._syncs.items()}
        self.holds = Holds(brakes, catalog, reporter, clock)
        self._told: dict[Uid, tuple[Problem, ...]] = {}
        self._unresolved: set[Uid] = set()
        self._problems: KeyedQueue[Uid] = KeyedQueue(clock)
        self._kinds_missing = set(KINDS)
        self._started = asyncio.Event()
        self._world_changed = asyncio.Event()
        self._is_following = False
        self._is_going_round = False
        catalog.on_change = self._world_changed.set

    # What the watches tell.

    def pod_applied(self, pod: Pod | BarePod) -> None:
        """Take in a pod that is there."""
        if isinstance(pod, BarePod):
            if self._knows(pod.uid):
                self._evidence.saw_bare(pod)
                self._drop(pod.uid)
            return
        if self._started.is_set():
            self._wish(pod)
        else:
            self.wanted.pods[pod.uid] = pod

    def pod_deleted(self, pod: Pod | BarePod, *, seen: bool) -> None:
        """Take in a pod that is gone; `seen=False`: a relist lacks it, which is no evidence by itself."""
        if not self._knows(pod.uid):
            return  # most pods of a cluster: should an instance of one turn up, the API server is asked
        if seen:
            self._evidence.saw_deletion(pod.uid)
        else:
            self._evidence.forget(pod.uid)
        self._drop(pod.uid)

    def object_applied(self, thing: CustomObject) -> None:
        """Take in a RegistryNamespace or RegistryService."""
        self.catalog.put_object(thing)
        self._enqueue(self.holds.approve(thing))

    def object_deleted(self, thing: CustomObject) -> None:
        """Take in that a RegistryNamespace or RegistryService is gone."""
        self.catalog.drop_object(thing)

    def namespace_applied(self, namespace: KubeNamespace) -> None:
        """Take in a Kubernetes namespace."""
        self.catalog.put_kube_namespace(namespace)

    def namespace_deleted(self, namespace: KubeNamespace) -> None:
        """Take in that a Kubernetes namespace is gone."""
        self.catalog.drop_kube_namespace(namespace)

    def synced(self, kind: str) -> None:
        """Note that everything of a kind has been told once."""
        self._kinds_missing.discard(kind)
        if not self._kinds_missing and not self._started.is_set():
            _log.info("caches are synced: %d pods with annotations of ours", len(self.wanted.pods))
            self._started.set()
            self._world_changed.set()

    # Questions.

    @property
    def missing_kinds(self) -> frozenset[str]:
        """The kinds that have not been read in full yet; nothing is changed before there are none."""
        return frozenset(self._kinds_missing)

    def counts(self, service: ServiceRef) -> Counts:
        """Return the figures for a registry service."""
        return self._progress.counts(service)

    @property
    def queue_depth(self) -> int:
        """How many registry services wait for a worker."""
        return sum(len(sync.queue) for sync in self._syncs.values())

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was told has been worked off; failures waiting for their next try do not count."""
        is_working = (
            self._world_changed.is_set() or self._is_following or self._evidence.is_asking or self._second.is_asking
        )
        return (
            not is_working
            and all(follower.has_tried for follower in self._followers)
            and all(sync.is_quiet for sync in self._syncs.values())
        )

    # The work.

    async def run(self) -> None:
        """Keep the registries true until cancelled. Stopping deregisters nothing."""
        await self._started.wait()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_world(), name="world")
                tasks.create_task(self._tell_problems(), name="problems")
                for sync in self._syncs.values():
                    tasks.create_task(sync.run(), name=f"registry {sync.registry.name}")
                for follower, name in zip(self._followers, self._syncs, strict=True):
                    tasks.create_task(follower.run(), name=f"catalog of {name}")
        finally:
            await self._problems.close()
            await self._evidence.close()
            await self._second.close()

    async def _follow_world(self) -> None:
        """Make every wish anew when the world changed; many changes in a row make few rounds."""
        while True:
            self._is_following = False
            await self._world_changed.wait()
            self._world_changed.clear()
            self._is_following = self._is_going_round = True
            began = self._clock.monotonic()
            for number, pod in enumerate(list(self.wanted.pods.values())):
                if self.wanted.pods.get(pod.uid) is pod:
                    self._wish(pod)
                if number % _CHUNK == _CHUNK - 1:
                    await asyncio.sleep(0)
            self._is_going_round = False
            for sync in self._syncs.values():
                self._enqueue(sync.brake.waiting())
            # A hundred services that are made one after another would cost a hundred rounds over a thousand pods.
            await self._clock.sleep(_REST * (self._clock.monotonic() - began))

    async def _tell_problems(self) -> None:
        """Tell a pod's problems once they have lasted a moment, and again only when they change."""
        while True:
            async with self._problems.take() as uid:
                pod, wish = self.wanted.pods.get(uid), self.wanted.wishes.get(uid)
                if pod is not None and wish is not None and self._told.get(uid, ()) != wish.problems:
                    self._told[uid] = wish.problems
                    self._reporter.problems(pod, wish.problems)

    def _wish_of(self, pod: Pod) -> Wish:
        try:
            return wish_of(pod, self.catalog.world)
        except Exception:  # noqa: BLE001 - nothing a user writes may end the engine; the instances stay as they are
            _log.exception("%s: what it asks for cannot be worked out; this is a mistake in kube-registrar", pod.origin)
            return Wish(held=True, absent_because="what it asks for cannot be worked out")

    def _wish(self, pod: Pod) -> None:
        wish = self._wish_of(pod)
        touched = self.wanted.put(pod, wish)
        if touched is None:
            return
        if wish.unresolved:
            self._unresolved.add(pod.uid)
        else:
            self._unresolved.discard(pod.uid)
        if self._told.get(pod.uid, ()) != wish.problems:
            self._problems.add_after(pod.uid, GRACE_SECONDS)
        self._enqueue(touched | self._holding(pod.uid))

    def _drop(self, uid: Uid) -> None:
        self._told.pop(uid, None)
        self._unresolved.discard(uid)
        self._progress.forget(uid)
        self._enqueue(self.wanted.drop(uid) | self._holding(uid))

    def _is_unsettled(self) -> bool:
        return self._is_going_round or self._world_changed.is_set()

    def _is_unreachable(self, node: str) -> bool:
        found = self.catalog.world.nodes.get(node)
        return found is not None and not found.reachable

    def _listed(self, kube_namespace: str) -> None:
        for sync in self._syncs.values():
            self._enqueue_soon(sync.brake.missing(kube_namespace))

    def _answered(self, uid: Uid) -> None:
        self._enqueue_soon(self._holding(uid))

    def _knows(self, uid: Uid) -> bool:
        return uid in self.wanted.pods or bool(self._holding(uid))

    def _holding(self, uid: Uid) -> frozenset[ServiceRef]:
        return frozenset[ServiceRef]().union(*(sync.observed.holding(uid) for sync in self._syncs.values()))

    def _instances(self, service: ServiceRef) -> Mapping[InstanceId, Instance]:
        sync = self._syncs.get(service.namespace.registry)
        return sync.observed.instances(service) if sync else {}

    def _enqueue(self, services: Iterable[ServiceRef]) -> None:
        """Have services planned anew, now."""
        self._progress.outdated(services)
        for service in services:
            sync = self._syncs.get(service.namespace.registry)
            if sync is not None:
                sync.queue.add(service)

    def _enqueue_soon(self, services: Iterable[ServiceRef]) -> None:
        """Have services planned anew, with what else comes within a moment: it comes in swarms and is not urgent."""
        for service in services:
            self._syncs[service.namespace.registry].queue.add_after(service, GATHER_SECONDS)
