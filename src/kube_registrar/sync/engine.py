"""The engine: what the watches tell goes in, and every registry is kept true to it.

Nothing is planned before every watched kind is synced: an empty cache is no evidence.
"""

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.identity import origin_of
from kube_registrar.model.instances import Registration
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import BarePod, CustomObject, KubeNamespace, Pod
from kube_registrar.model.refs import RegistryName, ServiceRef, Uid
from kube_registrar.planning.compare import is_true_to
from kube_registrar.planning.plan import MOVING, Plan
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sources.pods import wish_of
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.evidence import EvidenceOfPods, PodLookup
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reconcile import RegistrySync
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.wanted import WantedState

RESYNC_SECONDS = 600.0
CHECK_SECONDS = 5.0
GRACE_SECONDS = 2.0
"""A problem is told if it lasts this long: what is applied together need not arrive in order."""
UNRESOLVED = frozenset({"UnknownService", "UnknownNamespace", "UnknownRegistryService"})
"""Problems that a look at the registry may solve: somebody else may have made the service."""
_CHUNK = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """Instances of one registry service: wanted, registered as wanted, and kept though nobody wants them."""

    wanted: int
    registered: int
    held: int


class Engine:
    """All registries of one cluster."""

    def __init__(
        self,
        registries: Sequence[Registry],
        catalog: Catalog,
        lookup: PodLookup,
        reporter: Reporter,
        clock: Clock,
    ) -> None:
        self.catalog = catalog
        self.wanted = WantedState()
        self._clock = clock
        self._reporter = reporter
        self._evidence = EvidenceOfPods(self.wanted, lookup)
        cluster_uid = catalog.world.cluster_uid
        self._syncs: Mapping[RegistryName, RegistrySync] = {
            registry.name: RegistrySync(
                registry,
                cluster_uid=cluster_uid,
                wanted=self.wanted,
                evidence=self._evidence,
                reporter=reporter,
                clock=clock,
            )
            for registry in registries
        }
        for sync in self._syncs.values():
            sync.is_moving = self._is_moving
            sync.on_planned = self._planned
            sync.on_registered = self._registered
            sync.on_gone = catalog.forget
        self._movers: dict[Uid, set[ServiceRef]] = {}
        self._kept: dict[ServiceRef, int] = {}
        self._told: dict[Uid, tuple[Problem, ...]] = {}
        self._unresolved: set[Uid] = set()
        self._problems: KeyedQueue[Uid] = KeyedQueue(clock)
        self._kinds_missing = {"Pod", "Namespace", "RegistryNamespace", "RegistryService"}
        self._started = asyncio.Event()
        self._world_changed = asyncio.Event()
        catalog.on_change = self._world_changed.set

    # What the watches tell.

    def pod_applied(self, pod: Pod | BarePod) -> None:
        """Take in a pod that is there."""
        if isinstance(pod, BarePod):
            self._bare_pod_applied(pod)
        elif self._started.is_set():
            self._evidence.forget(pod.uid)
            self._wish(pod)
        else:
            self.wanted.pods[pod.uid] = pod

    def _bare_pod_applied(self, pod: BarePod) -> None:
        if pod.uid in self.wanted.pods or self._holding(pod.uid):
            self._evidence.saw_bare(pod)
            self._drop(pod.uid)

    def pod_deleted(self, pod: Pod | BarePod, *, seen: bool) -> None:
        """Take in a pod that is gone; `seen=False`: a relist lacks it, which is no evidence by itself."""
        if seen:
            self._evidence.saw_deletion(pod.uid)
        self._drop(pod.uid)

    def object_applied(self, thing: CustomObject) -> None:
        """Take in a RegistryNamespace or RegistryService."""
        self.catalog.put_object(thing)

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
        wanted = self.wanted.of(service).registrations
        sync = self._syncs.get(service.namespace.registry)
        present = sync.observed.of(service).instances if sync else {}
        registered = sum(1 for i, r in wanted.items() if i in present and is_true_to(present[i], r.instance))
        return Counts(len(wanted), registered, self._kept.get(service, 0))

    @property
    def queue_depth(self) -> int:
        """How many registry services wait for a worker."""
        return sum(len(sync.queue) for sync in self._syncs.values())

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was told has been worked off; failures waiting for their next try do not count."""
        return not self._world_changed.is_set() and all(sync.is_quiet() for sync in self._syncs.values())

    # The work.

    async def run(self) -> None:
        """Keep the registries true until cancelled."""
        await self._started.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_world(), name="world")
            tasks.create_task(self._tell_problems(), name="problems")
            for sync in self._syncs.values():
                tasks.create_task(sync.run(), name=f"registry {sync.registry.name}")
                tasks.create_task(self._follow_registry(sync), name=f"catalog of {sync.registry.name}")

    async def _follow_world(self) -> None:
        """Make every wish anew when the world changed; many changes in a row make one round."""
        while True:
            await self._world_changed.wait()
            self._world_changed.clear()
            for number, pod in enumerate(list(self.wanted.pods.values())):
                if self.wanted.pods.get(pod.uid) is pod:
                    self._wish(pod)
                if number % _CHUNK == _CHUNK - 1:
                    await asyncio.sleep(0)

    async def _follow_registry(self, sync: RegistrySync) -> None:
        """Read which namespaces and services there are: at start, on a resync, while references are unresolved."""
        failures, looks = Backoff(), Backoff()
        resync_at = 0.0
        while True:
            try:
                services = await self.catalog.refresh(sync.registry)
            except RegistryError as error:
                level = logging.DEBUG if failures.failures else logging.WARNING
                _log.log(level, "registry %s cannot be read; it is tried again: %s", sync.registry.name, error)
                await self._clock.sleep(failures.failed(getattr(error, "after", 0.0)))
                continue
            if failures.failures:
                _log.info("registry %s can be read again", sync.registry.name)
            failures.succeeded()
            is_resync = self._clock.monotonic() >= resync_at
            self._look_at(sync, services, again=is_resync)
            if is_resync:
                resync_at = self._clock.monotonic() + RESYNC_SECONDS * random.uniform(0.9, 1.1)
            await self._until_next_look(resync_at, looks)

    def _look_at(self, sync: RegistrySync, services: Iterable[ServiceRef], *, again: bool) -> None:
        """Queue services that were never read; on a resync the others too, spread over a minute."""
        for service in {*services, *sync.observed.services()}:
            state = sync.observed.of(service)
            if not state.is_listed:
                sync.queue.add(service)
            elif again:
                state.is_stale = True
                sync.queue.add_after(service, random.uniform(0.0, 60.0))

    async def _until_next_look(self, resync_at: float, looks: Backoff) -> None:
        while (rest := resync_at - self._clock.monotonic()) > 0:
            if self._unresolved:
                await self._clock.sleep(min(rest, looks.failed(at_least=1.0)))
                return
            looks.succeeded()
            await self._clock.sleep(min(rest, CHECK_SECONDS))

    async def _tell_problems(self) -> None:
        """Tell a pod's problems once they have lasted a moment, and again only when they change."""
        while True:
            async with self._problems.take() as uid:
                pod, wish = self.wanted.pods.get(uid), self.wanted.wishes.get(uid)
                if pod is not None and wish is not None and self._told.get(uid, ()) != wish.problems:
                    self._told[uid] = wish.problems
                    self._reporter.problems(pod, wish.problems)

    def _wish(self, pod: Pod) -> None:
        wish = wish_of(pod, self.catalog.world)
        touched = self.wanted.put(pod, wish)
        if touched is None:
            return
        if any(problem.reason in UNRESOLVED for problem in wish.problems):
            self._unresolved.add(pod.uid)
        else:
            self._unresolved.discard(pod.uid)
        if self._told.get(pod.uid, ()) != wish.problems:
            self._problems.add_after(pod.uid, GRACE_SECONDS)
        self._enqueue(touched | self._holding(pod.uid))

    def _drop(self, uid: Uid) -> None:
        self._told.pop(uid, None)
        self._unresolved.discard(uid)
        self._enqueue(self.wanted.drop(uid) | self._holding(uid))

    def _holding(self, uid: Uid) -> frozenset[ServiceRef]:
        return frozenset().union(*(sync.observed.holding(uid) for sync in self._syncs.values()))

    def _enqueue(self, services: Iterable[ServiceRef]) -> None:
        for service in services:
            sync = self._syncs.get(service.namespace.registry)
            if sync is not None:
                sync.queue.add(service)

    # Pods that move: what they leave waits until what they want is confirmed.

    def _is_moving(self, uid: Uid) -> bool:
        wish = self.wanted.wishes.get(uid)
        return wish is not None and not all(self._is_confirmed(r) for r in wish.registrations)

    def _is_confirmed(self, registration: Registration) -> bool:
        sync = self._syncs.get(registration.service.namespace.registry)
        if sync is None:
            return False
        current = sync.observed.of(registration.service).instances.get(registration.instance.id)
        return current is not None and is_true_to(current, registration.instance)

    def _planned(self, service: ServiceRef, made: Plan) -> None:
        self._kept[service] = len(made.kept)
        sync = self._syncs[service.namespace.registry]
        for instance_id, why in made.kept.items():
            if why == MOVING:
                uid = origin_of(sync.observed.of(service).instances[instance_id].attributes).uid
                self._movers.setdefault(uid, set()).add(service)

    def _registered(self, uid: Uid) -> None:
        self._enqueue(self._movers.pop(uid, ()))
