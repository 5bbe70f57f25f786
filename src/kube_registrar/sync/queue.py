"""A queue of keys: each stands in it once, and is with one worker at a time.

The rules are those of client-go's workqueue: a key added while a worker has it comes again when that worker is done,
so no change is missed and none is handled twice at once.
"""

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from kube_registrar.runtime.clock import Clock

Key = TypeVar("Key", bound=Hashable)


class KeyedQueue(Generic[Key]):
    """Keys in the order of their first addition; `add_after` waits on the injected clock.

    `waited` hears how long each key stood in the queue, in seconds, when a worker takes it.
    """

    def __init__(self, clock: Clock, waited: Callable[[float], None] = lambda _: None) -> None:
        self._clock = clock
        self._waited = waited
        self._since: dict[Key, float] = {}
        self._order: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._readable = asyncio.Semaphore(0)
        self._due: dict[Key, float] = {}
        self._times: list[tuple[float, int, Key]] = []
        self._number = itertools.count()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf

    def __len__(self) -> int:
        return len(self._waiting) + len(self._again)

    @property
    def is_idle(self) -> bool:
        """Whether nothing stands in the queue and no worker has a key; timers do not count."""
        return not (self._waiting or self._working)

    @property
    def oldest_seconds(self) -> float:
        """How long the key that is next has stood in the queue; 0 if there is none."""
        return self._clock.monotonic() - self._since[self._order[0]] if self._order else 0.0

    def add(self, key: Key) -> None:
        """Put the key in, unless it stands there."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._since[key] = self._clock.monotonic()
            self._order.append(key)
            self._readable.release()

    def add_after(self, key: Key, seconds: float) -> None:
        """Put the key in after `seconds`; the earliest of several times counts."""
        due = self._clock.monotonic() + seconds
        if due < self._due.get(key, math.inf):
            self._due[key] = due
            heapq.heappush(self._times, (due, next(self._number), key))
            self._set_alarm()

    def _set_alarm(self) -> None:
        """Have the keys put in when the first of them is due: one task, however many keys wait."""
        due = self._times[0][0] if self._times else math.inf
        if due < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = due
            self._alarm = asyncio.create_task(self._ring(due - self._clock.monotonic()))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        now = self._clock.monotonic()
        while self._times and self._times[0][0] <= now:
            due, _number, key = heapq.heappop(self._times)
            if self._due.get(key) == due:  # else an earlier time has counted
                del self._due[key]
                self.add(key)
        self._alarm, self._alarm_at = None, math.inf
        self._set_alarm()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Key]:
        """Wait for a key and hold it while the context is open."""
        await self._readable.acquire()
        key = self._order.popleft()
        self._waiting.remove(key)
        self._working.add(key)
        self._waited(self._clock.monotonic() - self._since.pop(key))
        try:
            yield key
        finally:
            self._working.remove(key)
            if key in self._again:
                self._again.remove(key)
                self.add(key)

    async def close(self) -> None:
        """Forget the keys that wait for their time."""
        self._due.clear()
        self._times.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            await asyncio.gather(self._alarm, return_exceptions=True)
            self._alarm, self._alarm_at = None, math.inf
