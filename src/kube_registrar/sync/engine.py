"""The engine: what the watches tell goes in, and every registry is kept true to it while this process leads.

Nothing is planned before every watched kind is synced: an empty cache is no evidence. A process that stands by hears
the same and makes the same wishes, so that it need not begin with that when it leads.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import BarePod, CustomObject, KubeService, Pod
from kube_registrar.model.refs import ObjectRef, RegistryName, ServiceRef, Uid
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.sources.endpoints import ServiceKey
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.published import wish_of_service
from kube_registrar.sources.wishes import Wish
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.circuit import Circuit
from kube_registrar.sync.evidence import EvidenceOfPods, PodLookup
from kube_registrar.sync.guarded import Guarded
from kube_registrar.sync.hearing import KINDS, Hearing
from kube_registrar.sync.holders import Holders
from kube_registrar.sync.holds import Holds
from kube_registrar.sync.identity import Identity
from kube_registrar.sync.intake import Intake
from kube_registrar.sync.interest import Interest
from kube_registrar.sync.latency import Latency
from kube_registrar.sync.leading import Leading
from kube_registrar.sync.measuring import Stopwatch
from kube_registrar.sync.permissions import Permissions
from kube_registrar.sync.progress import Counts
from kube_registrar.sync.reconcile import RegistrySync
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.second_list import SecondLists
from kube_registrar.sync.telling import Telling
from kube_registrar.sync.terms import Terms
from kube_registrar.sync.wanted import WantedState

__all__ = ["KINDS", "Counts", "Engine"]

_GLANCE_SECONDS = 0.1
_CHUNK = 200
_REST = 3.0
"""After a round over all pods, so many times its duration goes to everything else before the next one begins."""
_LONGEST_REST_SECONDS = 30.0

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
        terms: Terms | None = None,
    ) -> None:
        """`terms`: the defaults where none are given."""
        terms = terms or Terms()
        self.catalog = catalog
        self.wanted = WantedState()
        self.interest = Interest(catalog, clock, self._all_is_read, self._tell_unread)
        self.intake = Intake(catalog, self.wanted, self.interest, self)
        """What the watches tell of all kinds but pods goes in here."""
        self._clock = clock
        self._reporter = reporter
        self.identity = Identity(lookup.cluster_uid, catalog.world.cluster_uid)
        """Tells whether our cluster answers."""
        self._evidence = EvidenceOfPods(
            self.wanted,
            lookup,
            clock,
            self._wish_of,
            self._answered,
            identity=self.identity,
            is_unreachable=lambda node: node in self.catalog.unreachable,
        )
        self._second = SecondLists(lookup, self.identity, clock, self._listed)
        ask = partial(self.identity.vouched, lookup.namespaces_of_addresses)
        self._holders = Holders(ask, clock, self.service_concerned)
        catalog.pod_addresses = self._holders.known
        self._latency = Latency(clock.monotonic, terms.measures.registered_after)
        self._guarded = {each.name: Guarded(each, Circuit(each.name, clock, terms.draw), clock) for each in registries}
        self._new_leading = partial(
            Leading,
            list(self._guarded.values()),
            catalog,
            self.wanted,
            evidence=self._evidence,
            second=self._second,
            reporter=reporter,
            clock=clock,
            terms=terms,
            is_unresolved=lambda: bool(self._unresolved),
            is_unsettled=self._is_unsettled,
            is_reading=self.interest.is_unread,
            latency=self._latency,
        )
        self._leading = self._new_leading()
        self._leads = False
        self._telling = Telling(reporter, clock)
        self._unresolved: set[Uid] = set()
        self._hearing = Hearing()
        self._world_changed = asyncio.Event()
        self._is_following = False
        self._is_going_round = False
        self._round = Stopwatch(clock)
        self._makes_rounds = False
        catalog.on_change = self._note_change

    # What the watches tell.

    def pod_applied(self, pod: Pod | BarePod) -> None:
        """Take in a pod that is there."""
        if isinstance(pod, BarePod):
            if self._knows(pod.uid):
                self._evidence.saw_bare(pod)
                self._drop(pod.uid)
            return
        if self._hearing.all.is_set():
            self._wish(pod)
        else:
            self.wanted.pods[pod.uid] = pod

    def pods_concerned(self, pods: Iterable[Uid]) -> None:
        """Make the wishes of these pods anew, as far as they are known."""
        if self._hearing.all.is_set():
            for pod in [self.wanted.pods[uid] for uid in pods if uid in self.wanted.pods]:
                self._wish(pod)

    def service_concerned(self, key: ServiceKey) -> None:
        """Make the wish of a Service anew, or forget it."""
        service = self.catalog.endpoints.services.get(key)
        for gone in [s for s in self.wanted.services_asking.values() if s.key == key and s != service]:
            if service is None or gone.uid != service.uid:
                self._holders.wants(key, ())
                self._drop(gone.uid)
        if service is not None and self._hearing.all.is_set():
            self._wish_service(service)

    def service_gone(self, uid: Uid, *, seen: bool) -> None:
        """Note how a Service went, before it is forgotten."""
        if seen:
            self._evidence.saw_deletion(uid)
        else:
            self._evidence.forget(uid)

    def service_unselected(self, uid: Uid) -> None:
        """Note that nothing asks for a Service any more, before it is forgotten."""
        if uid in self.wanted.services_asking or self._leading.holding(uid):
            self._evidence.saw_unselected(uid)

    def object_concerned(self, thing: CustomObject) -> None:
        """Let go what is approved on an object of our kinds."""
        self._leading.enqueue(self.holds.approve(thing))

    def services_by_node_concerned(self) -> None:
        """Make the wishes of Services that publish their nodes anew."""
        for service in list(self.catalog.endpoints.services.values()):
            if service.type in {"NodePort", "LoadBalancer"}:
                self.service_concerned(service.key)

    def nodes_concerned(self, pods: Iterable[Uid]) -> None:
        """Plan anew where these pods have instances: whether their node answers says why they are not ready."""
        for uid in pods:
            self._leading.enqueue_soon(self._leading.holding(uid))

    def pod_deleted(self, pod: Pod | BarePod, *, seen: bool) -> None:
        """Take in a pod that is gone; `seen=False`: a relist lacks it, which is no evidence by itself."""
        if not self._knows(pod.uid):
            return  # most pods of a cluster: should an instance of one turn up, the API server is asked
        if seen:
            self._evidence.saw_deletion(pod.uid)
        else:
            self._evidence.forget(pod.uid)
        self._drop(pod.uid)

    def synced(self, kind: str) -> None:
        """Note that everything of a kind has been told once."""
        if self._hearing.synced(kind):
            _log.info("caches are synced: %d pods are selected", len(self.wanted.pods))
            self._note_change()

    async def has_heard(self, kinds: AbstractSet[str]) -> None:
        """Return once all of these kinds have been told in full."""
        await self._hearing.of(kinds)

    # Questions.

    @property
    def missing_kinds(self) -> frozenset[str]:
        """The kinds that have not been read in full yet; nothing is changed before there are none."""
        return self._hearing.missing

    def counts(self, service: ServiceRef) -> Counts:
        """Return the figures for a registry service."""
        return self._leading.progress.counts(service)

    @property
    def holds(self) -> Holds:
        """What is held back, and what our own kinds say of it."""
        return self._leading.holds

    @property
    def queue_depth(self) -> int:
        """How many registry services wait for a worker."""
        return sum(len(sync.queue) for sync in self._syncs.values()) if self._leads else 0

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was told has been worked off; failures waiting for their next try do not count."""
        is_working = (
            self._world_changed.is_set()
            or self._is_following
            or self.interest.is_reading
            or self._evidence.is_asking
            or self._second.is_asking
        )
        return not is_working and (self._leading.is_quiet or not self._leads)

    @property
    def registries(self) -> Mapping[RegistryName, Registry]:
        """The registries, each behind its circuit: nothing else of this process should ask them anything."""
        return self._guarded

    @property
    def circuits(self) -> Mapping[RegistryName, Circuit]:
        """Whether each registry answers."""
        return {name: guarded.circuit for name, guarded in self._guarded.items()}

    @property
    def permissions(self) -> Mapping[RegistryName, Permissions]:
        """What each registry does not let us do."""
        return {name: guarded.permissions for name, guarded in self._guarded.items()}

    @property
    def last_looks(self) -> Mapping[RegistryName, float]:
        """When a service of each registry was last read in full, seconds since 1970; nothing where none was."""
        return {name: sync.last_look for name, sync in self._syncs.items() if sync.last_look is not None}

    @property
    def stuck_seconds(self) -> Mapping[str, float]:
        """For how long each of the engine's loops has had work that it did not get on with."""
        stuck = {f"the queue of registry {name}": sync.stuck_seconds for name, sync in self._syncs.items()}
        return {"the round over all pods": self._round.seconds, **stuck}

    # The work.

    async def warm(self) -> None:
        """Return once every watched kind has been read in full: who leads before that can do nothing."""
        await self._hearing.all.wait()

    async def lead(self) -> None:
        """Keep the registries true until cancelled, beside `run`. Stopping deregisters nothing. May be run again."""
        await self.warm()
        self._leading, self._leads = self._new_leading(), True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._telling.run(), name="problems")
                tasks.create_task(self._leading.run(), name="registries")
        finally:
            self._leading, self._leads = self._new_leading(), False
            await self._evidence.close()
            await self._second.close()

    async def first_look(self, seconds: float) -> None:
        """Return once what the registries hold was read since we lead, or could not be; after `seconds` at most."""
        deadline = self._clock.monotonic() + seconds
        while self._clock.monotonic() < deadline and not (self._leads and self._leading.has_looked):
            await self._clock.sleep(_GLANCE_SECONDS)

    async def run(self) -> None:
        """Keep what is wanted true to the cluster until cancelled, leading or not."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.interest.run(), name="interest")
            tasks.create_task(self._holders.run(), name="holders of addresses")
            tasks.create_task(self._follow_world(), name="world")

    async def _follow_world(self) -> None:
        """Make every wish anew when the world changed; many changes in a row make few rounds."""
        await self.warm()
        self._makes_rounds = True
        try:
            while True:
                self._is_following = False
                await self._world_changed.wait()
                self._world_changed.clear()
                self._is_following = True
                began = self._clock.monotonic()
                await self._go_round()
                # A hundred services that are made one after another would cost a hundred rounds over a thousand pods.
                await self._clock.sleep(min(_REST * (self._clock.monotonic() - began), _LONGEST_REST_SECONDS))
        finally:
            self._makes_rounds = False
            self._round.stop()

    async def _go_round(self) -> None:
        self._is_going_round = True
        self._round.start()
        for number, pod in enumerate(list(self.wanted.pods.values())):
            if self.wanted.pods.get(pod.uid) is pod:
                self._wish(pod)
            if number % _CHUNK == _CHUNK - 1:
                self._round.start()
                await asyncio.sleep(0)
        for service in list(self.catalog.endpoints.services.values()):
            self._wish_service(service)
        for ref, problems in self.catalog.problems_of_namespaces():
            self._telling.note(ref, problems)
        self._round.stop()
        self._is_going_round = False
        for sync in self._syncs.values():
            self._leading.enqueue(sync.brake.waiting())

    def _note_change(self) -> None:
        self._world_changed.set()
        if self._makes_rounds:
            self._round.go_on()

    def _wish_of(self, asking: Pod | KubeService) -> Wish:
        try:
            if isinstance(asking, Pod):
                return wish_of(asking, self.catalog.world)
            return wish_of_service(asking, self.catalog.world)
        except Exception:  # noqa: BLE001 - nothing a user writes may end the engine; the instances stay as they are
            _log.exception(
                "%s: what it asks for cannot be worked out; this is a mistake in kube-registrar", asking.origin
            )
            return Wish(held=True, absent_because="what it asks for cannot be worked out")

    def _wish(self, pod: Pod) -> None:
        if not (pod.annotations or pod.gated or self.interest.pod(pod.namespace, pod.name, pod.labels)):
            self.pod_applied(BarePod(pod.namespace, pod.name, pod.uid, pod.terminating, pod.phase))
            return
        wish, before = self._wish_of(pod), self.wanted.wishes.get(pod.uid)
        self._telling.note(pod.ref, wish.problems)
        self._wished(pod.uid, before, wish, self.wanted.put(pod, wish))
        self._leading.gates.saw(pod)

    def _wish_service(self, service: KubeService) -> None:
        wish, before = self._wish_of(service), self.wanted.wishes.get(service.uid)
        self._holders.wants(service.key, wish.addresses_to_check)
        self._telling.note(service.ref, wish.problems)
        self._wished(service.uid, before, wish, self.wanted.put_service(service, wish))

    def _wished(self, uid: Uid, before: Wish | None, wish: Wish, touched: frozenset[ServiceRef] | None) -> None:
        """Follow up a wish; `touched`: the services it is about, None if it is as it was before."""
        if touched is None:
            return
        self._latency.wished(before, wish)
        if wish.unresolved:
            self._unresolved.add(uid)
        else:
            self._unresolved.discard(uid)
        self._leading.enqueue(touched | self._leading.holding(uid))

    def _drop(self, uid: Uid) -> None:
        self._telling.forget(uid)
        self._unresolved.discard(uid)
        self._latency.wished(self.wanted.wishes.get(uid), None)
        self._leading.progress.forget(uid)
        self._leading.enqueue(self.wanted.drop(uid) | self._leading.holding(uid))

    def _all_is_read(self) -> None:
        """Look again at what waited for it to be known who is asked for."""
        for sync in self._syncs.values():
            self._leading.enqueue(sync.brake.waiting())

    def _is_unsettled(self) -> bool:
        return self._is_going_round or self._world_changed.is_set()

    def _tell_unread(self, ref: ObjectRef, problem: Problem) -> bool:
        if self._leads:
            self._reporter.problems(ref, (problem,))
        return self._leads

    def _listed(self, kube_namespace: str) -> None:
        for sync in self._syncs.values():
            self._leading.enqueue_soon(sync.brake.missing(kube_namespace))

    def _answered(self, uid: Uid) -> None:
        self._leading.enqueue_soon(self._leading.holding(uid))

    def _knows(self, uid: Uid) -> bool:
        return uid in self.wanted.pods or bool(self._leading.holding(uid))

    @property
    def _syncs(self) -> Mapping[RegistryName, RegistrySync]:
        return self._leading.syncs
