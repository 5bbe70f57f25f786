"""Registries that fail: nothing is lost, nothing spins, and one failure delays nobody else."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from kube_registrar.model.errors import NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.planning.plan import Plan, plan
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import EDGE, FLASK, OTHER, Ground


def pods(ground: Ground, count: int, service: str = "test-namespace/flask-app") -> list[str]:
    """Apply so many pods and return their names."""
    names = [f"web-{number}" for number in range(count)]
    for number, name in enumerate(names):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.0.{number}",), annotations={"service": service}))
    return sorted(names)


ERRORS = [
    Retryable("throttled", after=2.0),
    Refused("quota"),
    Unreachable("down"),
    Unreachable("timed out", doubtful=True),
    NotFound("no such service"),
    RegistryError("anything"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("op", [Op.REGISTER, Op.DEREGISTER, Op.INSTANCES, Op.FIND])
async def test_every_error_of_every_operation_is_overcome(ground: Ground, op: Op, error: RegistryError) -> None:
    names = pods(ground, 3)
    ground.registry.faults.fail(op, error, times=4)
    await ground.start()
    await ground.advance(60.0)
    assert ground.names() == names
    ground.registry.faults.heal()
    ground.registry.faults.fail(op, error, times=4)
    ground.cluster.delete("web-1")
    ground.cluster.edit("web-2", ready=False)
    await ground.advance(60.0)
    assert ground.names() == ["web-0"]
    assert ground.engine.is_quiet


async def test_different_pods_that_failed_are_each_tried_again(ground: Ground) -> None:
    """The first to be tried again succeeds, and must not take the others' turn with it."""
    names = pods(ground, 20)
    ground.registry.faults.fail(Op.REGISTER, Retryable("busy", after=1.0), instance=None, times=10)
    ground.registry.faults.fail(Op.REGISTER, Retryable("busy", after=9.0), instance=None, times=10)
    await ground.start()
    await ground.advance(12.0)
    assert ground.names() == names


async def test_a_lost_reply_is_looked_up_and_not_sent_again(ground: Ground) -> None:
    ground.registry.faults.lose_reply(Op.REGISTER)
    names = pods(ground, 1)
    await ground.start()
    await ground.advance(5.0)
    assert ground.names() == names
    assert len(ground.registry.asked(Op.REGISTER)) == 1
    assert ground.reasons("web-0") == ["Registered"]  # a doubt of a moment is no news
    ground.registry.faults.lose_reply(Op.DEREGISTER)
    ground.cluster.delete("web-0")
    await ground.advance(5.0)
    assert ground.names() == []
    assert len(ground.registry.asked(Op.DEREGISTER)) == 1
    assert ground.reasons("web-0") == ["Registered", "Deregistered"]
    assert [result for _registry, _action, result in ground.notebook.counted] == ["error", "ok", "error", "ok"]


async def test_a_doubt_that_lasts_is_told(ground: Ground) -> None:
    ground.registry.faults.lose_request(Op.REGISTER, times=None)
    pods(ground, 1)
    await ground.start()
    await ground.advance(60.0)
    assert set(ground.reasons("web-0")) == {"RegistrationFailed"}


async def test_a_request_that_never_arrived_is_sent_again(ground: Ground) -> None:
    ground.registry.faults.lose_request(Op.REGISTER)
    names = pods(ground, 1)
    await ground.start()
    await ground.advance(5.0)
    assert ground.names() == names
    assert len(ground.registry.asked(Op.REGISTER)) == 2


@pytest.mark.parametrize("late", [5.0, 60.0, 290.0])
async def test_a_register_that_lands_after_its_pod_went_leaves_no_ghost(ground: Ground, late: float) -> None:
    ground.registry.faults.straggle(Op.REGISTER, late)
    pods(ground, 1)
    await ground.start()
    ground.cluster.delete("web-0")
    await ground.advance(late - 1.0)
    assert ground.names() == []
    await ground.advance(35.0)
    assert [effect.attributes is not None for effect in ground.registry.history] == [True, False]


@pytest.mark.parametrize("late", [5.0, 60.0, 290.0])
async def test_a_deregister_that_lands_after_its_pod_came_back_is_repaired(ground: Ground, late: float) -> None:
    names = pods(ground, 1)
    await ground.start()
    ground.registry.faults.straggle(Op.DEREGISTER, late)
    ground.cluster.edit("web-0", ready=False)
    await ground.settle()
    ground.cluster.edit("web-0", ready=True)
    await ground.advance(late + 35.0)
    assert ground.names() == names
    assert [effect.attributes is not None for effect in ground.registry.history] == [True, False, True]


async def test_doubts_end_and_cost_little(ground: Ground) -> None:
    ground.registry.faults.lose_reply(Op.REGISTER, times=20)
    names = pods(ground, 20)
    await ground.start()
    await ground.advance(400.0)
    lists = len(ground.registry.asked(Op.INSTANCES))
    assert ground.names() == names
    assert lists < 40
    await ground.advance(100.0)
    assert len(ground.registry.asked(Op.INSTANCES)) == lists


async def test_a_slow_operation_delays_its_own_instance_only(ground: Ground) -> None:
    slow = builders.registration("web-0").instance.id
    ground.registry.faults.delay(Op.REGISTER, 300.0, instance=slow)
    pods(ground, 3)
    await ground.start()
    assert ground.names() == ["web-1", "web-2"]
    ground.cluster.delete("web-1")
    ground.cluster.apply(builders.pod("web-9", ips=("10.0.0.9",)))
    await ground.settle()
    assert ground.names() == ["web-2", "web-9"]
    await ground.advance(301.0)
    assert ground.names() == ["web-0", "web-2", "web-9"]


async def test_at_most_one_change_of_an_instance_is_in_flight_and_the_newest_wish_wins(ground: Ground) -> None:
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    service = "test-namespace/flask-app"
    pods(ground, 1)
    await ground.start()
    for stage in ("a", "b", "c"):
        ground.cluster.annotate("web-0", service=service, attributes=f"stage={stage}")
        await ground.advance(1.0)
    assert len(ground.registry.asked(Op.REGISTER)) == 1
    await ground.advance(10.0)
    assert len(ground.registry.asked(Op.REGISTER)) == 2
    assert ground.instance("web-0").attributes["stage"] == "c"


async def test_a_pod_that_is_ready_again_before_it_is_out_comes_back_at_once(ground: Ground) -> None:
    pods(ground, 1)
    await ground.start()
    ground.registry.faults.delay(Op.DEREGISTER, 5.0)
    ground.cluster.edit("web-0", ready=False)
    await ground.advance(1.0)
    ground.cluster.edit("web-0", ready=True)
    await ground.advance(4.0)
    assert ground.names() == ["web-0"]
    assert [effect.attributes is not None for effect in ground.registry.history] == [True, False, True]


async def test_a_pod_that_flaps_while_its_operations_are_slow_ends_as_it_is(ground: Ground) -> None:
    ground.registry.faults.delay(Op.REGISTER, 3.0)
    ground.registry.faults.delay(Op.DEREGISTER, 7.0)
    pods(ground, 1)
    await ground.start()
    for number in range(21):
        ground.cluster.edit("web-0", ready=number % 2 == 0)
        await ground.advance(1.0)
    await ground.advance(30.0)
    assert ground.names() == ["web-0"]
    ground.cluster.edit("web-0", ready=False)
    await ground.advance(30.0)
    assert ground.names() == []


async def test_a_refused_pod_is_told_tried_again_without_spinning_and_hurts_no_other(ground: Ground) -> None:
    refused = builders.registration("web-0").instance.id
    error = Refused("it is full; allowed: at most 1,000", field="instances", rule="at most 1,000")
    ground.registry.faults.fail(Op.REGISTER, error, instance=refused, times=None)
    pods(ground, 3)
    await ground.start()
    assert ground.names() == ["web-1", "web-2"]
    assert ground.reasons("web-0") == ["RegistrationFailed"]
    assert "it is full; allowed: at most 1,000" in ground.notebook.events[0].message
    await ground.advance(600.0)
    tries = [call for call in ground.registry.asked(Op.REGISTER) if call.change and call.change.instance_id == refused]
    assert 20 <= len(tries) <= 60
    assert len(ground.registry.asked(Op.INSTANCES)) <= 2
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert ground.names() == ["web-0", "web-1", "web-2"]


async def test_a_corrected_pod_does_not_wait_for_its_next_try(ground: Ground) -> None:
    refused = builders.registration("web-0").instance.id
    ground.registry.faults.fail(Op.REGISTER, Refused("no"), instance=refused, times=None)
    pods(ground, 1)
    await ground.start()
    await ground.advance(300.0)
    ground.registry.faults.heal()
    ground.cluster.annotate("web-0", service="test-namespace/flask-app", attributes="stage=dev")
    await ground.settle()
    assert ground.names() == ["web-0"]


async def test_a_registry_that_is_down_for_ten_minutes_is_caught_up_with(ground: Ground) -> None:
    pods(ground, 30)
    await ground.start()
    calls = len(ground.registry.calls)
    for op in Op:
        ground.registry.faults.fail(op, Unreachable("connection refused"), times=None)
    for number in range(10):
        ground.cluster.delete(f"web-{number}")
        ground.cluster.apply(builders.pod(f"new-{number}", ips=(f"10.0.1.{number}",)))
    await ground.advance(600.0)
    assert len(ground.names()) == 30
    # One list a service and round, not a write an instance.
    assert len(ground.registry.calls) - calls < 150
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert ground.names() == sorted(
        [*(f"web-{number}" for number in range(10, 30)), *(f"new-{number}" for number in range(10))]
    )


async def test_a_registry_that_is_down_at_start_is_read_when_it_comes(ground: Ground) -> None:
    names = pods(ground, 3)
    ground.registry.put(FLASK, builders.registration("gone").instance)
    ground.registry.faults.fail(Op.FIND, Unreachable("connection refused"), times=None)
    await ground.start()
    await ground.advance(600.0)
    assert ground.registry.history[1:] == []
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert ground.names() == names


async def test_throttling_is_waited_for(ground: Ground) -> None:
    names = pods(ground, 20)
    ground.registry.faults.fail(Op.REGISTER, Retryable("rate exceeded", after=10.0), times=20)
    await ground.start()
    await ground.advance(9.0)
    assert len(ground.registry.asked(Op.REGISTER)) == 20
    await ground.advance(10.0)
    assert ground.names() == names


async def test_a_service_that_cannot_be_read_delays_no_other(ground: Ground) -> None:
    ground.registry.faults.fail(Op.INSTANCES, Retryable("busy", after=600.0), times=1)
    await ground.start()  # one of the two is hit
    for number, service in enumerate(["test-namespace/flask-app", "test-namespace/other"]):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",), annotations={"service": service}))
    await ground.advance(60.0)
    assert ground.names(FLASK) + ground.names(OTHER) in (["web-0"], ["web-1"])
    await ground.advance(600.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["web-0"], ["web-1"])


@pytest.mark.parametrize("seconds", [10.0, 60.0, 600.0])
async def test_each_service_is_read_as_often_as_was_asked_for(ground: Ground, seconds: float) -> None:
    ground.resync_seconds = seconds
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(30 * seconds)
    times = [call.at for call in ground.registry.asked(Op.INSTANCES, FLASK)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 1.7 * seconds
    assert 20 <= len(times) <= 40


async def test_a_throttled_resync_stops_no_change(ground: Ground) -> None:
    pods(ground, 2)
    await ground.start()
    ground.registry.faults.fail(Op.INSTANCES, Retryable("busy", after=20.0), times=None)
    await ground.advance(800.0)
    ground.cluster.delete("web-0")
    await ground.settle()
    assert ground.names() == ["web-1"]


async def test_a_resync_that_hangs_delays_nothing_and_costs_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods(ground, 2)
    await ground.start()
    ground.registry.faults.delay(Op.INSTANCES, 10_000.0)
    await ground.advance(800.0)
    assert len(ground.registry.asked(Op.INSTANCES, FLASK)) == 2  # the second one hangs
    ground.cluster.edit("web-0", terminating=True)
    ground.cluster.apply(builders.pod("web-2", ips=("10.0.0.2",)))
    await ground.settle()
    assert ground.names() == ["web-1", "web-2"]
    assert not ground.engine.is_quiet
    plans: list[object] = []
    monkeypatch.setattr(ground.engine._reporter, "planned", lambda *_: plans.append(_))
    await ground.advance(8_000.0)
    assert ground.names() == ["web-1", "web-2"]
    assert len(plans) < 40  # resyncs that find the last one still under way


async def test_a_service_is_read_by_one_list_at_a_time(ground: Ground) -> None:
    """Something comes up that asks for a look while a list is under way."""
    pods(ground, 1)
    await ground.start()
    ground.registry.faults.delay(Op.INSTANCES, 20.0)
    await ground.advance(725.0)
    while not ground.engine._syncs[FLASK.namespace.registry]._looking.get(FLASK):
        await ground.advance(1.0)
    asked = len(ground.registry.asked(Op.INSTANCES, FLASK))
    ground.registry.faults.lose_reply(Op.REGISTER)
    ground.cluster.apply(builders.pod("web-1", ips=("10.0.0.1",)))
    await ground.advance(5.0)
    assert len(ground.registry.asked(Op.INSTANCES, FLASK)) == asked
    ground.registry.faults.heal()
    await ground.advance(60.0)
    assert ground.names() == ["web-0", "web-1"]
    assert ground.reasons("web-1") == ["Registered"]


@pytest.mark.parametrize("times", [1, 4])
async def test_a_plan_that_fails_unexpectedly_is_made_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    left = iter(range(times))

    def broken(*args: Any, **kwargs: Any) -> Plan:
        if next(left, None) is not None:
            raise ZeroDivisionError
        return plan(*args, **kwargs)

    monkeypatch.setattr("kube_registrar.sync.reconcile.plan", broken)
    names = pods(ground, 2)
    await ground.start()
    await ground.advance(10.0)
    assert ground.names() == names
    [sync] = ground.engine._syncs.values()
    assert sync._surprises == {}


async def test_failures_of_pods_that_are_gone_are_forgotten(ground: Ground) -> None:
    ground.registry.faults.fail(Op.REGISTER, Refused("no"), times=None)
    pods(ground, 10)
    await ground.start()
    [sync] = ground.engine._syncs.values()
    assert len(sync.observed.of(FLASK).failed) == 10
    for number in range(10):
        ground.cluster.delete(f"web-{number}")
    await ground.settle()
    assert sync.observed.of(FLASK).failed == {}


async def test_what_is_written_during_a_list_is_newer_than_the_list(ground: Ground) -> None:
    """The list is answered as of before: it lacks what came since, and has what went."""
    pods(ground, 2)
    await ground.start()
    original = ground.registry.instances
    late = asyncio.Event()

    async def instances(service: ServiceRef) -> Sequence[Instance]:
        found = await original(service)
        await late.wait()
        return found

    ground.registry.instances = instances  # type: ignore[method-assign]
    await ground.advance(800.0)
    ground.cluster.delete("web-0")
    ground.cluster.apply(builders.pod("web-2", ips=("10.0.0.2",)))
    await ground.settle()
    late.set()
    await ground.advance(5.0)
    assert ground.names() == ["web-1", "web-2"]
    assert len(ground.registry.asked(Op.REGISTER)) == 3
    assert len(ground.registry.asked(Op.DEREGISTER)) == 1


async def test_a_backend_that_raises_out_of_its_contract_costs_a_retry(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, broken = ground.registry.instances, iter([True, True, False])

    async def instances(service: object) -> object:
        if next(broken, False):
            raise KeyError("a mistake in a plugin")
        return await original(service)  # type: ignore[arg-type]

    held = builders.registration("web-0", extra="foreign")
    ground.registry.put(FLASK, builders.instance(held.instance.id, {"somebody": "else"}))
    monkeypatch.setattr(ground.registry, "instances", instances)
    pods(ground, 2)
    await ground.start()
    assert ground.registry.asked(Op.REGISTER) == []  # nothing is written before the service was read
    await ground.advance(5.0)
    assert ground.names() == ["web-1"]


@pytest.mark.parametrize("outcomes", [0, 1])
async def test_a_backend_that_breaks_off_its_outcomes_is_looked_after(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, outcomes: int
) -> None:
    original, broken = ground.registry.apply, iter([True])

    async def apply(service: object, changes: object) -> object:
        number = 0
        breaks = next(broken, False)
        async for outcome in original(service, changes):  # type: ignore[arg-type]
            if breaks and number == outcomes:
                raise OSError("a mistake in a plugin")
            number += 1
            yield outcome

    monkeypatch.setattr(ground.registry, "apply", apply)
    names = pods(ground, 3)
    await ground.start()
    await ground.advance(5.0)
    assert ground.names() == names
    assert ground.engine.is_quiet
    for name in names:
        ground.cluster.delete(name)
    await ground.settle()
    assert ground.names() == []


async def test_a_registry_that_hangs_blocks_no_other(two_registries: Ground) -> None:
    ground = two_registries
    ground.registries[EDGE].hangs = True
    here, there = FLASK, builders.service_ref("test-namespace/flask-app", EDGE)
    both = f"test-namespace/flask-app,edge:{here.namespace.name}/{here.name}"
    ground.cluster.apply(builders.pod("both", annotations={"service": both}))
    ground.cluster.apply(builders.pod("here", ips=("10.0.0.2",)))
    await ground.start()
    await ground.advance(60.0)
    assert ground.names(here) == ["both", "here"]
    ground.cluster.delete("here")
    ground.cluster.edit("both", ready=False)
    await ground.settle()
    assert (ground.names(here), ground.names(there)) == ([], [])


async def test_a_registry_that_begins_to_hang_blocks_no_other(two_registries: Ground) -> None:
    ground = two_registries
    both = "test-namespace/flask-app,edge:test-namespace/flask-app"
    ground.cluster.apply(builders.pod("both", annotations={"service": both}))
    await ground.start()
    ground.registries[EDGE].hangs = True
    ground.cluster.edit("both", ready=False)
    await ground.advance(1_500.0)
    assert ground.names(FLASK) == []
    ground.cluster.edit("both", ready=True)
    await ground.settle()
    assert ground.names(FLASK) == ["both"]


async def test_plans_of_many_services_leave_turns_to_everything_else(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        ground.registry.add(builders.service_spec(f"test-namespace/s{number}"))
    await ground.start()
    [sync] = ground.engine._syncs.values()
    turns: list[str] = []
    monkeypatch.setattr(ground.engine._reporter, "planned", lambda *_: turns.append("plan"))
    for service in sync.observed.services():
        sync.queue.add(service)
    for _ in range(200):
        turns.append("turn")
        await asyncio.sleep(0)
    assert turns.count("plan") == 32
    assert "plan plan" not in " ".join(turns)
