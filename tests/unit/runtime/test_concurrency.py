"""Several things at once: results as they come, and nothing left running."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from kube_registrar.runtime.concurrency import as_they_finish


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
