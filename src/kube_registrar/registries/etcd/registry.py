"""The port, spoken to etcd."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.etcd.changes import Changes
from kube_registrar.registries.etcd.client import Client, open_client
from kube_registrar.registries.etcd.layout import Layout, domain_in
from kube_registrar.registries.etcd.leases import Lease
from kube_registrar.registries.etcd.lists import Lists
from kube_registrar.registries.etcd.options import Options
from kube_registrar.registries.etcd.resources import Resources
from kube_registrar.registries.etcd.rules import CAPABILITIES
from kube_registrar.registries.etcd.selecting import selected
from kube_registrar.registries.etcd.tracks import Tracks
from kube_registrar.registries.etcd.watching import Watch, together
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@asynccontextmanager
async def connect(
    options: Options, name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator["EtcdRegistry"]:
    """Give an open registry. The lease is kept by who may lead: not without a fence, nor behind one that is shut."""
    async with open_client(options, name, clock, fence) as client:
        registry = EtcdRegistry(client, options)
        if fence is None or fence.is_shut:
            yield registry
            return
        async with registry.lease.kept():
            yield registry


class EtcdRegistry:
    """A `kube_registrar.registries.port.Registry`, and a `Watching` one: an etcd cluster, or a part of its keys."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._layout = Layout(options.prefix, options.skydns_path)
        self._tracks = Tracks()
        self.lease = Lease(client, options)
        self._lists = Lists(client, self._layout)
        self._changes = Changes(client, self._layout, self._lists, self.lease, self._tracks)
        self._resources = Resources(client, self._layout, self._changes, self._tracks)

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._client.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return CAPABILITIES

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one."""
        return await (self._lists.namespaces() if parent is None else self._lists.services(parent))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, use it or update it."""
        if isinstance(spec, NamespaceSpec):
            return await self._resources.ensure_namespace(spec, creator, policy)
        return await self._resources.ensure_service(spec, creator, policy)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it if it is empty; what is gone is done."""
        await self._resources.remove(ref)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances."""
        return await self._lists.instances(service)

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Make the changes in as few transactions as they fit into, and yield their outcomes."""
        async with aclosing(self._changes.made(service, changes)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer by Cloud Map's rules, from what etcd holds."""
        return selected(await self._lists.registered(query.service), query)

    async def changed(self) -> AsyncIterator[ServiceRef | None]:
        """Yield a hint for what others change; None at the start, and whenever it cannot be known what changed."""
        ours: Callable[[str], ServiceRef | None] = lambda key: self._layout.service_of(key, self.name)  # noqa: E731
        shown: Callable[[str], ServiceRef | None] = lambda key: self._lists.domains.get(domain_in(key))  # noqa: E731
        places = ((self._layout.prefix, ours), (f"{self._layout.skydns_path}/", shown))
        async with aclosing(together([Watch(self._client, *each, self._tracks) for each in places])) as hints:
            async for hint in hints:
                yield hint
