"""For tests of whatever watches: a listener that remembers, a task beside the test, waiting on a condition."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kube_registrar.cluster.mirror import Record


@dataclass
class Heard:
    """A listener of list-and-watch. `there`: what it believes to exist, by name; `log`: all it heard, in order."""

    there: dict[str, Any] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    syncs: int = 0

    def applied(self, record: Record) -> None:
        """It is there."""
        self.there[record.name] = record
        self.log.append(("applied", record.name))

    def deleted(self, record: Record, seen: bool) -> None:  # noqa: FBT001  # the listener's interface
        """It is gone; logged as `deleted` when that was seen, else as `missing`."""
        self.there.pop(record.name, None)
        self.log.append(("deleted" if seen else "missing", record.name))

    def synced(self) -> None:
        """All has been told."""
        self.syncs += 1
        self.log.append(("synced", ""))

    def names(self, what: str) -> list[str]:
        """Return the names of all that was logged as `what`, sorted."""
        return sorted(name for said, name in self.log if said == what)


@asynccontextmanager
async def running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run a coroutine function beside the test and cancel it at the end; what it raises fails the test."""
    task = asyncio.ensure_future(run())
    try:
        yield
        if task.done():
            await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(condition: Callable[[], object], what: str, *, within: float = 30.0) -> None:
    """Return when `condition()` is true; after `within` seconds AssertionError, which says `what` was waited for."""
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110  # any condition, which nobody could announce
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {within:g} s for {what}") from None
