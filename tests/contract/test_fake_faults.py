"""What a test can make go wrong in the fake, and what the fake remembers."""

import asyncio
from collections.abc import Sequence

import pytest

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op

SERVICE = builders.service_ref()
A, B = InstanceId("a"), InstanceId("b")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic=0.0)


@pytest.fixture
def registry(clock: FakeClock) -> FakeRegistry:
    registry = FakeRegistry(clock=clock)
    registry.add(builders.namespace_spec())
    registry.add(builders.service_spec())
    return registry


def register(name: str) -> Register:
    return Register(builders.instance(name), builders.origin(name))


def deregister(name: str) -> Deregister:
    return Deregister(InstanceId(name), builders.origin(name), "the pod is terminating")


async def apply(registry: FakeRegistry, *changes: Change) -> Sequence[Outcome]:
    return [outcome async for outcome in registry.apply(SERVICE, changes)]


async def test_a_failure_hits_the_next_call_only_and_does_nothing(registry: FakeRegistry) -> None:
    error = Retryable("busy", after=2.0)
    registry.faults.fail(Op.REGISTER, error)
    assert await apply(registry, register("a")) == [Outcome(register("a"), error)]
    assert registry.held(SERVICE) == {}
    assert await apply(registry, register("a")) == [Outcome(register("a"))]


async def test_a_fault_may_wait_for_one_instance_and_last_until_healed(registry: FakeRegistry) -> None:
    registry.faults.fail(Op.REGISTER, Retryable("busy"), instance=B, times=None)
    for _ in range(3):
        outcomes = await apply(registry, register("a"), register("b"))
        assert [(each.change.instance_id, each.error is None) for each in outcomes] == [(A, True), (B, False)]
    registry.faults.heal()
    assert (await apply(registry, register("b")))[0].error is None


async def test_a_lost_reply_is_doubtful_and_took_effect(registry: FakeRegistry) -> None:
    registry.faults.lose_reply(Op.REGISTER)
    [outcome] = await apply(registry, register("a"))
    assert isinstance(outcome.error, Unreachable)
    assert outcome.error.doubtful
    assert set(registry.held(SERVICE)) == {A}


async def test_a_lost_request_is_doubtful_and_took_none(registry: FakeRegistry) -> None:
    registry.faults.lose_request(Op.REGISTER)
    [outcome] = await apply(registry, register("a"))
    assert isinstance(outcome.error, Unreachable)
    assert outcome.error.doubtful
    assert registry.held(SERVICE) == {}


async def test_a_straggler_lands_later_and_makes_a_deregister_doubtful(
    registry: FakeRegistry, clock: FakeClock
) -> None:
    registry.faults.straggle(Op.REGISTER, 10.0)
    await apply(registry, register("a"))
    [early] = await apply(registry, deregister("a"))
    assert isinstance(early.error, Unreachable)
    assert early.error.doubtful
    await clock.advance(10.0)
    assert set(registry.held(SERVICE)) == {A}
    [late] = await apply(registry, deregister("a"))
    assert late.error is None
    assert registry.held(SERVICE) == {}


async def test_a_delay_blocks_its_own_change_only(registry: FakeRegistry, clock: FakeClock) -> None:
    registry.faults.delay(Op.REGISTER, 5.0, instance=A)
    outcomes = list[InstanceId]()

    async def collect() -> None:
        async for outcome in registry.apply(SERVICE, [register("a"), register("b")]):
            outcomes.append(outcome.change.instance_id)

    task = asyncio.create_task(collect())
    await clock.advance(4.0)
    assert outcomes == [B]
    assert set(registry.held(SERVICE)) == {B}
    await clock.advance(1.0)
    await task
    assert outcomes == [B, A]


async def test_what_was_sent_before_a_cancellation_takes_effect_all_the_same(
    registry: FakeRegistry, clock: FakeClock
) -> None:
    registry.faults.delay(Op.REGISTER, 5.0)
    task = asyncio.create_task(apply(registry, register("a")))
    await clock.advance(1.0)
    task.cancel()
    await clock.settle()
    assert registry.held(SERVICE) == {}
    await clock.advance(4.0)
    assert set(registry.held(SERVICE)) == {A}


async def test_calls_and_effects_are_remembered_apart(registry: FakeRegistry, clock: FakeClock) -> None:
    registry.faults.fail(Op.REGISTER, Retryable("busy"))
    await apply(registry, register("a"))
    await clock.advance(1.0)
    await apply(registry, register("a"))
    registry.put(SERVICE, Instance(B, {"by": "hand"}))
    registry.drop(SERVICE, A)
    assert [(call.at, call.change) for call in registry.asked(Op.REGISTER)] == [
        (0.0, register("a")),
        (1.0, register("a")),
    ]
    assert [(each.at, each.instance, each.attributes is None, each.foreign) for each in registry.history] == [
        (1.0, A, False, False),
        (1.0, B, False, True),
        (1.0, A, True, True),
    ]


async def test_watchers_hear_of_every_write(registry: FakeRegistry) -> None:
    changes = registry.changed()
    first = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    await apply(registry, register("a"))
    assert await first == SERVICE
    registry.hint(None)
    assert await anext(changes) is None
    await changes.aclose()  # type: ignore[attr-defined]
