"""A cluster, registries and an engine between them, on a clock that stands still: what scenarios are played on.

Pods, watches and direct reads are a `FakeCluster`; registries are `FakeRegistry`s. Whatever a scenario is about, the
ground checks one rule at every deregistration: the pod must not be alive, ready and asking for just this, nor held.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kube_registrar.cluster.errors import ApiConflict, ApiNotFound
from kube_registrar.model.attributes import CLUSTER_UID as CLUSTER_UID_KEY
from kube_registrar.model.attributes import POD
from kube_registrar.model.changes import Change, Deregister
from kube_registrar.model.instances import Instance
from kube_registrar.model.limits import Limits
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import BarePod, CustomObject, KubeNamespace, KubeService, Node, Pod, Slice, Unselected
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, ObjectRef, RegistryName, ServiceRef, Uid
from kube_registrar.registries.port import Capabilities
from kube_registrar.runtime.fence import Fence
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.world import World
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import KINDS, Engine
from kube_registrar.sync.following import RESYNC_SECONDS
from kube_registrar.sync.interest import Need
from kube_registrar.sync.reporting import EventType, Reporter
from kube_registrar.sync.terms import Terms
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import LIKE_CLOUD_MAP, FakeRegistry
from kube_registrar.testing.faults import Op

FLASK = builders.service_ref("test-namespace/flask-app")
OTHER = builders.service_ref("test-namespace/other")
EDGE = RegistryName("edge")

Key = tuple[str, str]


class FakeCluster:
    """Pods as they are, and what the watches of one engine were told of them."""

    def __init__(self) -> None:
        self.pods: dict[Key, Pod | BarePod] = {}
        self.services: dict[Key, KubeService] = {}
        self.slices: dict[Key, Slice] = {}
        self.nodes: dict[str, Node] = {}
        self.objects: list[CustomObject] = []
        self.namespaces: list[KubeNamespace] = []
        self.lookups: list[Key] = []
        self.addresses_asked: list[frozenset[str]] = []
        self.lookup_error: Exception | None = None
        """Raised for every direct read while it is set."""
        self.lookup_gate: asyncio.Event | None = None
        """Direct reads wait for it while it is set."""
        self.lists: list[str] = []
        self.list_error: Exception | None = None
        """Raised for every full list of identities while it is set."""
        self.unlisted: frozenset[Uid] = frozenset()
        """What such lists lack."""
        self.answers_as = builders.CLUSTER_UID
        self.identities_asked = 0
        """How often it was asked which cluster answers."""
        self.identity_gate: asyncio.Event | None = None
        """That answer waits for it while it is set."""
        self.identity_error: Exception | None = None
        """Raised for that while it is set."""
        self.hidden: set[Key] = set()
        """Pods that live and that no watch tells of."""
        self.opened: list[tuple[str, str, str]] = []
        """Readiness gates that were opened: pod, reason, message."""
        self.gate_attempts: list[str] = []
        """Pods whose gate was tried to be opened, each time."""
        self.gate_errors: dict[str, list[Exception]] = {}
        """Raised, by pod and one after the other, where a gate is opened."""
        self._told: dict[Key, Pod] = {}
        self._engine: Engine | None = None

    # The watches.

    def connect(self, engine: Engine, *, synced: Iterable[str] = KINDS) -> None:
        """Tell an engine all there is, as first lists do, and that these kinds are complete."""
        self._engine, self._told = engine, {}
        engine.interest.fetch = self._fetch
        for namespace in self.namespaces:
            engine.intake.namespace_applied(namespace)
        for thing in self.objects:
            engine.intake.object_applied(thing)
        for node in self.nodes.values():
            engine.intake.node_applied(node)
        engine.interest.begins("Service")
        for service in self.services.values():
            self._tell_service(service)
        engine.interest.begins("EndpointSlice")
        for found in self.slices.values():
            self._tell_slice(found)
        engine.interest.begins("Pod")
        for pod in self.pods.values():
            self._tell(pod)
        for kind in synced:
            engine.synced(kind)

    def disconnect(self) -> None:
        """Nobody watches from now on."""
        self._engine = None

    def relist(self) -> None:
        """Tell everything anew; what misses is told as deleted, unseen."""
        assert self._engine is not None
        for key in [key for key in self._told if key not in self.pods or key in self.hidden]:
            self._engine.pod_deleted(self._told.pop(key), seen=False)
        for pod in list(self.pods.values()):
            self._tell(pod)
        self._engine.synced("Pod")

    async def _fetch(self, need: Need) -> None:
        """Tell anew what a watch passed over: more than asked for does no harm."""
        if self.lookup_error is not None:
            raise self.lookup_error
        if need.kind == "Service":
            for service in list(self.services.values()):
                self._tell_service(service)
        elif need.kind == "EndpointSlice":
            for found in list(self.slices.values()):
                self._tell_slice(found)
        else:
            for pod in list(self.pods.values()):
                self._tell(pod)

    def _tell_service(self, service: KubeService) -> None:
        assert self._engine is not None
        selected = service.annotations or self._engine.interest.service(service.namespace, service.name, {})
        bare = Unselected(service.namespace, service.name, service.uid)
        self._engine.intake.service_applied(service if selected else bare)

    def _tell_slice(self, found: Slice) -> None:
        assert self._engine is not None
        selected = self._engine.interest.slices(found.namespace, found.service, {})
        self._engine.intake.slice_applied(found if selected else Unselected(found.namespace, found.name, found.uid))

    def _tell(self, pod: Pod | BarePod) -> None:
        key = (pod.namespace, pod.name)
        if self._engine is None or key in self.hidden:
            return
        pod = self._projected(pod)
        before = self._told.pop(key, None)
        if before is not None and before.uid != pod.uid:
            self._engine.pod_deleted(before, seen=False)
        self._engine.pod_applied(pod)
        if isinstance(pod, Pod):
            self._told[key] = pod

    def _projected(self, pod: Pod | BarePod) -> Pod | BarePod:
        """Return what is kept of a pod, as the projection decides it."""
        assert self._engine is not None
        if isinstance(pod, BarePod) or pod.annotations or pod.gated:
            return pod
        if self._engine.interest.pod(pod.namespace, pod.name, pod.labels):
            return pod
        return BarePod(pod.namespace, pod.name, pod.uid, pod.terminating, pod.phase)

    # What happens to Services, slices and nodes.

    def apply_service(self, service: KubeService) -> None:
        """Make or change a Service."""
        self.services[service.key] = service
        if self._engine is not None:
            self._tell_service(service)

    def delete_service(self, name: str, *, seen: bool = True) -> None:
        """Remove a Service of Kubernetes namespace `default`."""
        service = self.services.pop(("default", name))
        if self._engine is not None:
            self._engine.intake.service_deleted(service, seen=seen)

    def apply_slice(self, found: Slice) -> None:
        """Make or change an EndpointSlice."""
        self.slices[found.namespace, found.name] = found
        if self._engine is not None:
            self._tell_slice(found)

    def delete_slice(self, name: str) -> None:
        """Remove an EndpointSlice of Kubernetes namespace `default`."""
        found = self.slices.pop(("default", name))
        if self._engine is not None:
            self._engine.intake.slice_deleted(found)

    def apply_node(self, node: Node) -> None:
        """Make or change a node."""
        self.nodes[node.name] = node
        if self._engine is not None:
            self._engine.intake.node_applied(node)

    def apply_object(self, thing: CustomObject) -> None:
        """Make or change an object of our kinds."""
        self.objects = [one for one in self.objects if (one.kind, one.name) != (thing.kind, thing.name)] + [thing]
        if self._engine is not None:
            self._engine.intake.object_applied(thing)

    # What happens to pods.

    def apply(self, pod: Pod | BarePod) -> None:
        """Make or change a pod."""
        self.pods[pod.namespace, pod.name] = pod
        self._tell(pod)

    def edit(self, name: str, **fields: Any) -> Pod:
        """Change fields of a pod of Kubernetes namespace `default`."""
        pod = self.pods["default", name]
        assert isinstance(pod, Pod)
        changed = replace(pod, **fields)
        self.apply(changed)
        return changed

    def annotate(self, name: str, **annotations: str) -> Pod:
        """Replace all annotations of a pod."""
        return self.edit(name, annotations=annotations)

    def bare(self, name: str) -> None:
        """Take all annotations of ours from a pod."""
        pod = self.pods["default", name]
        self.apply(BarePod(pod.namespace, pod.name, pod.uid, pod.terminating, pod.phase))

    def delete(self, name: str) -> None:
        """Remove a pod, seen by the watch."""
        key = ("default", name)
        pod = self.pods.pop(key)
        if self._engine is not None and key not in self.hidden:
            self._told.pop(key, None)
            self._engine.pod_deleted(pod, seen=True)

    def lose(self, name: str) -> None:
        """Remove a pod, seen by nobody."""
        del self.pods["default", name]

    # Readiness gates.

    async def open(self, pod: Pod, reason: str, message: str) -> None:
        """Open a gate as the API server would: never that of another pod under the same name."""
        self.gate_attempts.append(pod.name)
        if errors := self.gate_errors.get(pod.name):
            raise errors.pop(0)
        found = self.pods.get((pod.namespace, pod.name))
        if not isinstance(found, Pod):
            raise ApiNotFound(f"{pod.name} is not there", status=404, reason="NotFound")
        if found.uid != pod.uid:
            raise ApiConflict(f"{pod.name} is another pod", status=409, reason="Conflict")
        self.opened.append((pod.name, reason, message))
        self.apply(replace(found, gate="True"))

    def reason_of_gate(self, name: str) -> str:
        """Return the reason with which a pod's gate was opened; empty: it was not."""
        return next((reason for opened, reason, _ in self.opened if opened == name), "")

    # Direct reads.

    async def namespaces_of_addresses(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Answer as the API server would."""
        self.addresses_asked.append(frozenset(addresses))
        if self.lookup_error is not None:
            raise self.lookup_error
        held = {ip: pod.namespace for pod in self.pods.values() if isinstance(pod, Pod) for ip in pod.ips}
        return {address: held.get(address, "") for address in addresses}

    async def service(self, namespace: str, name: str) -> KubeService | Unselected | None:
        """Answer as the API server would."""
        if self.lookup_error is not None:
            raise self.lookup_error
        found = self.services.get((namespace, name))
        if found is None or found.annotations:
            return found
        return Unselected(found.namespace, found.name, found.uid)

    async def pod(self, namespace: str, name: str) -> Pod | BarePod | None:
        """Answer as the API server would: as it is when it is asked, however late the answer comes."""
        found = self.pods.get((namespace, name))
        self.lookups.append((namespace, name))
        if self.lookup_gate is not None:
            await self.lookup_gate.wait()
        if self.lookup_error is not None:
            raise self.lookup_error
        return found

    async def pod_uids(self, namespace: str) -> frozenset[Uid]:
        """List what there is, whatever the watches tell."""
        self.lists.append(namespace)
        if self.list_error is not None:
            raise self.list_error
        return frozenset(pod.uid for pod in self.pods.values() if pod.namespace == namespace) - self.unlisted

    async def service_uids(self, namespace: str) -> frozenset[Uid]:
        """List the Services that there are."""
        self.lists.append(f"services of {namespace}")
        if self.list_error is not None:
            raise self.list_error
        return frozenset(one.uid for one in self.services.values() if one.namespace == namespace)

    async def cluster_uid(self) -> Uid:
        """Say which cluster answers."""
        self.identities_asked += 1
        if self.identity_gate is not None:
            await self.identity_gate.wait()
        if self.identity_error is not None:
            raise self.identity_error
        return self.answers_as


@dataclass(frozen=True, slots=True)
class Event:
    """What was recorded."""

    object: str
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class Notebook:
    """Records events and counts changes."""

    events: list[Event] = field(default_factory=list)
    counted: list[tuple[str, str, str]] = field(default_factory=list)
    held_back: list[tuple[str, str, str]] = field(default_factory=list)
    """What policies withheld: registry, action, policy."""
    blocked_by: list[tuple[str, str]] = field(default_factory=list)
    """What was held: registry, guard."""
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    drift: Counter[str] = field(default_factory=Counter)

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        self.events.append(Event(ref.name, type, reason, message))

    def changed(self, registry: RegistryName, action: str, result: str) -> None:
        self.counted.append((registry, action, result))

    def withheld(self, registry: RegistryName, action: str, policy: Policy) -> None:
        self.held_back.append((registry, action, policy))

    def blocked(self, registry: RegistryName, guard: str) -> None:
        self.blocked_by.append((registry, guard))

    # What the engine measures.

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        self.results[kind, result] += 1

    def waited(self, kind: str, seconds: float) -> None:
        self.waits.append(seconds)

    def registered_after(self, registry: RegistryName, seconds: float) -> None:
        self.latencies.append(seconds)

    def drifted(self, registry: RegistryName, instances: int) -> None:
        self.drift[registry] += instances


class WatchedRegistry(FakeRegistry):
    """A fake that looks at every deregistration when it is asked for, whatever comes of it."""

    def __init__(self, ground: "Ground", name: RegistryName, capabilities: Capabilities) -> None:
        super().__init__(name, ground.clock, capabilities, ground.fence)
        self.grounds = [ground]
        self.hangs = False
        """Every read and write of it waits for ever while this is set."""

    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> Any:
        for change in changes:
            if isinstance(change, Deregister):
                for ground in self.grounds:
                    ground.check(service, change)
        return super().apply(service, changes)

    async def _answer(self, *args: Any, **kwargs: Any) -> Any:
        if self.hangs:
            await asyncio.Event().wait()
        return await super()._answer(*args, **kwargs)


class Ground:
    """Everything of one cluster. `registries` may be shared by two grounds that share a clock: two clusters."""

    def __init__(
        self,
        *,
        cluster_uid: Uid = builders.CLUSTER_UID,
        names: Sequence[RegistryName] = (DEFAULT_REGISTRY,),
        capabilities: Capabilities = LIKE_CLOUD_MAP,
        like: "Ground | None" = None,
        cluster_name: str = "test",
    ) -> None:
        self.cluster_uid = cluster_uid
        self.clock: FakeClock = like.clock if like else FakeClock()
        self.fence = Fence(self.clock)
        self.straggler_seconds = 0.0
        self.resync_seconds = RESYNC_SECONDS
        self.cluster = FakeCluster()
        self.cluster.answers_as = cluster_uid
        self.cluster_name = cluster_name
        self.notebook = Notebook()
        self.violations: list[str] = []
        self.registries: dict[RegistryName, WatchedRegistry] = (
            like.registries if like else {name: WatchedRegistry(self, name, capabilities) for name in names}
        )
        self.starts = 0
        self.allow_undeclared = False
        self.policies: dict[RegistryName, Policy] = {}
        self.engine: Engine = self._engine()
        self._task: asyncio.Task[None] | None = None
        self._lead: asyncio.Task[None] | None = None
        if like:
            for registry in self.registries.values():
                registry.grounds.append(self)
        else:
            for name, registry in self.registries.items():
                namespace = builders.service_ref(registry=name).namespace
                registry.add(builders.namespace_spec(ref=namespace))
                registry.add(builders.service_spec(ref=builders.service_ref("test-namespace/flask-app", name)))
                registry.add(builders.service_spec(ref=builders.service_ref("test-namespace/other", name)))
        self.cluster.namespaces.append(KubeNamespace("default", Uid("kube-default")))
        self.cluster.objects += [registry_namespace(name) for name in self.registries]

    @property
    def registry(self) -> WatchedRegistry:
        """The default registry."""
        return self.registries[DEFAULT_REGISTRY]

    def _engine(self) -> Engine:
        world = World(
            self.cluster_uid,
            self.cluster_name,
            allow_undeclared=self.allow_undeclared,
            registries={
                name: Limits(
                    max_attributes=registry.capabilities.max_attributes,
                    max_attribute_characters=registry.capabilities.max_attribute_characters,
                    max_attribute_value=registry.capabilities.max_attribute_value,
                )
                for name, registry in self.registries.items()
            },
        )
        reporter = Reporter(self.notebook, self.notebook)
        self.starts += 1
        terms = Terms(
            policies=self.policies,
            straggler_seconds=self.straggler_seconds,
            gate_writer=self.cluster,
            draw=random.Random(self.starts),
            measures=self.notebook,
            resync_seconds=self.resync_seconds,
        )
        return Engine(list(self.registries.values()), Catalog(world), self.cluster, reporter, self.clock, terms=terms)

    # The life of the engine.

    async def start(self, *, synced: Iterable[str] = KINDS, leads: bool = True) -> None:
        """Run a new engine and tell it all there is."""
        self.engine = self._engine()
        self._task = asyncio.create_task(self.engine.run())
        if leads:
            self.lead()
        self.cluster.connect(self.engine, synced=synced)
        await self.clock.settle()

    def lead(self) -> None:
        """Let the engine lead, or lead again."""
        self._lead = asyncio.create_task(self.engine.lead(), name="lead")

    async def stand_by(self) -> None:
        """Let it lead no more, and wait for the end of that; it goes on to watch."""
        task, self._lead = self._lead, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def stop(self) -> None:
        """Cancel the engine and wait for its end."""
        self.cluster.disconnect()
        await self.stand_by()
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def restart(self) -> None:
        """Stop, and start a new engine."""
        await self.stop()
        await self.start()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self.clock.settle()

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    # What is looked at.

    def check(self, service: ServiceRef, change: Deregister) -> None:
        """Note a violation if the pod of an instance lives and asks for it, or is held."""
        pod = next((p for p in self.cluster.pods.values() if p.uid == change.origin.uid), None)
        if isinstance(pod, Pod):
            wish = wish_of(pod, self.engine.catalog.world)
            asked = {r.instance.id for r in wish.registrations if r.service == service}
            if change.instance_id in asked or wish.holds(service, change.instance_id):
                self.violations.append(f"{change.instance_id} leaves {service} ({change.why}), but {pod.name} wants it")

    def own(self, service: ServiceRef = FLASK) -> list[Instance]:
        """Return this cluster's instances."""
        held = self.registries[service.namespace.registry].held(service).values()
        return [i for i in held if i.attributes.get(CLUSTER_UID_KEY) == self.cluster_uid]

    def names(self, service: ServiceRef = FLASK) -> list[str]:
        """Return the names of the pods that are registered, sorted."""
        return sorted(i.attributes[POD] for i in self.own(service))

    def instance(self, name: str, service: ServiceRef = FLASK) -> Instance:
        """Return the one instance of a pod."""
        [found] = [i for i in self.own(service) if i.attributes[POD] == name]
        return found

    def deregistered(self, service: ServiceRef = FLASK) -> list[InstanceId]:
        """Return the instances that somebody of ours asked to deregister."""
        calls = self.registries[service.namespace.registry].asked(Op.DEREGISTER, service)
        return [call.change.instance_id for call in calls if call.change]

    def reasons(self, name: str) -> list[str]:
        """Return the reasons of the events on a pod, in order."""
        return [event.reason for event in self.notebook.events if event.object == name]


def registry_namespace(registry: RegistryName = DEFAULT_REGISTRY, name: str = "test-namespace") -> CustomObject:
    """Return a RegistryNamespace that lets everyone in."""
    spec = {"type": "HTTP", "registry": registry, "name": name, "allowedNamespaces": {"from": "All"}}
    object_name = f"{registry}-{name}"
    return CustomObject("RegistryNamespace", "", object_name, builders.uid_of(object_name), 1, spec)


def registry_service(name: str, namespace: str = "default-test-namespace") -> CustomObject:
    """Return a RegistryService of Kubernetes namespace `default`."""
    spec = {"namespaceRef": {"name": namespace}}
    return CustomObject("RegistryService", "default", name, builders.uid_of(f"svc-{name}"), 1, spec)
