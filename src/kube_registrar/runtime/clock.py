"""Time as a thing that is given, so that tests give their own."""

import asyncio
import time
from typing import Protocol

# It goes on while a machine sleeps, as leases do that others hold; CLOCK_MONOTONIC of Linux stands still then.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Time in seconds."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock."""


class SystemClock:
    """The machine's time."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.clock_gettime(_MONOTONIC)

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(max(seconds, 0.0))
