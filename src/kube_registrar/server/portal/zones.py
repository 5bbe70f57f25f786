"""The zones of any registry, for DNS: a view that is kept, and read again as the registry says or the time has come.

DNS asks thousands of times a second and its answers are in memory. So what it is told may be old: by a moment where the
registry watches, by POLL_SECONDS where it does not. While the registry does not answer, what was known last is told on:
a name that cannot be resolved is worse than an address that may be gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from kube_registrar.model.errors import NotFound, RegistryError
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.zones import PublishedService, Target, Zone
from kube_registrar.registries.port import Registry, Watching
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.tasks import running_beside
from kube_registrar.server.dns.source import Audience
from kube_registrar.server.portal.directory import read
from kube_registrar.server.portal.published import Snapshot, snapshot, targets

POLL_SECONDS: Final = 5.0
"""How often everything is read of a registry that does not watch."""
WATCHED_POLL_SECONDS: Final = 60.0
"""How often of one that does: it hints at services, and need not hint at what has no instances."""
_AT_ONCE: Final = 10

_log = logging.getLogger(__name__)


class Zones:
    """A `ZoneSource` (server.dns) over a `Registry`."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._known = Snapshot()
        self._targets: dict[str, Mapping[str, Target]] = {}
        self._audience: list[Audience] = []
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._fails = False
        self._hinted: set[ServiceRef] = set()
        self._woken = asyncio.Event()
        self._all = True

    # What DNS asks.

    def zone_ids(self) -> Iterable[str]:
        """Return all zones."""
        return list(self._known.zones)

    def service_ids(self) -> Iterable[str]:
        """Return all services."""
        return list(self._known.services)

    def zone(self, zone_id: str) -> Zone | None:
        """Return a zone."""
        return self._known.zones.get(zone_id)

    def service(self, service_id: str) -> PublishedService | None:
        """Return a service."""
        return self._known.services.get(service_id)

    def targets(self, service_id: str) -> Iterable[Target]:
        """Return the instances of a service."""
        return list(self._targets.get(service_id, {}).values())

    def target(self, service_id: str, instance_id: str) -> Target | None:
        """Return an instance."""
        return self._targets.get(service_id, {}).get(instance_id)

    def follow(self, audience: Audience) -> None:
        """Tell `audience` of every change from now on."""
        self._audience.append(audience)

    # How it is kept true.

    async def renew(self) -> None:
        """Read everything once, and tell what is different. Raises RegistryError."""
        known = snapshot(await read(self._registry), self._registry.capabilities)
        found = await asyncio.gather(*(self._read(ref) for ref in known.refs.values()))
        self._take_over(known)
        for identifier, one in zip(known.refs, found, strict=True):
            self._put(identifier, one)

    async def run(self) -> None:
        """Keep it true until cancelled."""
        async with asyncio.TaskGroup() as group:
            watches = self._registry.capabilities.watches
            if watches and isinstance(self._registry, Watching):
                group.create_task(self._listen(self._registry), name="hints for DNS")
            group.create_task(self._alarm(WATCHED_POLL_SECONDS if watches else POLL_SECONDS), name="polls for DNS")
            while True:
                await self._woken.wait()
                self._woken.clear()
                everything, self._all = self._all, False
                hinted, self._hinted = self._hinted, set()
                try:
                    await (self.renew() if everything else self._renew(hinted))
                    self._fails = False
                except RegistryError as error:
                    self._say(error)

    async def _renew(self, hinted: Iterable[ServiceRef]) -> None:
        for ref in hinted:
            identifier = str(ref)
            if identifier in self._known.services:
                self._put(identifier, await self._read(ref))
            else:  # A new one, or none that is published: that is in the lists.
                await self.renew()
                return

    async def _listen(self, registry: Watching) -> None:
        while True:
            try:
                async for hint in registry.changed():
                    if hint is None:
                        self._all = True
                    else:
                        self._hinted.add(hint)
                    self._woken.set()
            except RegistryError as error:
                self._say(error)
            await self._clock.sleep(POLL_SECONDS)

    async def _alarm(self, seconds: float) -> None:
        """Have everything read every so often; what could not be read, as if nothing watched."""
        due = self._clock.monotonic()
        while True:
            if self._fails or self._clock.monotonic() >= due:
                self._all = True
                self._woken.set()
                due = self._clock.monotonic() + seconds
            await self._clock.sleep(POLL_SECONDS)

    async def _read(self, ref: ServiceRef) -> Mapping[str, Target]:
        async with self._turns:
            try:
                return {each.id: each for each in targets(await self._registry.instances(ref))}
            except NotFound:  # Removed meanwhile: the next list says so.
                return {}

    def _take_over(self, known: Snapshot) -> None:
        """Tell of zones and services: what goes, inside first; then what comes, outside first."""
        before, self._known = self._known, known
        gone = [each for each in before.services if before.services[each] != known.services.get(each)]
        for identifier in gone:
            kept = self._known.services.pop(identifier, None)
            self._tell_service(identifier)
            self._targets.pop(identifier, None)
            if kept is not None:
                self._known.services[identifier] = kept
        for zone in [
            each for each in {**before.zones, **known.zones} if before.zones.get(each) != known.zones.get(each)
        ]:
            for audience in self._audience:
                audience.namespace_changed(zone)
        for identifier, service in known.services.items():
            if before.services.get(identifier) != service:
                self._tell_service(identifier)

    def _tell_service(self, identifier: str) -> None:
        for audience in self._audience:
            audience.service_changed(identifier)

    def _put(self, identifier: str, found: Mapping[str, Target]) -> None:
        before = self._targets.get(identifier, {})
        self._targets[identifier] = found
        changed = [each for each in {**before, **found} if before.get(each) != found.get(each)]
        for instance_id in changed:
            for audience in self._audience:
                audience.instance_changed(identifier, instance_id)

    def _say(self, error: RegistryError) -> None:
        """Say once that it does not answer, and not each time that it is asked."""
        if not self._fails:
            _log.warning("DNS goes on with what it knew last of registry %s: %s", self._registry.name, error)
        self._fails = True


@asynccontextmanager
async def followed(registry: Registry, clock: Clock) -> AsyncIterator[Zones]:
    """Give the zones of a registry, and keep them true until the context ends. They may be empty at first."""
    zones = Zones(registry, clock)
    async with running_beside("zones", zones.run()):
        yield zones
