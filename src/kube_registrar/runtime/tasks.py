"""Long-running work in an asyncio.TaskGroup, where each piece has a name and a crash says which piece it was."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any


class TaskEnded(RuntimeError):
    """Work that must run as long as the process has come to its end."""


def start(group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
    """Run work that may end. If it raises, the group ends, and the error carries a note that names the task."""
    return group.create_task(_named(name, work), name=name)


def keep_running(group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
    """Run work that must not end by itself: a return is a crash as well (TaskEnded)."""
    return group.create_task(_named(name, work, must_last=True), name=name)


@asynccontextmanager
async def running_beside(name: str, work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run work that must not end by itself while what is within the context runs; its crash ends that."""
    async with asyncio.TaskGroup() as group:
        task = keep_running(group, name, work)
        try:
            yield
        finally:
            task.cancel()


async def _named(name: str, work: Coroutine[Any, Any, object], *, must_last: bool = False) -> None:
    try:
        await work
        if must_last:
            raise TaskEnded(f"the task {name!r} has ended, and nothing else does its work")
    except Exception as error:
        error.add_note(f"in the task {name!r}")
        raise


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what went wrong inside groups of exceptions, however deep; an error that is no group yields itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error
