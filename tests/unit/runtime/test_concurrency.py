"""Several things at once: results as they come, and nothing left running."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from kube_registrar.runtime.concurrency import Place, Window, as_they_finish, in_turn


async def after(turn: asyncio.Event, result: str) -> str:
    await turn.wait()
    return result


async def test_results_come_in_the_order_in_which_they_end() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    results = as_they_finish([after(second, "second"), after(first, "first")])
    first.set()
    assert await anext(results) == "first"
    second.set()
    assert [result async for result in results] == ["second"]


async def test_nothing_asked_for_is_nothing_given() -> None:
    nothing: list[Coroutine[Any, Any, str]] = []
    assert [result async for result in as_they_finish(nothing)] == []


async def test_closing_early_ends_what_is_left() -> None:
    done, never, cleaned = asyncio.Event(), asyncio.Event(), list[str]()

    async def cleaning() -> str:
        try:
            return await after(never, "never")
        finally:
            cleaned.append("cleaned")

    done.set()
    results = as_they_finish([after(done, "done"), cleaning()])
    assert await anext(results) == "done"
    await results.aclose()
    assert cleaned == ["cleaned"]
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_is_raised_and_ends_what_is_left() -> None:
    async def failing() -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        _ = [result async for result in as_they_finish([after(asyncio.Event(), "never"), failing()])]
    assert len(asyncio.all_tasks()) == 1


class Begun:
    """What a window lets begin: each leaves its place, or ends, when it is told to."""

    def __init__(self, count: int) -> None:
        self.begun: list[int] = []
        self.under_way = [asyncio.Event() for _ in range(count)]
        self.done = [asyncio.Event() for _ in range(count)]
        self._count = count

    def within(self, window: Window) -> AsyncGenerator[int]:
        return in_turn([(window, partial(self.work, number)) for number in range(self._count)])

    def begin(self, number: int) -> Callable[[Place], Coroutine[Any, Any, int]]:
        return partial(self.work, number)

    async def work(self, number: int, place: Place) -> int:
        self.begun.append(number)
        await self.under_way[number].wait()
        place.leave()
        place.leave()
        await self.done[number].wait()
        return number


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_begins_at_once_and_a_window_lets_the_next_begin_once_one_is_under_way() -> None:
    work, window = Begun(5), Window(2)
    results = work.within(window)
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert work.begun == [0, 1, 2]
    work.under_way[1].set()
    await settle()
    assert work.begun == [0, 1, 2, 3]
    for event in (*work.under_way, *work.done):
        event.set()
    assert sorted([await first, *[result async for result in results]]) == [0, 1, 2, 3, 4]


async def test_a_place_is_free_again_when_its_holder_ends_or_is_cancelled() -> None:
    window, waits = Window(1), Begun(1)

    async def failing(_: Place) -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await anext(in_turn([(window, waits.begin(0)), (window, failing)]))
    work = Begun(3)
    results = work.within(window)
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert work.begun == [0, 1]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await results.aclose()
    again = Begun(2)
    for event in (*again.under_way, *again.done):
        event.set()
    assert [result async for result in again.within(window)] == [0, 1]
    assert len(asyncio.all_tasks()) == 1


async def test_who_has_little_to_do_waits_for_nobody_and_others_share_a_window_in_the_order_of_coming() -> None:
    window, much, more, little = Window(1), Begun(3), Begun(2), Begun(1)
    tasks = [asyncio.ensure_future(anext(each.within(window))) for each in (much, more, little)]
    await settle()
    assert (much.begun, more.begun, little.begun) == ([0, 1], [0], [0])
    much.under_way[1].set()
    await settle()
    assert (much.begun, more.begun) == ([0, 1, 2], [0])
    much.under_way[2].set()
    await settle()
    assert more.begun == [0, 1]
    for each in (much, more, little):
        for event in (*each.under_way, *each.done):
            event.set()
    assert await asyncio.gather(*tasks) == [0, 0, 0]


async def test_a_window_that_is_full_keeps_nobody_from_another() -> None:
    full, free = Window(1), Window(1)
    waits, goes = Begun(3), Begun(2)
    for event in (*goes.under_way, *goes.done):
        event.set()
    results = in_turn(
        [(full, partial(waits.work, number)) for number in range(3)]
        + [(free, partial(goes.work, number)) for number in range(2)]
    )
    assert [await anext(results) for _ in range(2)] == [0, 1]
    assert (waits.begun, goes.begun) == ([0, 1], [0, 1])
    await results.aclose()
    assert len(asyncio.all_tasks()) == 1
