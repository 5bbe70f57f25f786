"""The six methods of the port over the file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError
from kube_registrar.model.instances import Health, Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.selection import select
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.registries.refusals import refused_instance, refused_spec
from kube_registrar.registries.versions import Versions, overtaken
from kube_registrar.runtime.fence import Fence
from kube_registrar_jsonfile.store import Content, Store

T = TypeVar("T")

CAPABILITIES = Capabilities(
    namespace_types=frozenset({NamespaceType.HTTP}),
    record_types=frozenset(),
    custom_health=True,
    watches=False,
    max_attributes=50,
    transactions=True,
)


class JsonFileRegistry:
    """A `kube_registrar.registries.port.Registry`."""

    def __init__(self, name: RegistryName, store: Store, fence: Fence) -> None:
        self.name = name
        self.capabilities = CAPABILITIES
        self._store = store
        self._fence = fence
        self._versions = Versions()

    # Reads.

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one."""
        content = await asyncio.to_thread(self._store.read)
        if parent is None:
            return [self._namespace_found(name, entry) for name, entry in content["namespaces"].items()]
        services = _namespace(content, parent)["services"]
        return [_service_found(ServiceRef(parent, name), entry) for name, entry in services.items()]

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances."""
        content = await asyncio.to_thread(self._store.read)
        held = _service(content, service)["instances"]
        versions = {InstanceId(key): entry["version"] for key, entry in held.items()}
        self._versions.listed(service, versions, content["next"])
        return [_instance(key, entry) for key, entry in held.items()]

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer a discovery: the file is all that its clients could read, too."""
        return select(await self.instances(query.service), query)

    # Namespaces and services.

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, or use what is there, or update what its creator made."""
        if refused := refused_spec(spec, None, CAPABILITIES):
            raise refused
        if isinstance(spec, NamespaceSpec) and spec.arn:
            raise NotFound(f"{spec.ref} is to have the ARN {spec.arn}, and here nothing has one. Leave spec.arn out")
        return await self._change(f"ensuring {spec.ref}", lambda content: self._ensured(content, spec, creator, policy))

    def _ensured(
        self, content: Content, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy
    ) -> Found:
        is_service = isinstance(spec, ServiceSpec)
        parent = content["namespaces"]
        if isinstance(spec, ServiceSpec):
            parent = _namespace(content, spec.ref.namespace)["services"]
        entry = parent.get(spec.ref.name)
        if entry is None:
            if policy is CreationPolicy.ADOPT:
                raise NotFound(f"{spec.ref} is not there, and its creation policy is Adopt. Create it, or change that")
            entry = {"id": f"{'srv' if is_service else 'ns'}-{content['next']}", "creator": creator}
            entry |= {"instances": {}} if is_service else {"services": {}}
            content["next"] += 1
            parent[spec.ref.name] = entry
        if entry["creator"] == creator:
            entry["description"] = spec.description
            if isinstance(spec, ServiceSpec):
                entry["health"] = spec.health_check.value
        elif policy is CreationPolicy.CREATE:
            raise Conflict(f"{spec.ref} exists and was made by {entry['creator']}. Choose another name, or adopt it")
        if isinstance(spec, ServiceSpec):
            return _service_found(spec.ref, entry)
        return self._namespace_found(spec.ref.name, entry)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it if it is empty; what is gone is done."""

        def change(content: Content) -> None:
            if isinstance(ref, ServiceRef):
                parent, inside = content["namespaces"].get(ref.namespace.name, {}).get("services", {}), "instances"
            else:
                parent, inside = content["namespaces"], "services"
            if (held := parent.get(ref.name)) and held[inside]:
                raise Conflict(f"{ref} is not empty: it holds {len(held[inside])}. Remove what it holds first")
            parent.pop(ref.name, None)

        await self._change(f"removing {ref}", change)

    # Instances.

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Make all changes in one writing of the file; one that is refused hurts no other."""

        def change(content: Content) -> list[Outcome]:
            return [self._outcome(content, service, each) for each in changes]

        try:
            outcomes = await self._change(f"changing {service}", change) if changes else []
        except RegistryError as error:
            outcomes = [Outcome(each, error) for each in changes]
        for outcome in outcomes:
            yield outcome

    def _outcome(self, content: Content, ref: ServiceRef, change: Change) -> Outcome:
        try:
            if isinstance(change, Register):
                self._guard(content, ref, change.instance.id)
            version = _apply(content, ref, change)
        except NotFound as error:  # what is gone with its service is gone
            self._versions.forget(ref)
            return Outcome(change, None if isinstance(change, Deregister) else error)
        except RegistryError as error:
            return Outcome(change, error)
        if not isinstance(change, SetHealth):
            self._versions.wrote(ref, change.instance_id, version)
        return Outcome(change)

    def _guard(self, content: Content, ref: ServiceRef, instance_id: InstanceId) -> None:
        """Raise Conflict where a register would replace what somebody has written since we listed the service."""
        held = _service(content, ref)["instances"].get(instance_id)
        if held and self._versions.is_listed(ref) and held["version"] != self._versions.of(ref, instance_id):
            raise overtaken(ref, instance_id)

    async def _change(self, about: str, change: Callable[[Content], T]) -> T:
        def work() -> T:
            def checked(content: Content) -> T:
                self._fence.check(about)  # in the thread that writes, once it has the lock
                return change(content)

            return self._store.change(checked)

        return await asyncio.to_thread(work)

    def _namespace_found(self, name: str, entry: Content) -> Found:
        ref = NamespaceRef(self.name, name)
        return Found(NamespaceSpec(ref, description=entry["description"]), entry["id"], created_by=entry["creator"])


def _apply(content: Content, ref: ServiceRef, change: Change) -> int:
    """Make one change, and return the number of the write; 0: it is gone."""
    service = _service(content, ref)
    held = service["instances"]
    match change:
        case Register(instance):
            if refused := refused_instance(instance, CAPABILITIES):
                raise refused
            first = instance.attributes.get(keys.INIT_HEALTH, Health.HEALTHY)
            before = held.get(instance.id, {"health": first})
            health = before["health"] if service["health"] == HealthCheckType.CUSTOM else Health.UNKNOWN
            content["next"] += 1
            held[instance.id] = {
                "attributes": dict(instance.attributes),
                "health": health,
                "version": content["next"],
            }
            return int(content["next"])
        case Deregister(instance_id):
            held.pop(instance_id, None)
        case SetHealth(instance_id):
            if service["health"] != HealthCheckType.CUSTOM:
                rule = "a status, in services with custom health"
                raise Refused(f"{ref} takes no status; allowed: {rule}. Change it", field="health", rule=rule)
            if instance_id not in held:
                raise NotFound(f"instance {instance_id} is not in {ref}. Register it first")
            held[instance_id]["health"] = change.health
    return 0


def _namespace(content: Content, ref: NamespaceRef) -> Content:
    found: Content | None = content["namespaces"].get(ref.name)
    if found is None:
        raise NotFound(f"registry namespace {ref} is not there. Create it first")
    return found


def _service(content: Content, ref: ServiceRef) -> Content:
    found: Content | None = _namespace(content, ref.namespace)["services"].get(ref.name)
    if found is None:
        raise NotFound(f"registry service {ref} is not there. Create it first")
    return found


def _service_found(ref: ServiceRef, entry: Content) -> Found:
    spec = ServiceSpec(ref, description=entry["description"], health_check=HealthCheckType(entry["health"]))
    return Found(spec, entry["id"], created_by=entry["creator"])


def _instance(key: str, entry: Content) -> Instance:
    attributes = {name: value for name, value in entry["attributes"].items() if name != keys.INIT_HEALTH}
    return Instance(InstanceId(key), attributes, Health(entry["health"]))
