"""A number of things that can be done at a time, given to the most urgent first: what a pool of threads does not do."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from kube_registrar.model.changes import Urgency
from kube_registrar.registries.turns import Turns


class Slots:
    """So many at a time; who waits is served by urgency, then each asker in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = Turns[asyncio.Future[None]]()

    @asynccontextmanager
    async def taken(self, urgency: Urgency, asker: Hashable = None) -> AsyncIterator[None]:
        """Wait for a slot, and hold it."""
        if self._free:
            self._free -= 1
        else:
            await self._turn(urgency, asker)
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self, urgency: Urgency, asker: Hashable) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(turn, urgency, asker)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given to us in the moment in which we were cancelled
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.take()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
