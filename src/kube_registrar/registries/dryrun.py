"""A registry that is read and never written to: what it is asked to change, it changes in its own copy of what it read.

Whoever works on it sees their changes made, so it shows where they would end: the engine itself tells what it would do.
Nothing in here calls a write of the registry behind it: that is how it is sure that none is made.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Conflict, NotFound, RegistryError
from kube_registrar.model.instances import Health, Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec, obstacle
from kube_registrar.registries.port import Capabilities, Found, Registry


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What becomes of one instance: as it is now, as it would be, and the last change that makes it so."""

    service: ServiceRef
    before: Instance | None
    after: Instance | None
    change: Change


class DryRun:
    """A `Registry` over another one. Lists are read once, so that everything is worked out on the same ones.

    `reads_instances=False`: every service seems empty, and none is listed.
    """

    def __init__(self, registry: Registry, *, reads_instances: bool = True) -> None:
        self._registry = registry
        self._reads_instances = reads_instances
        self._found: dict[NamespaceRef | None, Sequence[Found]] = {}
        self._made: dict[NamespaceRef | ServiceRef, Found] = {}
        self._creators: dict[str, str] = {}
        self._before: dict[ServiceRef, dict[InstanceId, Instance]] = {}
        self._after: dict[ServiceRef, dict[InstanceId, Instance]] = {}
        self._troubles: dict[str, RegistryError] = {}
        self._changes: dict[tuple[ServiceRef, InstanceId], Change] = {}

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._registry.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: what is behind it, but for hints, since it has a copy of what it read."""
        return replace(self._registry.capabilities, watches=False)

    # What came of it.

    @property
    def made(self) -> Sequence[Found]:
        """The registry namespaces and services that would be created."""
        return list(self._made.values())

    def rehearsed(self) -> Sequence[Rehearsed]:
        """Return what would become of instances, in the order of services and ids; what would stay is left out."""
        found = []
        for (service, instance_id), change in sorted(self._changes.items(), key=lambda each: each[0]):
            before, after = self._before[service].get(instance_id), self._after[service].get(instance_id)
            if before != after:
                found.append(Rehearsed(service, before, after, change))
        return found

    def read(self, service: ServiceRef) -> Mapping[InstanceId, Instance]:
        """Return what a service holds now, as far as it was read."""
        return self._before.get(service, {})

    async def now(self, service: ServiceRef) -> Sequence[Instance]:
        """Return what a service holds, read anew and whatever was rehearsed. Raises RegistryError."""
        return await self._registry.instances(service)

    def troubles(self) -> Sequence[tuple[str, RegistryError]]:
        """Return what could not be read at the last try, and why."""
        return list(self._troubles.items())

    def made_by(self, thing_id: str, creator: str) -> None:
        """Say who made a thing, where the lists of the registry do not: its id, and the creator's token."""
        self._creators[thing_id] = creator

    # The port: reads.

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return what is there, and what would be."""
        added = [each for ref, each in self._made.items() if _parent_of(ref) == parent]
        if parent not in self._found:
            try:
                self._found[parent] = await self._registry.find(parent)
            except NotFound:
                if parent not in self._made:
                    raise
                self._found[parent] = ()
            except RegistryError as error:
                self._troubles[str(parent or f"registry {self.name}")] = error
                raise
            self._troubles.pop(str(parent or f"registry {self.name}"), None)
        return [*map(self._with_creator, self._found[parent]), *added]

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return what is there, as it would be."""
        if service not in self._after:
            is_there = self._reads_instances and service not in self._made
            read = await self._read(service) if is_there else ()
            self._before[service] = {each.id: each for each in read}
            self._after[service] = dict(self._before[service])
        return list(self._after[service].values())

    async def _read(self, service: ServiceRef) -> Sequence[Instance]:
        try:
            read = await self._registry.instances(service)
        except NotFound:
            raise
        except RegistryError as error:
            self._troubles[str(service)] = error
            raise
        self._troubles.pop(str(service), None)
        return read

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer from what is there."""
        return await self._registry.discover(query)

    def _with_creator(self, found: Found) -> Found:
        if found.created_by is None and found.id in self._creators:
            return replace(found, created_by=self._creators[found.id])
        return found

    # The port: writes, none of which leaves this object.

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Return what is there, or note that it would be created. Raises as `Registry.ensure` does."""
        there = await self.find(_parent_of(spec.ref))
        found = next((each for each in there if each.spec.ref == spec.ref), None)
        if found is None:
            if policy is CreationPolicy.ADOPT:
                raise NotFound(f"{spec.ref} is not there, and the creation policy is Adopt. Create it, or correct it")
            found = self._made[spec.ref] = Found(spec, "", None, creator)
            return found
        if difference := obstacle(found.spec, spec):
            raise Conflict(f"{spec.ref} exists and {difference}. Ask for the same, or choose another name", found=found)
        if policy is CreationPolicy.CREATE and found.created_by != creator:
            raise Conflict(f"{spec.ref} exists, made by somebody else, and the creation policy is Create", found=found)
        return found

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Forget what would have been created; what is there stays."""
        self._made.pop(ref, None)

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Make the changes in the copy; each is confirmed at once."""
        await self.instances(service)
        held = self._after[service]
        for change in changes:
            self._changes[service, change.instance_id] = change
            match change:
                case Register():
                    held[change.instance_id] = _registered(change.instance, held.get(change.instance_id))
                case Deregister():
                    held.pop(change.instance_id, None)
                case SetHealth() if change.instance_id in held:
                    held[change.instance_id] = replace(held[change.instance_id], health=change.health)
            yield Outcome(change)


def _registered(instance: Instance, before: Instance | None) -> Instance:
    """Return an instance as a registry keeps it: an upsert leaves its health alone."""
    kept = {key: value for key, value in instance.attributes.items() if key != keys.INIT_HEALTH}
    if before is None:
        return Instance(instance.id, kept, Health(instance.attributes.get(keys.INIT_HEALTH, Health.UNKNOWN)))
    return Instance(instance.id, kept, before.health)


def _parent_of(ref: NamespaceRef | ServiceRef) -> NamespaceRef | None:
    return ref.namespace if isinstance(ref, ServiceRef) else None
