"""Follows the hints of a registry that watches: what somebody else changed there is looked at again at once.

A hint is no truth, only a reason to look; a registry that gives none is read as often as any other.
"""

import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from kube_registrar.model.refs import ServiceRef
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.reconcile import RegistrySync

GATHER_SECONDS: Final = 0.1
"""What comes within this is looked at together: somebody who writes one instance often writes more."""
LEAST_SECONDS: Final = 1.0
"""How soon one service is looked at again for hints, however many there are."""
SPREAD_SECONDS: Final = 5.0
"""Over this long all services are looked at, where it cannot be known which changed."""

_log = logging.getLogger(__name__)


class HintFollower:
    """Has services read anew that somebody else changed. Nothing that the registry does ends it."""

    def __init__(self, sync: RegistrySync, clock: Clock, draw: random.Random, unknown: Callable[[], None]) -> None:
        """`unknown` is told where a hint may be about a service that nobody knew."""
        self._sync = sync
        self._unknown = unknown
        self._clock = clock
        self._draw = draw
        self._due: dict[ServiceRef, float] = {}
        """When each service is looked at, or was, for a hint."""

    async def run(self) -> None:
        """Follow until cancelled; where the registry gives no hints there is nothing to do."""
        registry, backoff = self._sync.registry, Backoff(draw=self._draw)
        while registry.capabilities.watches:
            await self._sync.circuit.until_closed()
            try:
                async with aclosing(registry.changed()) as hints:
                    async for hint in hints:
                        backoff.succeeded()
                        self._hear(hint)
            except Exception as error:  # noqa: BLE001 - a backend that breaks its contract gives no hints, and no more
                _log.warning("registry %s gives no hints, it is read from time to time: %s", registry.name, error)
            await self._clock.sleep(backoff.failed())

    def _hear(self, hint: ServiceRef | None) -> None:
        known = self._sync.observed.services()
        if hint is None or hint not in known:
            self._unknown()
        if hint is None:
            for service in sorted(known):
                self._look(service, self._draw.uniform(0.0, SPREAD_SECONDS))
        elif hint in known:
            self._look(hint, GATHER_SECONDS)

    def _look(self, service: ServiceRef, wait: float) -> None:
        now = self._clock.monotonic()
        if (due := self._due.get(service)) is not None:
            if now < due:
                return  # it is looked at anyway, and later than this hint
            wait = max(wait, due + LEAST_SECONDS - now)
        self._due[service] = now + wait
        self._sync.observed.of(service).look_by(now + wait)
        self._sync.queue.add_after(service, wait)
