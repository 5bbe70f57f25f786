"""A registry behind its circuit: every result is told to it, and nothing is asked while it is open."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.delegate import Delegate
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.circuit import Circuit
from kube_registrar.sync.permissions import Permissions

PROBE_SECONDS = 30.0
"""A probe that takes longer counts as unanswered: a registry that hangs must not keep its circuit open for ever."""


class Guarded(Delegate):
    """Tells its circuit of every call; while that is open each is Unreachable and never sent."""

    def __init__(self, registry: Registry, circuit: Circuit, clock: Clock) -> None:
        super().__init__(registry)
        self.circuit = circuit
        self.permissions = Permissions(registry.name)
        self._clock = clock

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
    def _asking(self, operation: str) -> Iterator[None]:
        if self.circuit.is_open:
            raise self._not_asked()
        try:
            yield
        except RegistryError as error:
            self.circuit.ended(error)
            self.permissions.ended(operation, error)
            raise
        self.circuit.ended(None)
        self.permissions.ended(operation, None)

    def _not_asked(self) -> Unreachable:
        return Unreachable(f"it does not answer, so it is not asked just now ({self.circuit.error})")
