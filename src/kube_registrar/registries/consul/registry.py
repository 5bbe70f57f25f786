"""The port, spoken to Consul."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.instances import Health, HealthFilter, Instance, Query
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.consul.changes import Changes
from kube_registrar.registries.consul.client import Client, new_session
from kube_registrar.registries.consul.entries import Entry
from kube_registrar.registries.consul.faults import Faults
from kube_registrar.registries.consul.names import Names
from kube_registrar.registries.consul.options import Options
from kube_registrar.registries.consul.reading import Reading
from kube_registrar.registries.consul.resources import Resources
from kube_registrar.registries.consul.rules import CAPABILITIES
from kube_registrar.registries.consul.secrets import Secrets
from kube_registrar.registries.consul.shelf import Shelf
from kube_registrar.registries.consul.watching import Watch
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@asynccontextmanager
async def connect(
    options: Options, name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator["ConsulRegistry"]:
    """Give an open registry. Raises Unreadable if the files of TLS cannot be used."""
    secrets = Secrets(options, name)
    async with new_session() as session:
        client = Client(session, options, secrets, Faults(options), fence or Fence(clock))
        yield ConsulRegistry(client, options, name, clock)


class ConsulRegistry:
    """A `kube_registrar.registries.port.Registry`, and a `Watching` one: one datacenter of a Consul."""

    def __init__(self, client: Client, options: Options, name: RegistryName, clock: Clock) -> None:
        self._name = name
        names = Names(options)
        self._shelf = Shelf(client, names, name)
        self._reading = Reading(client, options.node)
        self._resources = Resources(client, names, self._shelf, self._reading, name)
        self._changes = Changes(client, self._shelf, self._reading, self._resources, options.node)
        self._watch = Watch(client, options, self._shelf, name, clock)
        self._dice = random.Random()

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What Consul can do."""
        return CAPABILITIES

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one."""
        return await (self._shelf.find_namespaces() if parent is None else self._shelf.find_services(parent))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, use it or update it."""
        if isinstance(spec, NamespaceSpec):
            return await self._resources.ensure_namespace(spec, creator, policy)
        return await self._resources.ensure_service(spec, creator, policy)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it and return once that is committed."""
        if isinstance(ref, NamespaceRef):
            await self._resources.remove_namespace(ref)
        else:
            await self._resources.remove_service(ref)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances, those of others under the same name in Consul included, as a quorum has them."""
        known = self._shelf.known(service)
        if known is not None:
            there, entries = await asyncio.gather(
                self._shelf.service(service), self._reading.entries(service, known.record)
            )
            if there is not None and there.record.id == known.record.id:
                return [entry.instance for entry in entries]
        return [entry.instance for entry in await self._entries(service, is_consistent=True)]

    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Send the changes in transactions, and yield their outcomes as these are committed."""
        return self._changes.apply(service, changes)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer as a client would see it that asks `/v1/health/service` in the default mode."""
        entries = await self._entries(query.service, is_consistent=False)
        found = _chosen([entry.instance for entry in entries], query)
        if query.max_results is not None and len(found) > query.max_results:
            return self._dice.sample(found, query.max_results)
        return found

    def changed(self) -> AsyncIterator[ServiceRef | None]:
        """Yield a hint for each service that somebody else has changed; None: namespaces or services have."""
        return self._watch.hints()

    async def _entries(self, service: ServiceRef, *, is_consistent: bool) -> Sequence[Entry]:
        there = await self._shelf.service(service)
        if there is None:
            raise self._shelf.no_service(service)
        return await self._reading.entries(service, there.record, is_consistent=is_consistent)


def _chosen(instances: Sequence[Instance], query: Query) -> Sequence[Instance]:
    """Return those that are asked for, by the rules of DiscoverInstances; what has no status is under every filter."""
    matching = [each for each in instances if query.parameters.items() <= each.attributes.items()]
    wanted = query.health
    if wanted is HealthFilter.ALL or all(each.health is Health.UNKNOWN for each in matching):
        alive = matching
    else:
        status = Health.UNHEALTHY if wanted is HealthFilter.UNHEALTHY else Health.HEALTHY
        alive = [each for each in matching if each.health is status]
        if wanted is HealthFilter.HEALTHY_OR_ELSE_ALL:
            alive = alive or matching
    preferred = [each for each in alive if query.optional_parameters.items() <= each.attributes.items()]
    return preferred or alive
