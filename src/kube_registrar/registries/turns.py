"""Who waits for what is scarce: the most urgent first, and among those as urgent each asker in turn.

A service with a thousand changes must not keep one with a single change waiting. Each that comes is given the number of
the round in which it would be served if every asker had one turn a round; start-time fair queueing (Goyal, Vin and
Cheng, 1996), where each costs as much.
"""

import asyncio
import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from kube_registrar.model.changes import Urgency

T = TypeVar("T")


class Turns(Generic[T]):
    """A line, in the order in which it is served. False when it is empty."""

    def __init__(self) -> None:
        self._heap: list[tuple[Urgency, int, int, T]] = []
        self._order = itertools.count()
        self._round: dict[Urgency, int] = defaultdict(int)
        """In which round the last one was served."""
        self._last: dict[tuple[Urgency, Hashable], int] = {}
        """In which round the last that waits of each asker is served."""

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, waiting: T, urgency: Urgency, asker: Hashable) -> None:
        """Take one in."""
        turn = max(self._round[urgency], self._last.get((urgency, asker), 0)) + 1
        self._last[urgency, asker] = turn
        heapq.heappush(self._heap, (urgency, turn, next(self._order), waiting))

    def first(self) -> T:
        """Return who is next, and stays. IndexError if nobody waits."""
        return self._heap[0][-1]

    def take(self) -> T:
        """Return who is next, and forget it. IndexError if nobody waits."""
        urgency, turn, _, waiting = heapq.heappop(self._heap)
        self._round[urgency] = turn
        if not self._heap:  # nobody has had more than others of what nobody waits for
            self._last.clear()
            self._round.clear()
        return waiting

    def take_all(self) -> list[T]:
        """Return all who wait, and forget them."""
        waiting = [each[-1] for each in self._heap]
        self._heap.clear()
        return waiting


class Waiting(Turns["asyncio.Future[T]"], Generic[T]):
    """Callers that wait to be given something."""

    async def wait(self, urgency: Urgency, asker: Hashable, unused: Callable[[], None]) -> T:
        """Wait for it. `unused` is called if it was given in the moment in which the caller was cancelled."""
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.add(turn, urgency, asker)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                unused()
            raise

    def give(self, what: T) -> bool:
        """Give it to who is next; False if nobody waits."""
        while self:
            turn = self.take()
            if not turn.done():
                turn.set_result(what)
                return True
        return False
