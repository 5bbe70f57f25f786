"""The queue: no key is missed, and none is with two workers at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic=0.0)


@pytest.fixture
async def queue(clock: FakeClock) -> AsyncIterator[KeyedQueue[str]]:
    queue = KeyedQueue[str](clock)
    yield queue
    await queue.close()


class Worker:
    """Takes keys and gives each back when it is told to."""

    def __init__(self, queue: KeyedQueue[str]) -> None:
        self.queue = queue
        self.taken: list[str] = []
        self.go = asyncio.Semaphore(0)
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self.queue.take() as key:
                self.taken.append(key)
                await self.go.acquire()


async def test_a_key_stands_in_the_queue_once_and_in_the_order_of_its_first_addition(
    queue: KeyedQueue[str], clock: FakeClock
) -> None:
    for key in ("a", "b", "a", "c", "b"):
        queue.add(key)
    assert len(queue) == 3
    worker = Worker(queue)
    worker.go = asyncio.Semaphore(9)
    await clock.settle()
    assert worker.taken == ["a", "b", "c"]
    assert queue.is_idle
    worker.task.cancel()


async def test_a_key_that_is_added_while_it_is_worked_on_comes_again_and_to_nobody_else_meanwhile(
    queue: KeyedQueue[str], clock: FakeClock
) -> None:
    queue.add("a")
    first, second = Worker(queue), Worker(queue)
    await clock.settle()
    queue.add("a")
    queue.add("a")
    await clock.settle()
    assert sorted(first.taken + second.taken) == ["a"]
    (first if first.taken else second).go.release()
    await clock.settle()
    assert sorted(first.taken + second.taken) == ["a", "a"]
    assert len(queue) == 0
    first.task.cancel()
    second.task.cancel()


async def test_a_worker_that_fails_gives_its_key_back(queue: KeyedQueue[str]) -> None:
    queue.add("a")

    async def fail() -> None:
        async with queue.take():
            queue.add("a")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with queue.take() as key:
        assert key == "a"


async def test_the_earliest_of_several_times_counts(queue: KeyedQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10.0)
    queue.add_after("b", 7.0)
    queue.add_after("a", 5.0)
    queue.add_after("a", 20.0)
    seen = []
    for moment in range(1, 31):
        await clock.advance(1.0)
        while len(queue):
            async with queue.take() as key:
                seen.append((key, moment))
    assert seen == [("a", 5), ("b", 7)]


async def test_a_time_may_be_set_again_after_it_has_come(queue: KeyedQueue[str], clock: FakeClock) -> None:
    for _ in range(3):
        queue.add_after("a", 1.0)
        await clock.advance(1.0)
        assert len(queue) == 1
        async with queue.take() as key:
            assert key == "a"


async def test_many_keys_that_wait_are_one_task(queue: KeyedQueue[str], clock: FakeClock) -> None:
    before = len(asyncio.all_tasks())
    for number in range(1_000):
        queue.add_after(str(number), 1_000.0 - number)
    assert len(asyncio.all_tasks()) - before <= 1_000  # those that were cancelled have not run yet
    await clock.settle()
    assert len(asyncio.all_tasks()) == before + 1
    await clock.advance(1_000.0)
    assert len(queue) == 1_000


async def test_closing_forgets_what_waits(queue: KeyedQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 1.0)
    await queue.close()
    await clock.advance(2.0)
    assert len(queue) == 0
    assert clock.next_wake is None


async def test_a_taker_that_is_cancelled_loses_no_key(queue: KeyedQueue[str], clock: FakeClock) -> None:
    first, second = Worker(queue), Worker(queue)
    await clock.settle()
    queue.add("a")
    first.task.cancel()
    await clock.settle()
    assert second.taken == ["a"]
    second.task.cancel()
