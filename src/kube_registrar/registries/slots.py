"""A number of things that can be done at a time, given to the most urgent first: what a pool of threads does not do."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from kube_registrar.model.changes import Urgency
from kube_registrar.registries.turns import Waiting


class Slots:
    """So many at a time; who waits is served by urgency, then each asker in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = Waiting[None]()

    @asynccontextmanager
    async def taken(self, urgency: Urgency, asker: Hashable = None) -> AsyncIterator[None]:
        """Wait for a slot, and hold it."""
        if self._free:
            self._free -= 1
        else:
            await self._waiting.wait(urgency, asker, self._pass_on)
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        if not self._waiting.give(None):
            self._free += 1
