"""Questions under way: nobody waits for an answer, and nothing is asked twice at once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Questions(Generic[K]):
    """Tasks that ask, at most one for each key. Whoever asks says `answered` once it has the answer."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[None]] = {}

    def __contains__(self, key: K) -> bool:
        """Whether this is being asked."""
        return key in self._tasks

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self._tasks)

    def begin(self, key: K, ask: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Ask, unless that is under way. `name`: of the task, for who debugs."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(ask(), name=name)

    def answered(self, key: K) -> None:
        """Note that the question which is under way has its answer, and may be asked again.

        Only the task that asks may say so: one that was forgotten is cancelled, and comes no further.
        """
        del self._tasks[key]

    def forget(self, key: K) -> None:
        """Ask this no longer."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Ask nothing any more, and return when the tasks have ended."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
