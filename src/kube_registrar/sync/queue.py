"""A queue of keys: each stands in it once, and is with one worker at a time.

The rules are those of client-go's workqueue: a key added while a worker has it comes again when that worker is done,
so no change is missed and none is handled twice at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from kube_registrar.runtime.clock import Clock

Key = TypeVar("Key", bound=Hashable)


class KeyedQueue(Generic[Key]):
    """Keys in the order of their first addition; `add_after` waits on the injected clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, tuple[float, asyncio.Task[None]]] = {}
        self._readable = asyncio.Semaphore(0)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._again)

    @property
    def is_idle(self) -> bool:
        """Whether nothing stands in the queue and no worker has a key; timers do not count."""
        return not (self._waiting or self._working)

    def add(self, key: Key) -> None:
        """Put the key in, unless it stands there."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._order.append(key)
            self._readable.release()

    def add_after(self, key: Key, seconds: float) -> None:
        """Put the key in after `seconds`; the earliest of several times counts."""
        due = self._clock.monotonic() + seconds
        pending = self._timers.get(key)
        if pending is not None:
            if pending[0] <= due:
                return
            pending[1].cancel()
        self._timers[key] = (due, asyncio.create_task(self._add_when_due(key, seconds)))

    async def _add_when_due(self, key: Key, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timers.pop(key, None)
        self.add(key)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Key]:
        """Wait for a key and hold it while the context is open."""
        await self._readable.acquire()
        key = self._order.popleft()
        self._waiting.remove(key)
        self._working.add(key)
        try:
            yield key
        finally:
            self._working.remove(key)
            if key in self._again:
                self._again.remove(key)
                self.add(key)

    def close(self) -> None:
        """Forget the timers."""
        for _due, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
