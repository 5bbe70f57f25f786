"""A registry behind its circuit: every result is told to it, and nothing is asked while it is open."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Capabilities, Found, Registry, Watching, Withdrawing
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.circuit import Circuit
from kube_registrar.sync.permissions import Permissions

PROBE_SECONDS = 30.0
"""A probe that takes longer counts as unanswered: a registry that hangs must not keep its circuit open for ever."""


class Guarded:
    """A `Registry` that delegates every call; while its circuit is open each is Unreachable and never sent."""

    def __init__(self, registry: Registry, circuit: Circuit, clock: Clock) -> None:
        self.circuit = circuit
        self.permissions = Permissions(registry.name)
        self._registry = registry
        self._clock = clock

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

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """See `Registry.apply`."""
        if self.circuit.is_open:
            for change in changes:
                yield Outcome(change, self._not_asked())
            return
        async for outcome in self._registry.apply(service, changes):
            self.circuit.ended(outcome.error)
            self.permissions.ended(type(outcome.change).__name__, outcome.error)
            yield outcome

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """See `Withdrawing.withdraw`; nothing where changes are sent at once."""
        if isinstance(self._registry, Withdrawing):
            self._registry.withdraw(service, instances)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """See `Registry.discover`."""
        with self._asking("discover"):
            return await self._registry.discover(query)

    async def changed(self) -> AsyncGenerator[ServiceRef | None]:
        """See `Watching.changed`; no hint where the registry does not watch."""
        if isinstance(self._registry, Watching):
            async with aclosing(self._registry.changed()) as hints:  # type: ignore[type-var]
                async for hint in hints:
                    yield hint

    async def probe(self) -> None:
        """Ask whether the registry is there, if that is still called for, and tell the circuit."""
        if not self.circuit.begin_probe():
            return
        error: RegistryError | None = None
        try:
            await self._answer()
        except RegistryError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a backend that breaks its contract has not answered
            error = Unreachable(f"the registry's backend failed: {failure}")
        self.circuit.probed(error)

    async def _answer(self) -> None:
        asking = asyncio.ensure_future(self._registry.find(None))
        patience = asyncio.ensure_future(self._clock.sleep(PROBE_SECONDS))
        try:
            await asyncio.wait({asking, patience}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise Unreachable(f"no answer within {PROBE_SECONDS:.0f} s")
            asking.result()
        finally:
            asking.cancel()
            patience.cancel()
            await asyncio.gather(asking, patience, return_exceptions=True)

    @contextmanager
    def _asking(self, asked: str) -> Iterator[None]:
        if self.circuit.is_open:
            raise self._not_asked()
        try:
            yield
        except RegistryError as error:
            self.circuit.ended(error)
            self.permissions.ended(asked, error)
            raise
        self.circuit.ended(None)
        self.permissions.ended(asked, None)

    def _not_asked(self) -> Unreachable:
        return Unreachable(f"it does not answer, so it is not asked just now ({self.circuit.error})")
