"""A registry that could not be opened at the start, for a reason that may pass: it is tried again until it is open."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName, ServiceRef
from kube_registrar.registries.absent import UNKNOWN, Absent
from kube_registrar.registries.contained import Contained, patience
from kube_registrar.registries.port import Capabilities, Registry
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock

_AGAIN: Final = "; it is tried again by itself"

_log = logging.getLogger(__name__)


class Awaited(Contained):
    """A `Contained` registry: an `Absent` one at first, and what is opened once that succeeds."""

    def __init__(
        self,
        name: RegistryName,
        why: str,
        can: Capabilities | None,
        *,
        opening: Callable[[], AbstractAsyncContextManager[Registry]],
        dress: Callable[[Registry], Registry],
        clock: Clock,
    ) -> None:
        """`can`: what its kind says of itself, if anything. `dress`: puts what counts requests around a registry."""
        self._opening = opening
        self._clock = clock
        self._name = name
        self._dress = dress
        # Whoever asks whether there are hints asks once: so there are, and `changed` waits for them.
        self._can = replace(can or UNKNOWN, watches=True)
        self._why = why
        super().__init__(self._absent())
        self._is_open = asyncio.Event()

    async def changed(self) -> AsyncIterator[ServiceRef | None]:
        """See `Watching.changed`; nothing before it is open."""
        await self._is_open.wait()
        async for hint in super().changed():
            yield hint

    async def keep(self) -> None:
        """Try until it is open, half a minute apart at most, and hold it open until cancelled."""
        backoff = Backoff()
        while True:
            await self._clock.sleep(backoff.failed())
            try:
                async with self._opening() as registry:
                    self.delegate_to(self._dress(registry), patience(registry))
                    self._is_open.set()
                    _log.info("registry %s is open now", self.name)
                    await asyncio.Event().wait()
            except UserError as error:
                self._say(str(error))

    def _say(self, why: str) -> None:
        if why != self._why:
            _log.warning("%s%s", why, _AGAIN)
            self._why = why
            self.delegate_to(self._absent())

    def _absent(self) -> Registry:
        return self._dress(Absent(self._name, self._why, _AGAIN, can=self._can))
