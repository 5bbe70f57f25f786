"""Slots: so many at a time, the most urgent first, and none is ever lost."""

import asyncio

from kube_registrar.model.changes import Urgency
from kube_registrar.registries.slots import Slots


class Workers:
    """Workers that hold a slot until they are let go; `began` says in which order they got one."""

    def __init__(self, count: int) -> None:
        self.slots = Slots(count)
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, urgency: Urgency = Urgency.REGISTER) -> None:
        async def work() -> None:
            async with self.slots.taken(urgency):
                self.began.append(name)
                await self.ends[name].wait()

        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(work())
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)


async def test_the_most_urgent_of_those_who_wait_gets_the_next_slot() -> None:
    workers = Workers(2)
    for name, urgency in [("a", Urgency.REPAIR), ("b", Urgency.REPAIR), ("c", Urgency.REPAIR), ("d", Urgency.REGISTER)]:
        await workers.come(name, urgency)
    await workers.come("e", Urgency.EVICT)
    assert workers.began == ["a", "b"]
    for name in "abecd":
        await workers.end(name)
    assert workers.began == ["a", "b", "e", "d", "c"]


async def test_a_slot_that_was_given_to_one_who_is_cancelled_goes_to_the_next() -> None:
    workers = Workers(1)
    async with workers.slots.taken(Urgency.REGISTER):
        await workers.come("b")
        await workers.come("c")
    workers.tasks["b"].cancel()  # it has been given the slot, and has not run yet
    await asyncio.gather(workers.tasks["b"], return_exceptions=True)
    await asyncio.sleep(0)
    assert workers.began == ["c"]


async def test_one_who_is_cancelled_while_waiting_gets_no_slot() -> None:
    workers = Workers(1)
    for name in "abc":
        await workers.come(name)
    workers.tasks["b"].cancel()
    await workers.end("a")
    assert workers.began == ["a", "c"]
    await workers.end("c")
    await workers.come("d")
    assert workers.began[-1] == "d"
