"""Time that stands still until a test moves it."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_MOST_ROUNDS = 100_000


class FakeClock:
    """A `kube_registrar.runtime.clock.Clock` that only `advance` and its relatives move.

    "Idle" means that no callback of the running loop is due. Threads, sockets and asyncio's own timers are not
    seen, so the code under test takes its time from the clock and speaks to fakes.
    """

    def __init__(self, monotonic: float = 1_000.0, time: float = 1_700_000_000.0) -> None:
        self._now = monotonic
        self._since_1970 = time - monotonic
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return self._now

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._now + self._since_1970

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been advanced by `seconds`; zero or less only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    @property
    def next_wake(self) -> float | None:
        """The monotonic time of the next sleeper; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def settle(self) -> None:
        """Let the loop run until it is idle; the time stays. RuntimeError if it never is."""
        # The length of the ready queue at our own turn is the only exact sign of idleness that asyncio has.
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        if ready is None:
            raise RuntimeError("FakeClock needs asyncio's own event loop; uvloop does not show its queue")
        for _ in range(_MOST_ROUNDS):
            await asyncio.sleep(0)
            if not ready:
                return
        raise RuntimeError("the loop never became idle: some task spins, or two tests' clocks settle at once")

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: wake each sleeper at its own time, in order, and settle after each."""
        end = self._now + seconds
        await self.settle()
        while (wake := self.next_wake) is not None and wake <= end:
            self._now = max(self._now, wake)
            heapq.heappop(self._sleepers)[2].set_result(None)
            await self.settle()
        self._now = end
        await self.settle()

    async def run_until(self, condition: Callable[[], bool], within: float = 3_600.0) -> None:
        """Go from sleeper to sleeper until `condition()` holds, at most `within` seconds; else AssertionError."""
        end = self._now + within
        await self.settle()
        while not condition():
            wake = self.next_wake
            if wake is None or wake > end:
                rest = "nobody sleeps" if wake is None else f"the next sleeper wakes at {wake}"
                raise AssertionError(f"the condition does not hold {within} seconds on: {rest}")
            await self.advance(max(wake - self._now, 0.0))

    async def run(self, awaitable: Awaitable[T], within: float = 3_600.0) -> T:
        """Return what `awaitable` gives, letting as much time pass as it sleeps, at most `within` seconds."""
        task = asyncio.ensure_future(awaitable)
        try:
            await self.run_until(task.done, within)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return task.result()
