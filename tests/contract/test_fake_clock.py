"""The clock of the tests: moves only when it is told to, and wakes in order."""

import asyncio

import pytest

from kube_registrar.testing.clock import FakeClock


async def test_sleepers_wake_at_their_own_time_and_in_order() -> None:
    clock, woken = FakeClock(monotonic=0.0), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, seconds)) for name, seconds in [("b", 2.0), ("a", 1.0), ("c", 2.0)]]
    await clock.advance(1.5)
    assert woken == [("a", 1.0)]
    assert clock.monotonic() == 1.5
    await clock.advance(0.5)
    assert woken == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    await asyncio.gather(*tasks)


async def test_one_advance_covers_sleeps_that_begin_meanwhile() -> None:
    clock, beats = FakeClock(monotonic=0.0, time=100.0), list[float]()

    async def beat() -> None:
        while True:
            await clock.sleep(1.0)
            beats.append(clock.time())

    task = asyncio.create_task(beat())
    await clock.advance(3.0)
    task.cancel()
    assert beats == [101.0, 102.0, 103.0]


async def test_a_cancelled_sleep_wakes_nobody() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1.0))
    await clock.settle()
    before = clock.next_wake
    task.cancel()
    await clock.advance(2.0)
    assert (before, clock.next_wake) == (1_001.0, None)
    assert task.cancelled()


async def test_run_lets_as_much_time_pass_as_is_slept() -> None:
    clock = FakeClock(monotonic=0.0)

    async def slow() -> str:
        await clock.sleep(30.0)
        await clock.sleep(40.0)
        return "done"

    assert await clock.run(slow()) == "done"
    assert clock.monotonic() == 70.0


async def test_run_says_when_nothing_can_happen_any_more() -> None:
    clock = FakeClock()
    with pytest.raises(AssertionError, match="nobody sleeps"):
        await clock.run(asyncio.Event().wait())
    with pytest.raises(AssertionError, match="the next sleeper wakes at 1100"):
        await clock.run(clock.sleep(100.0), within=99.0)


async def test_a_task_that_spins_is_told_from_an_idle_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.testing.clock._MOST_ROUNDS", 100)

    async def spin() -> None:
        for _ in range(1_000):
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="never became idle"):
        await FakeClock().settle()
    task.cancel()
