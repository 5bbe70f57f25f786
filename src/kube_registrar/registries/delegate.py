"""A registry that asks another one: what is done around every request is said once."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AbstractContextManager, aclosing

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Capabilities, Found, Registry, Watching, Withdrawing


class Delegate(ABC):
    """A `Registry` that delegates every call, each within `_asking`; `apply` is for a subclass to delegate."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @abstractmethod
    def _asking(self, operation: str) -> AbstractContextManager[None]:
        """Stand around one request, which is called as the port's method is."""

    @property
    def name(self) -> RegistryName:
        """The delegate's configured name."""
        return self._registry.name

    @property
    def capabilities(self) -> Capabilities:
        """What the delegate can do."""
        return self._registry.capabilities

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """See `Registry.find`."""
        with self._asking("find"):
            return await self._registry.find(parent)

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """See `Registry.ensure`."""
        with self._asking("ensure"):
            return await self._registry.ensure(spec, creator, policy)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """See `Registry.remove`."""
        with self._asking("remove"):
            await self._registry.remove(ref)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """See `Registry.instances`."""
        with self._asking("instances"):
            return await self._registry.instances(service)

    @abstractmethod
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """See `Registry.apply`."""

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """See `Withdrawing.withdraw`; nothing where changes are sent at once."""
        if isinstance(self._registry, Withdrawing):
            self._registry.withdraw(service, instances)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """See `Registry.discover`."""
        with self._asking("discover"):
            return await self._registry.discover(query)

    async def changed(self) -> AsyncGenerator[ServiceRef | None]:
        """See `Watching.changed`; no hint where the delegate does not watch."""
        if isinstance(self._registry, Watching):
            async with aclosing(self._registry.changed()) as hints:  # type: ignore[type-var]
                async for hint in hints:
                    yield hint
