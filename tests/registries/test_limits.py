"""Token buckets: no faster than told, the most urgent first, slower after a throttle and slowly back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kube_registrar.model.changes import Urgency
from kube_registrar.registries.limits import Limiter, Rate
from kube_registrar.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic=0.0)


@pytest.fixture
async def limiter(clock: FakeClock) -> AsyncIterator[Limiter]:
    async with Limiter({"Write": Rate(10, 2)}, Rate(1, 1), clock) as limiter:
        yield limiter


class Callers:
    """Callers that wait for tokens, and the times at which they got one."""

    def __init__(self, limiter: Limiter, clock: FakeClock) -> None:
        self.limiter, self.clock = limiter, clock
        self.served: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def come(
        self, name: str, urgency: Urgency = Urgency.REGISTER, operation: str = "Write", asker: str = ""
    ) -> asyncio.Task[None]:
        async def call() -> None:
            await self.limiter.acquire(operation, urgency, asker)
            self.served.append((name, round(self.clock.monotonic(), 6)))

        self.tasks.append(asyncio.create_task(call()))
        return self.tasks[-1]

    @property
    def names(self) -> str:
        return "".join(name for name, _ in self.served)


@pytest.fixture
def callers(limiter: Limiter, clock: FakeClock) -> Callers:
    return Callers(limiter, clock)


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate(callers: Callers, clock: FakeClock) -> None:
    for name in "abcde":
        callers.come(name)
    await clock.advance(1.0)
    assert callers.served == [("a", 0.0), ("b", 0.0), ("c", 0.1), ("d", 0.2), ("e", 0.3)]


async def test_a_pause_gives_no_more_than_the_burst(callers: Callers, clock: FakeClock) -> None:
    await clock.advance(3_600.0)
    for name in "abc":
        callers.come(name)
    await clock.settle()
    assert callers.names == "ab"


async def test_the_most_urgent_goes_first_and_then_the_first_come(callers: Callers, clock: FakeClock) -> None:
    for name in "xy":
        callers.come(name)
    for name, urgency in [("r1", Urgency.REPAIR), ("n1", Urgency.REGISTER), ("e1", Urgency.EVICT)]:
        callers.come(name + " ", urgency)
    await clock.settle()
    callers.come("e2 ", Urgency.EVICT)
    callers.come("n2 ", Urgency.REGISTER)
    await clock.advance(1.0)
    assert callers.names == "xye1 e2 n1 n2 r1 "


async def test_an_urgent_newcomer_overtakes_those_that_wait(callers: Callers, clock: FakeClock) -> None:
    for name in "abcd":
        callers.come(name, Urgency.REPAIR)
    await clock.advance(0.15)
    callers.come("!", Urgency.EVICT)
    await clock.advance(1.0)
    assert callers.served[2:] == [("c", 0.1), ("!", 0.2), ("d", 0.3)]


async def test_of_those_as_urgent_each_asker_has_its_turn(callers: Callers, clock: FakeClock) -> None:
    for name in "xyabcdef":
        callers.come(name, asker="many")
    await clock.advance(0.2)
    callers.come("1", asker="calm")
    for name in "pq":
        callers.come(name, asker="some")
    callers.come("!", Urgency.EVICT, asker="many")
    callers.come("_", Urgency.REPAIR, asker="another")
    await clock.advance(2.0)
    assert callers.names == "xyab!c1pdqef_"


async def test_who_had_many_turns_has_lost_none_once_nobody_waits(callers: Callers, clock: FakeClock) -> None:
    for name in "abcd":
        callers.come(name, asker="many")
    await clock.advance(10.0)
    for name, asker in [("x", ""), ("y", ""), ("e", "many"), ("1", "calm")]:
        callers.come(name, asker=asker)
    await clock.advance(1.0)
    assert callers.names == "abcdxye1"


async def test_operations_have_buckets_of_their_own(callers: Callers, clock: FakeClock) -> None:
    for name in "abcd":
        callers.come(name)
    callers.come("z", operation="Read")
    await clock.settle()
    assert callers.names == "abz"


async def test_a_caller_that_goes_away_takes_no_token(callers: Callers, clock: FakeClock) -> None:
    tasks = [callers.come(name) for name in "abcd"]
    await clock.settle()
    tasks[2].cancel()
    await clock.advance(0.1)
    assert callers.names == "abd"


async def test_a_throttle_halves_the_rate_and_takes_what_was_left(
    limiter: Limiter, callers: Callers, clock: FakeClock
) -> None:
    limiter.throttled(await limiter.acquire("Write"))
    assert limiter.rate("Write") == 5.0
    callers.come("a")
    await clock.advance(0.19)
    assert callers.names == ""
    await clock.advance(0.02)
    assert callers.names == "a"


async def test_one_overload_halves_once(limiter: Limiter, clock: FakeClock) -> None:
    first, second = await limiter.acquire("Write"), await limiter.acquire("Write")
    limiter.throttled(first)
    limiter.throttled(second)
    assert limiter.rate("Write") == 5.0
    third = await clock.run(limiter.acquire("Write"))
    slower = limiter.rate("Write")
    limiter.throttled(third)
    assert limiter.rate("Write") == pytest.approx(slower / 2)


async def test_the_rate_recovers_slowly_and_to_no_more_than_it_was(limiter: Limiter, clock: FakeClock) -> None:
    limiter.throttled(await limiter.acquire("Write"))
    await clock.advance(7.5)
    assert limiter.rate("Write") == pytest.approx(7.5)
    await clock.advance(100.0)
    assert limiter.rate("Write") == 10.0


async def test_however_many_throttles_it_never_stands_still(limiter: Limiter, clock: FakeClock) -> None:
    for _ in range(50):
        limiter.throttled(await clock.run(limiter.acquire("Write")))
    assert limiter.rate("Write") >= 10 / 16


async def test_leaving_the_limiter_lets_nobody_wait_for_ever(clock: FakeClock) -> None:
    async with Limiter({}, Rate(1, 1), clock) as limiter:
        await limiter.acquire("Read")
        waiting = asyncio.create_task(limiter.acquire("Read"))
        await clock.settle()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.fixture
async def together(clock: FakeClock) -> AsyncIterator[Limiter]:
    rates = {"Register": Rate(10, 2), "Deregister": Rate(10, 2)}
    async with Limiter(rates, Rate(1, 1), clock, shared=rates) as limiter:
        yield limiter


async def test_operations_that_share_a_bucket_are_together_no_faster(together: Limiter, clock: FakeClock) -> None:
    callers = Callers(together, clock)
    for name in "abcd":
        callers.come(name, operation="Register")
        callers.come(name.upper(), operation="Deregister")
    await clock.advance(1.0)
    assert [at for _, at in callers.served] == [0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


async def test_of_operations_that_share_a_bucket_the_most_urgent_goes_first(
    together: Limiter, clock: FakeClock
) -> None:
    callers = Callers(together, clock)
    for name in "abcdef":
        callers.come(name, operation="Register")
    await clock.advance(0.15)
    for name in "XYZ":
        callers.come(name, Urgency.EVICT, operation="Deregister")
    await clock.advance(1.0)
    # One register had its own token and waited for the shared one; the evictions overtake it there, too.
    assert callers.names == "abcXYZdef"


async def test_a_throttle_of_one_slows_the_operations_that_share_its_bucket(
    together: Limiter, clock: FakeClock
) -> None:
    ticket = await clock.run(together.acquire("Register"))
    await together.acquire("Deregister")
    together.throttled(ticket)
    assert (together.rate("Register"), together.rate("Deregister")) == (5.0, 5.0)


def test_a_rate_reads_as_it_is_written() -> None:
    assert Rate.parse("48/90") == Rate(48.0, 90)
    assert Rate.parse("0.5/5") == Rate(0.5, 5)
    assert str(Rate.parse("0.5/5")) == "0.5/5"


@pytest.mark.parametrize("text", ["", "48", "48/", "/90", "-1/5", "48/9.5", "0/5", "5/0", "48 / 90", "48/90 "])
def test_what_is_no_rate_is_told_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"calls a second, a slash and a burst, such as 48/90"):
        Rate.parse(text)


async def given_and_cancelled(callers: Callers, clock: FakeClock) -> None:
    """Let the first who waits be given a token, and be cancelled before it runs."""
    await clock.advance(0.0)
    callers.limiter._bucket("Write", Rate(10, 2))._waiting.take().set_result(0)
    callers.tasks[2].cancel()
    await clock.advance(0.0)


async def test_a_token_that_was_given_to_one_who_is_cancelled_goes_to_the_next(
    callers: Callers, clock: FakeClock
) -> None:
    for name in "abcd":
        callers.come(name)
    await given_and_cancelled(callers, clock)
    assert callers.served == [("a", 0.0), ("b", 0.0), ("d", 0.0)]


async def test_a_token_that_nobody_waits_for_is_kept(callers: Callers, clock: FakeClock) -> None:
    for name in "abc":
        callers.come(name)
    await given_and_cancelled(callers, clock)
    callers.come("d")
    await clock.advance(0.0)
    assert callers.served == [("a", 0.0), ("b", 0.0), ("d", 0.0)]


async def test_who_is_cancelled_while_it_waits_for_the_shared_token_keeps_none(clock: FakeClock) -> None:
    rates = {"Write": Rate(1, 1), "Remove": Rate(2, 1)}
    async with Limiter(rates, Rate(1, 1), clock, shared=rates) as limiter:
        callers = Callers(limiter, clock)
        callers.come("a", operation="Remove")
        await clock.advance(0.0)
        waiting = callers.come("b", operation="Write")  # it has its own token, and waits for the shared one
        await clock.advance(0.1)
        waiting.cancel()
        await clock.advance(0.4)
        callers.come("c", operation="Write")
        await clock.advance(0.0)
        assert callers.served == [("a", 0.0), ("c", 0.5)]
