"""Follows which namespaces and services a registry has, and has its services read in full from time to time.

While the registry's circuit is open it is only asked whether it is there, by one probe at a time.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.refs import ServiceRef
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.reconcile import RegistrySync

RESYNC_SECONDS = 600.0
"""How often every service is read in full, unless the settings say otherwise."""
SPREAD_SECONDS = 60.0
"""A resync reads the services one after the other over this long, or over half of the time until the next one."""
CHECK_SECONDS = 5.0
"""How often it is looked whether references are unresolved."""
LOOKS = Backoff(first=1.0, most=10.0)
"""How often the registry is looked at while they are: somebody else may make what they name."""
SECONDS_A_NAMESPACE = 0.5
"""Such a look asks once a namespace, and a wrong annotation may stand for weeks: large registries are asked less."""

_log = logging.getLogger(__name__)


class RegistryFollower:
    """Keeps the catalog true to one registry. Nothing that the registry does ends it."""

    def __init__(
        self,
        sync: RegistrySync,
        catalog: Catalog,
        clock: Clock,
        draw: random.Random,
        is_unresolved: Callable[[], bool],
        *,
        resync_seconds: float = RESYNC_SECONDS,
    ) -> None:
        self.has_tried = False
        """Whether the registry was read, or could not be, at least once."""
        self._sync = sync
        self._catalog = catalog
        self._clock = clock
        self._draw = draw
        self._is_unresolved = is_unresolved
        self._resync_seconds = resync_seconds
        self._failures = Backoff(draw=draw)
        self._looks = Backoff(LOOKS.first, LOOKS.most, draw=draw)
        self._resync_at = clock.monotonic()
        self._is_hinted = False

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            name = self._sync.registry.name
            tasks.create_task(self._probe(), name=f"probes of {name}")
            tasks.create_task(self._follow(), name=f"lists of {name}")

    async def _probe(self) -> None:
        """Ask the registry whether it is there, whenever its answers fail to come, until something answers."""
        circuit = self._sync.circuit
        while True:
            await circuit.until_doubted()
            await self._clock.sleep(circuit.next_probe())
            await self._sync.registry.probe()

    def look_soon(self) -> None:
        """Have it read soon which namespaces and services there are: a hint is about one that nobody knew."""
        self._is_hinted = True

    async def _follow(self) -> None:
        while True:
            await self._sync.circuit.until_closed()
            closings = self._sync.circuit.closings
            self._is_hinted = False
            try:
                services = await self._catalog.refresh(self._sync.registry)
            except Exception as error:  # noqa: BLE001 - a backend that breaks its contract is one that cannot be read
                self._failed(error)
                await self._rest(self._failures.failed(getattr(error, "after", 0.0)), closings)
                continue
            if self._failures.failures:
                _log.info("registry %s can be read again", self._sync.registry.name)
            self._failures.succeeded()
            now = self._clock.monotonic()
            self._look_at(services, now)
            self.has_tried = True
            if now >= self._resync_at:
                self._resync_at = now + self._resync_seconds * self._draw.uniform(0.9, 1.1)
            await self._until_next_look(closings)

    def _failed(self, error: Exception) -> None:
        level = logging.DEBUG if self._failures.failures else logging.WARNING
        is_surprise = not isinstance(error, RegistryError)
        name = self._sync.registry.name
        _log.log(level, "registry %s cannot be read; it is tried again: %s", name, error, exc_info=is_surprise)
        self.has_tried = True

    async def _rest(self, seconds: float, closings: int) -> None:
        """Sleep; not longer than until the circuit has closed once more than `closings` times."""
        if self._sync.circuit.closings == closings:
            await self._sync.circuit.until_closing(seconds)

    def _look_at(self, services: Iterable[ServiceRef], now: float) -> None:
        """Queue services that were never read; on a resync the others too."""
        known = set(self._sync.observed.services())
        for service in sorted(set(services) - known):
            self._sync.queue.add(service)
        if now >= self._resync_at:
            for service in sorted(known):
                wait = self._draw.uniform(0.0, min(SPREAD_SECONDS, self._resync_seconds / 2))
                self._sync.observed.of(service).look_by(now + wait)
                self._sync.queue.add_after(service, wait)

    async def _until_next_look(self, closings: int) -> None:
        """Wait for the next resync, until references have been unresolved for a while, or until an outage is over."""
        circuit = self._sync.circuit
        while (rest := self._resync_at - self._clock.monotonic()) > 0 and circuit.closings == closings:
            if self._is_hinted and not circuit.is_open:
                return
            was_unresolved = self._is_unresolved()
            wait = self._looks.failed(at_least=self._least()) if was_unresolved else CHECK_SECONDS
            await self._clock.sleep(min(rest, wait))  # short: an outage's end is noticed soon enough
            if not self._is_unresolved():
                self._looks.succeeded()
            elif was_unresolved and not circuit.is_open:
                return

    def _least(self) -> float:
        found = self._catalog.world.namespaces
        namespaces = sum(1 for ref in found if ref.registry == self._sync.registry.name)
        return max(self._looks.first, SECONDS_A_NAMESPACE * namespaces)
