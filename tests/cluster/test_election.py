"""Who leads: the rules, on a clock that stands still and a Lease in memory."""

import logging
import random
from collections.abc import AsyncIterator, Callable

import pytest

from kube_registrar.cluster.errors import ApiForbidden, ApiUnreachable
from kube_registrar.cluster.lease import Lease
from kube_registrar.testing.clock import FakeClock
from tests.cluster.elections import Candidate, Stored

NewCandidate = Callable[..., Candidate]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
async def candidate(stored: Stored, clock: FakeClock) -> AsyncIterator[NewCandidate]:
    made: list[Candidate] = []

    def new(name: str, seed: int = 0) -> Candidate:
        made.append(Candidate(name, stored, clock, seed))
        made[-1].start()
        return made[-1]

    yield new
    for each in made:
        each.view.hangs, each.view.error, each.view.seconds = False, None, 0.0
        await each.stop()


def holder(stored: Stored) -> str:
    assert stored.lease is not None
    return stored.lease.holder


async def test_the_first_one_leads_and_the_second_stands_by(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.settle()
    second = candidate("second")
    await clock.advance(3_600.0)
    assert (first.leads, first.elector.is_leading, first.times) == (True, True, 1)
    assert (second.leads, second.elector.is_leading, second.fence.admits(0.0)) == (False, False, False)
    assert stored.lease is not None
    assert (holder(stored), stored.lease.seconds, stored.lease.transitions) == ("first", 10, 0)


async def test_of_two_that_begin_at_once_one_leads(candidate: NewCandidate, clock: FakeClock) -> None:
    both = candidate("a"), candidate("b")
    await clock.advance(60.0)
    assert [each.leads for each in both].count(True) == 1


async def test_a_lease_that_is_released_is_taken_at_once(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.settle()
    second = candidate("second")
    await clock.advance(5.0)
    await first.stop()
    assert not first.leads
    await clock.settle()  # no time passes
    assert (second.leads, holder(stored)) == (True, "second")
    assert stored.lease is not None
    assert stored.lease.transitions == 1


async def test_without_its_watch_a_released_lease_is_taken_at_the_next_look(
    candidate: NewCandidate, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.settle()
    second = candidate("second")
    second.view.watches = False
    await clock.advance(5.0)
    await first.stop()
    await clock.advance(2.4)
    assert second.leads


async def test_a_released_lease_says_so_as_others_write_it(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.advance(3.0)
    await first.stop()
    assert stored.lease is not None
    assert (holder(stored), stored.lease.seconds) == ("", 1)
    assert not first.fence.admits(0.0)


async def test_one_that_is_cut_off_stops_before_another_takes_over(candidate: NewCandidate, clock: FakeClock) -> None:
    first = candidate("first")
    await clock.settle()
    second = candidate("second")
    await clock.advance(4.9)
    cut = clock.monotonic()
    first.dies()
    await clock.run_until(lambda: not first.leads, within=6.1)
    assert not first.fence.admits(0.0)
    assert not second.leads
    await clock.run_until(lambda: second.leads, within=20.0)
    assert clock.monotonic() - cut <= 10.0


async def test_the_lease_lasts_from_when_its_renewal_was_sent_and_not_from_its_answer(
    candidate: NewCandidate, clock: FakeClock
) -> None:
    first = candidate("first")
    first.view.seconds = 1.0
    await clock.advance(5.0)
    for _ in range(60):
        await clock.advance(0.5)
        rest = first.view.wrote_at + 10.0 - clock.monotonic()
        assert first.leads
        assert first.fence.admits(4.0)
        assert not first.fence.admits(rest + 0.1)


@pytest.mark.parametrize("seed", range(30))
async def test_never_may_two_write_whatever_fails(
    candidate: NewCandidate, clock: FakeClock, seed: int, stored: Stored
) -> None:
    draw = random.Random(seed)
    three = [candidate(name, seed) for name in ("a", "b", "c")]
    for _ in range(60):
        each = draw.choice(three)
        what = draw.choice(["hangs", "error", "loses", "watch", "heals", "restarts"])
        if what == "heals":
            each.view.hangs, each.view.error, each.view.loses_answers, each.view.watches = False, None, False, True
        elif what == "restarts":
            await clock.run(each.stop())
            each.start()
        else:
            each.view.hangs |= what == "hangs"
            each.view.loses_answers |= what == "loses"
            each.view.watches &= what != "watch"
            each.view.error = ApiUnreachable("away") if what == "error" else each.view.error
        for _ in range(10):
            await clock.advance(draw.uniform(0.0, 0.8))
            assert [one.fence.admits(0.0) for one in three].count(True) <= 1
            assert all(one.leads for one in three if one.fence.admits(4.0))
    for each in three:
        each.view.hangs, each.view.error, each.view.loses_answers, each.view.watches = False, None, False, True
    await clock.advance(30.0)
    assert [each.leads for each in three].count(True) == 1


async def test_what_others_clocks_say_counts_for_nothing(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    long_ago = "2001-01-01T00:00:00.000000Z"
    stored.put(Lease("other", 10, long_ago, long_ago, 3))
    standby = candidate("standby")
    await clock.advance(9.9)
    assert standby.times == 0
    stored.put(Lease("other", 10, long_ago, "2001-01-01T00:00:02.000000Z", 3))
    await clock.advance(9.9)
    assert standby.times == 0
    await clock.advance(0.2)
    assert standby.leads
    assert stored.lease is not None
    assert (holder(stored), stored.lease.transitions) == ("standby", 4)


async def test_a_lease_that_is_deleted_counts_until_its_time_is_over(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    stored.put(Lease("other", 10, "", "1", 0))
    standby = candidate("standby")
    await clock.advance(5.0)
    stored.put(None)
    await clock.advance(4.9)
    assert standby.times == 0
    await clock.advance(2.5)
    assert standby.leads


async def test_a_leader_whose_lease_is_deleted_makes_it_anew(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.advance(5.0)
    stored.put(None)
    await clock.advance(5.0)
    assert (first.leads, first.times, holder(stored)) == (True, 1, "first")


async def test_a_leader_whose_lease_another_took_stops_as_soon_as_it_sees_that(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.advance(5.0)
    stored.put(Lease("other", 10, "", "1", 7))
    await clock.advance(2.3)
    assert (first.leads, first.fence.admits(0.0)) == (False, False)
    await clock.advance(20.0)
    assert (first.leads, first.times) == (True, 2)


@pytest.mark.parametrize("seed", range(50))
async def test_an_answer_that_was_lost_costs_nothing(candidate: NewCandidate, clock: FakeClock, seed: int) -> None:
    first = candidate("first", seed)
    await clock.advance(5.0)
    first.view.loses_answers = True
    await clock.advance(3.0)
    first.view.loses_answers = False
    await clock.advance(60.0)
    assert (first.leads, first.times) == (True, 1)


async def test_one_that_slept_past_its_lease_sends_nothing_when_it_wakes(
    candidate: NewCandidate, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.advance(1.0)
    assert first.fence.admits(4.0)
    clock._now += 60.0  # nothing of it ran meanwhile
    assert not first.fence.admits(0.0)
    calls = len(first.view.calls)
    await clock.advance(0.0)
    # It looks who leads before anything else. Nobody does, so it begins anew, with nothing left of before.
    assert first.view.calls[calls:] == ["read", "write"]
    assert (first.leads, first.times) == (True, 2)


async def test_it_may_lead_again_and_again(candidate: NewCandidate, clock: FakeClock) -> None:
    first = candidate("first")
    await clock.settle()
    for times in (1, 2, 3):
        assert (first.leads, first.times) == (True, times)
        first.view.error = ApiUnreachable("away")
        await clock.advance(7.0)
        assert not first.leads
        first.view.error = None
        await clock.advance(15.0)


async def test_work_that_fails_ends_it_and_releases_the_lease(
    candidate: NewCandidate, stored: Stored, clock: FakeClock
) -> None:
    first = candidate("first")
    await clock.advance(5.0)
    first.fails.set()
    with pytest.raises(RuntimeError, match="the work has failed"):
        await clock.run(first.ended())
    assert holder(stored) == ""


async def test_a_stop_while_the_api_server_hangs_takes_a_moment_only(
    candidate: NewCandidate, stored: Stored, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first = candidate("first")
    await clock.advance(5.0)
    first.view.hangs = True
    await clock.run(first.stop(), within=1.5)
    assert holder(stored) == "first"
    assert "could not be released, so another replica takes over later" in caplog.text


async def test_a_standby_that_stops_releases_nothing(candidate: NewCandidate, stored: Stored, clock: FakeClock) -> None:
    first = candidate("first")
    await clock.settle()
    second = candidate("second")
    await clock.advance(5.0)
    await second.stop()
    assert (first.leads, holder(stored)) == (True, "first")


async def test_what_is_wrong_is_said_once_in_one_sentence(
    candidate: NewCandidate, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = candidate("first")
    first.view.error = ApiForbidden("GET /leases: forbidden", status=403)
    await clock.advance(120.0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    [warning] = warnings
    assert warning == (
        "not allowed to use the Lease default/test: grant get, create, update and watch of leases.coordination.k8s.io "
        "there (GET /leases: forbidden); it is tried again"
    )
    first.view.error = None
    await clock.advance(3.0)
    assert first.leads
    assert "the Lease default/test can be read and written again" in caplog.text
    assert "leading, by the Lease default/test as first" in caplog.text


async def test_who_leads_is_said_when_it_changes(
    candidate: NewCandidate, stored: Stored, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(5):
        stored.put(Lease("other", 10, "", str(number), 0))
        if number == 0:
            candidate("standby")
        await clock.advance(2.0)
    stored.put(Lease("third", 10, "", "", 1))
    await clock.advance(2.0)
    said = [record.getMessage() for record in caplog.records if "standing by" in record.getMessage()]
    assert said == ["standing by, other leads", "standing by, third leads"]
