"""A wedged loop is told from a quiet one, and from one that waits for somebody else."""

import asyncio

import pytest

from kube_registrar.cli import replicas
from kube_registrar.cli.watchdogs import Watchdogs
from kube_registrar.cluster.errors import ApiThrottled, ApiUnreachable
from kube_registrar.cluster.events import Recorder
from kube_registrar.cluster.resources import NAMESPACES
from kube_registrar.cluster.watching import Watch
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.records import KubeNamespace
from kube_registrar.model.refs import ObjectRef, Uid
from kube_registrar.server.wedges import ELECTION_SECONDS, LOOP_SECONDS, WATCH_SECONDS, WatchSight, wedges
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.faults import Op
from tests.cluster.elections import Candidate, Stored
from tests.engine.harness import FLASK, Ground

PODS = "the watch of pods"


def test_nothing_is_wedged_where_nothing_waits() -> None:
    assert wedges([], {}) == []
    assert wedges([WatchSight(PODS, 0.0)], {"the round over all pods": 0.0}) == []


@pytest.mark.parametrize(("seconds", "is_wedged"), [(90.0, False), (WATCH_SECONDS, False), (WATCH_SECONDS + 1, True)])
def test_a_watch_that_hears_not_even_bookmarks_is_wedged(seconds: float, is_wedged: bool) -> None:
    sentence = f"the watch of pods has heard nothing for {seconds:.0f} s, not even a bookmark, and no error either"
    assert wedges([WatchSight(PODS, seconds)], {}) == ([sentence] if is_wedged else [])


def test_a_watch_that_knows_what_is_wrong_is_not() -> None:
    assert wedges([WatchSight(PODS, 10_000.0, "cannot watch pods (connection refused)")], {}) == []


@pytest.mark.parametrize(("seconds", "is_wedged"), [(0.0, False), (LOOP_SECONDS, False), (LOOP_SECONDS + 1, True)])
def test_a_loop_that_does_not_take_what_waits_is_wedged(seconds: float, is_wedged: bool) -> None:
    said = ["the queue of registry default has not been got on with for 61 s"]
    assert wedges([], {"the queue of registry default": seconds}) == (said if is_wedged else [])


def stuck(ground: Ground) -> list[str]:
    return [name for name, seconds in ground.engine.stuck_seconds.items() if seconds > LOOP_SECONDS]


@pytest.fixture
async def ground() -> Ground:
    return Ground()


async def test_an_engine_that_is_quiet_busy_or_cut_off_is_not_wedged(ground: Ground) -> None:
    await ground.start(synced=())
    await ground.advance(600.0)
    assert stuck(ground) == []  # the API server has not told everything yet
    ground.cluster.connect(ground.engine)
    ground.cluster.apply(builders.pod("web"))
    await ground.advance(600.0)
    assert stuck(ground) == []  # quiet
    ground.registry.hangs = True
    ground.cluster.delete("web")
    await ground.advance(600.0)
    assert stuck(ground) == []  # a registry that never answers
    ground.registry.hangs = False
    await ground.restart()
    for op in Op:
        ground.registry.faults.fail(op, Unreachable("down"), times=None)
    ground.cluster.apply(builders.pod("other"))
    for _ in range(100):
        await ground.advance(5.0)
        assert stuck(ground) == []  # a registry that is away
    assert ground.engine.circuits[FLASK.namespace.registry].is_open
    await ground.stop()


async def test_a_queue_that_nobody_takes_from_is_wedged(ground: Ground) -> None:
    await ground.start()
    [sync] = ground.engine._syncs.values()
    sync.queue._readable = asyncio.Semaphore(0)  # its wake-up got lost
    sync.queue.add(FLASK)
    await ground.advance(LOOP_SECONDS - 1)
    assert stuck(ground) == []
    await ground.advance(2.0)
    assert stuck(ground) == ["the queue of registry default"]
    await ground.stop()


async def test_a_standby_whose_queue_fills_is_not_wedged(ground: Ground) -> None:
    [sync] = ground.engine._syncs.values()
    sync.queue.add(FLASK)
    await ground.advance(600.0)
    assert stuck(ground) == []
    ground._task = asyncio.create_task(ground.engine.run())
    ground.lead()
    ground.cluster.connect(ground.engine)
    assert stuck(ground) == []
    await ground.settle()
    assert stuck(ground) == []
    await ground.stop()


async def test_a_round_that_is_not_begun_or_not_ended_is_wedged(ground: Ground) -> None:
    await ground.start()
    ground.engine._world_changed = asyncio.Event()  # not the one that the loop waits for
    ground.engine._note_change()
    await ground.advance(LOOP_SECONDS + 1)
    assert stuck(ground) == ["the round over all pods"]
    await ground.stop()


class Api:
    """A session whose POSTs end as a test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.error: Exception | None = None
        self.hangs = False

    async def post(self, path: str, body: object) -> bytes:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            await self.clock.sleep(10.0)
            raise self.error
        return b""


REF = ObjectRef("v1", "Pod", "default", "web", Uid("web"))


@pytest.mark.parametrize("error", [None, ApiUnreachable("no answer within 10 s"), ApiThrottled("busy", after=300.0)])
async def test_a_recorder_that_is_idle_or_in_trouble_is_not_wedged(error: Exception | None) -> None:
    api = Api()
    recorder = Recorder(api)  # type: ignore[arg-type]
    work = asyncio.create_task(recorder.run())
    await api.clock.advance(600.0)
    api.error = error
    for number in range(50):
        recorder.record(REF, "Normal", "Registered", f"number {number}")
    for _ in range(100):
        assert recorder.stuck_seconds <= LOOP_SECONDS
        await api.clock.advance(10.0)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_recorder_whose_post_never_ends_is_wedged() -> None:
    api = Api()
    recorder = Recorder(api)  # type: ignore[arg-type]
    watchdogs = Watchdogs(Ground().engine, recorder, [], [lambda: ["something else is wedged"]])
    work = asyncio.create_task(recorder.run())
    api.hangs = True
    recorder.record(REF, "Normal", "Registered", "once")
    await api.clock.advance(LOOP_SECONDS - 1)
    assert watchdogs() == ["something else is wedged"]
    await api.clock.advance(2.0)
    assert watchdogs() == ["the posting of events has not been got on with for 61 s", "something else is wedged"]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_watch_that_waits_for_others_to_begin_is_not_wedged() -> None:
    api = Api()
    recorder = Recorder(api)  # type: ignore[arg-type]
    heard: Watch[KubeNamespace] = Watch(api, NAMESPACES, None)  # type: ignore[arg-type]
    watchdogs = Watchdogs(Ground().engine, recorder, [heard])
    await api.clock.advance(WATCH_SECONDS * 2)
    assert watchdogs() == []
    [reflector] = heard.reflectors
    reflector.began_monotonic = api.clock.monotonic()
    await api.clock.advance(WATCH_SECONDS + 1)
    assert watchdogs() == [
        "the watch of namespaces has heard nothing for 271 s, not even a bookmark, and no error either"
    ]
    reflector.counters.last_event_monotonic = api.clock.monotonic()
    assert watchdogs() == []


@pytest.mark.parametrize("is_away", [False, True])
async def test_an_election_goes_on_for_who_leads_and_who_stands_by_though_the_api_server_is_away(
    is_away: bool,
) -> None:
    clock, stored = FakeClock(), Stored()
    both = [Candidate(name, stored, clock) for name in ("first", "second")]
    looks = [look for each in both for look in replicas.watchdogs(each.elector, clock)]
    await clock.advance(600.0)
    assert [look() for look in looks] == [[], []]  # they take no part yet
    for each in both:
        each.start()
        await clock.settle()
    for _ in range(60):
        await clock.advance(10.0)
        both[0].view.hangs = is_away
        assert [look() for look in looks] == [[], []]
    for each in both:
        each.view.hangs = False
        await each.stop()
    await clock.advance(600.0)
    assert [look() for look in looks] == [[], []]


async def test_an_election_whose_loop_waits_for_work_that_never_ends_is_wedged() -> None:
    clock = FakeClock()
    candidate = Candidate("first", Stored(), clock)
    may_end = asyncio.Event()

    async def lead() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    [look] = replicas.watchdogs(candidate.elector, clock)
    work = asyncio.create_task(candidate.elector.run(lead))
    await clock.settle()
    assert candidate.elector.is_leading
    candidate.view.error = ApiUnreachable("away")
    await clock.run_until(lambda: not candidate.elector.is_leading, within=10.0)
    await clock.advance(ELECTION_SECONDS - 5.0)
    assert look() == []
    await clock.advance(10.0)
    [sentence] = look()
    assert sentence.startswith("the election loop has made no attempt for 3")
    may_end.set()
    await clock.settle()
    assert look() == []  # it stands by
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def test_without_an_election_there_is_nothing_to_look_after() -> None:
    assert replicas.watchdogs(None, FakeClock()) == []
