"""Doing several things at once, with nothing left running afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from kube_registrar.runtime.clock import Clock

T = TypeVar("T")


async def as_they_finish(coroutines: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[T, None]:
    """Run all at once and yield their results in the order in which they finish.

    Whatever one of them raises is raised here. Closing the generator early, or that error, cancels the rest and
    waits for their end.
    """
    finished: asyncio.Queue[asyncio.Task[T]] = asyncio.Queue()
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(finished.put_nowait)
    try:
        for _ in tasks:
            yield (await finished.get()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Window:
    """So many that have begun and are not yet under way; who waits comes in the order of coming.

    Ten thousand tasks that wait for their turn cost more memory than all that they are about.
    """

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)

    async def enter(self) -> "Place":
        """Wait for a place."""
        await self._places.acquire()
        return Place(self._places)


class Place:
    """A place in a `Window`; without places it is in none."""

    __slots__ = ("_places",)

    def __init__(self, places: asyncio.Semaphore | None = None) -> None:
        self._places = places

    def leave(self) -> None:
        """Let the next one begin. Once is enough, and more does no harm."""
        places, self._places = self._places, None
        if places is not None:
            places.release()

    def left_by(self, _: object) -> None:
        """Leave it, whoever calls that a task is done."""
        self.leave()


Beginning = tuple[Window, Callable[[Place], Coroutine[Any, Any, T]]]
"""What is to begin in a window: it is given its place, and leaves it once it is under way, at the latest at its end."""


async def in_turn(work: Sequence[Beginning[T]]) -> AsyncGenerator[T]:
    """Begin each as its window lets it, and yield results as `as_they_finish` does. No window waits for another.

    The first of each window begins at once: whoever has little to do does not wait for whoever has much.
    """
    finished: asyncio.Queue[asyncio.Task[T]] = asyncio.Queue()
    tasks = set[asyncio.Task[T]]()

    async def begin_all(window: Window) -> None:
        for number, begin in enumerate([begin for where, begin in work if where is window]):
            place = await window.enter() if number else Place()
            task = asyncio.ensure_future(begin(place))
            tasks.add(task)
            task.add_done_callback(place.left_by)
            task.add_done_callback(finished.put_nowait)

    beginning = [asyncio.ensure_future(begin_all(window)) for window in {id(each): each for each, _ in work}.values()]
    try:
        for _ in work:
            task = await finished.get()
            tasks.discard(task)
            yield task.result()
    finally:
        for each in (*beginning, *tasks):
            each.cancel()
        await asyncio.gather(*beginning, *tasks, return_exceptions=True)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` gives, or cancel it and raise TimeoutError when `seconds` of this clock are over."""
    task, alarm = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        for each in (task, alarm):
            each.cancel()
        await asyncio.gather(task, alarm, return_exceptions=True)
