"""A registry that does not answer: it is left alone but for a probe, told about once, and caught up with at once."""

import logging
from collections import Counter
from dataclasses import replace

import pytest

from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.refs import RegistryName, ServiceRef
from kube_registrar.sync.circuit import Circuit, State
from kube_registrar.sync.guarded import PROBE_SECONDS
from kube_registrar.sync.outage import MOST_TOLD
from kube_registrar.sync.reconcile import LOOKS_AT_ONCE
from kube_registrar.testing import builders
from kube_registrar.testing.fake import Call, FakeRegistry
from kube_registrar.testing.faults import Op
from tests.engine.harness import EDGE, FLASK, OTHER, Ground

DOWN = Unreachable("connection refused")


def cut(registry: FakeRegistry) -> None:
    """Let nothing be answered any more."""
    for op in Op:
        registry.faults.fail(op, DOWN, times=None)


def circuit_of(ground: Ground, registry: RegistryName = FLASK.namespace.registry) -> Circuit:
    return ground.engine.circuits[registry]


def pods(ground: Ground, count: int, service: ServiceRef = FLASK) -> list[str]:
    """Apply so many pods that ask for a service, and return their names."""
    asks = f"{service.namespace.registry}:{service.namespace.name}/{service.name}"
    names = [f"{service.name}-{number}" for number in range(count)]
    for number, name in enumerate(names):
        address = (f"10.{len(service.name)}.{number // 250}.{number % 250}",)
        ground.cluster.apply(builders.pod(name, ips=address, annotations={"service": asks}))
    return sorted(names)


async def opened(ground: Ground) -> None:
    """Change pods while the registry does not answer, until its circuit is open."""
    await ground.clock.run_until(lambda: circuit_of(ground).is_open, within=60.0)
    await ground.settle()


def since(ground: Ground, calls: int) -> Counter[Op]:
    """Count what the registry was asked beyond so many calls."""
    return Counter(call.op for call in ground.registry.calls[calls:])


async def test_an_open_circuit_lets_one_probe_at_a_time_through_and_nothing_else(ground: Ground) -> None:
    pods(ground, 5)
    await ground.start()
    cut(ground.registry)
    pods(ground, 10)
    await opened(ground)
    assert circuit_of(ground).state is State.OPEN
    calls = len(ground.registry.calls)
    for number in range(10):
        ground.cluster.delete(f"flask-app-{number}")
    pods(ground, 20, OTHER)
    await ground.advance(600.0)
    asked = since(ground, calls)
    assert asked.keys() == {Op.FIND}
    assert all(call.about is None for call in ground.registry.calls[calls:])
    assert 20 <= asked[Op.FIND] <= 60
    assert ground.engine.is_quiet


async def test_it_opens_after_a_few_answers_that_never_came_and_a_probe_that_does_not_either(ground: Ground) -> None:
    await ground.start()
    cut(ground.registry)
    before = len(ground.registry.calls)
    pods(ground, 1)
    await opened(ground)
    asked = since(ground, before)
    assert asked == {Op.REGISTER: 1, Op.INSTANCES: 2, Op.FIND: 1}


@pytest.mark.parametrize(
    "answer",
    [None, Refused("no"), NotFound("gone"), Conflict("other"), Retryable("busy")],
    ids=lambda a: type(a).__name__,
)
async def test_every_answer_to_a_probe_closes_it(ground: Ground, answer: RegistryError | None) -> None:
    await ground.start()
    cut(ground.registry)
    names = pods(ground, 3)
    await opened(ground)
    ground.registry.faults.heal()
    if answer is not None:
        ground.registry.faults.fail(Op.FIND, answer)
    await ground.advance(31.0)
    assert circuit_of(ground).state is State.CLOSED
    assert ground.names() == names


async def test_an_answer_to_what_was_asked_before_closes_it_too(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 20.0, times=1)
    pods(ground, 1)
    await ground.settle()
    cut(ground.registry)
    pods(ground, 2, OTHER)
    await opened(ground)
    ground.registry.faults.heal()
    ground.registry.faults.fail(Op.FIND, DOWN, times=None)
    await ground.advance(20.0)
    assert circuit_of(ground).closings >= 1


async def test_a_probe_under_way_is_half_open_and_one_that_hangs_is_given_up(ground: Ground) -> None:
    await ground.start()
    cut(ground.registry)
    names = pods(ground, 2)
    await opened(ground)
    ground.registry.faults.heal()
    ground.registry.faults.delay(Op.FIND, 10_000.0, times=1)
    await ground.clock.run_until(lambda: circuit_of(ground).state is State.HALF_OPEN)
    probes = len(ground.registry.asked(Op.FIND))
    await ground.advance(PROBE_SECONDS - 0.1)
    assert len(ground.registry.asked(Op.FIND)) == probes
    assert circuit_of(ground).state is State.HALF_OPEN
    await ground.advance(35.0)
    assert circuit_of(ground).state is State.CLOSED
    assert ground.names() == names


@pytest.mark.parametrize("op", [Op.REGISTER, Op.INSTANCES])
async def test_one_service_that_fails_never_opens_it(ground: Ground, op: Op) -> None:
    await ground.start()
    original = ground.registry._answer

    async def answer(op_: Op, about: object, *rest: object) -> object:
        if op_ is op and about == FLASK:
            raise DOWN
        return await original(op_, about, *rest)

    ground.registry._answer = answer  # type: ignore[method-assign]
    states: set[State] = set()
    pods(ground, 5)
    for number in range(60):
        ground.cluster.apply(builders.pod(f"x-{number}", ips=(f"10.9.0.{number}",), annotations=ask(OTHER)))
        await ground.advance(1.0)
        states.add(circuit_of(ground).state)
        assert len(ground.names(OTHER)) == number + 1
    await ground.advance(600.0)  # nobody else is asked meanwhile
    assert states | {circuit_of(ground).state} == {State.CLOSED}
    assert circuit_of(ground).closings == 0
    assert len(ground.registry.asked(Op.FIND)) < 40


def ask(service: ServiceRef) -> dict[str, str]:
    return {"service": f"{service.namespace.name}/{service.name}"}


async def test_an_outage_of_one_registry_delays_nothing_in_another(two_registries: Ground) -> None:
    ground = two_registries
    here, there = FLASK, builders.service_ref("test-namespace/flask-app", EDGE)
    await ground.start()
    cut(ground.registries[EDGE])
    pods(ground, 3, there)
    await ground.clock.run_until(lambda: circuit_of(ground, EDGE).is_open)
    assert circuit_of(ground, here.namespace.registry).state is State.CLOSED
    for number in range(20):
        ground.cluster.apply(builders.pod(f"x-{number}", ips=(f"10.9.0.{number}",), annotations=ask(here)))
        await ground.settle()
        assert len(ground.names(here)) == number + 1
    ground.registries[EDGE].faults.heal()
    await ground.advance(35.0)
    assert len(ground.names(there)) == 3


async def test_the_pods_that_wait_are_told_once_an_outage(ground: Ground) -> None:
    registered = pods(ground, 3)
    await ground.start()
    cut(ground.registry)
    waiting = pods(ground, 4, OTHER)
    await opened(ground)
    ground.cluster.annotate("other-0", service="test-namespace/other", attributes="stage=dev")
    late = builders.pod("late", ips=("10.8.0.1",), annotations=ask(OTHER))
    ground.cluster.apply(late)
    await ground.advance(300.0)
    for name in (*waiting, "late"):
        assert ground.reasons(name).count("RegistryUnavailable") == 1, name
    assert all("RegistryUnavailable" not in ground.reasons(name) for name in registered)
    [said] = {event.message for event in ground.notebook.events if event.reason == "RegistryUnavailable"}
    assert said == "Registry 'default' does not answer: connection refused. It is tried again by itself"
    ground.registry.faults.heal()
    await ground.advance(35.0)
    cut(ground.registry)
    ground.cluster.apply(replace(late, annotations={**ask(OTHER), "attributes": "stage=dev"}))
    await opened(ground)
    assert ground.reasons("late").count("RegistryUnavailable") == 2


async def test_not_every_pod_of_a_large_outage_is_told(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kube_registrar.sync")
    await ground.start()
    cut(ground.registry)
    pods(ground, MOST_TOLD + 50)
    await opened(ground)
    await ground.advance(60.0)
    told = [event for event in ground.notebook.events if event.reason == "RegistryUnavailable"]
    assert len(told) == MOST_TOLD
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert "50 more pods waited for it" in caplog.text


async def test_it_is_logged_once_when_it_opens_and_once_when_it_closes(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kube_registrar.sync.circuit")
    await ground.start()
    cut(ground.registry)
    pods(ground, 3)
    await opened(ground)
    await ground.advance(300.0)
    ground.registry.faults.heal()
    await ground.advance(31.0)
    said = [record.getMessage() for record in caplog.records if record.name == "kube_registrar.sync.circuit"]
    assert [text.split(":")[0].partition(" after ")[0] for text in said] == [
        "registry default does not answer",
        "registry default answers again",
    ]


SERVICES = 40


@pytest.mark.parametrize("seconds", [120.0, 600.0])
async def test_half_of_all_pods_changed_in_an_outage_are_right_within_35_seconds_after_it(
    ground: Ground, seconds: float
) -> None:
    services = [builders.service_ref(f"test-namespace/s{number}") for number in range(SERVICES)]
    for service in services:
        ground.registry.add(builders.service_spec(ref=service))
    for number in range(SERVICES * 4):
        service = services[number % SERVICES]
        pod = builders.pod(f"web-{number}", ips=(f"10.1.{number // 200}.{number % 200}",), annotations=ask(service))
        ground.cluster.apply(pod)
    await ground.start()
    kept = {name for number in range(SERVICES, SERVICES * 4, 2) for name in [f"web-{number}"]}
    cut(ground.registry)
    for number in range(1, SERVICES * 4, 2):
        ground.cluster.delete(f"web-{number}")
        fresh = f"new-{number}"
        address = (f"10.2.{number // 200}.{number % 200}",)
        ground.cluster.apply(builders.pod(fresh, ips=address, annotations=ask(services[number % SERVICES])))
        await ground.advance(seconds / (SERVICES * 4))
    await ground.advance(seconds / 2)
    calls = len(ground.registry.calls)
    ground.registry.faults.heal()
    await ground.advance(35.0)
    expected = {pod.name for pod in ground.cluster.pods.values()}
    assert {name for service in services for name in ground.names(service)} == expected
    assert kept <= expected
    removed = {name for service in services for name in ground.deregistered(service)}
    assert len(removed) == SERVICES * 2
    assert since(ground, calls)[Op.INSTANCES] <= SERVICES + 2  # every service is read once, and two that are idle


async def test_what_a_registry_lost_in_an_outage_is_there_again(ground: Ground) -> None:
    names = pods(ground, 4)
    await ground.start()
    cut(ground.registry)
    ground.cluster.apply(builders.pod("new", ips=("10.9.0.1",), annotations=ask(FLASK)))
    await opened(ground)
    for instance in ground.own():
        ground.registry.drop(FLASK, instance.id)
    ground.registry.faults.heal()
    await ground.advance(35.0)
    assert ground.names() == sorted([*names, "new"])
    assert ground.notebook.drift == {"default": 4}


async def test_lists_that_wait_for_their_turn_are_not_begun_once_it_is_open(ground: Ground) -> None:
    for number in range(80):
        ground.registry.add(builders.service_spec(f"test-namespace/s{number}"))
    await ground.start()
    before = len(ground.registry.asked(Op.INSTANCES))
    ground.registry.faults.delay(Op.INSTANCES, 5.0)
    cut(ground.registry)
    [sync] = ground.engine._syncs.values()
    for service in sync.observed.services():
        sync.observed.of(service).look_by(0.0)
        sync.queue.add(service)
    await ground.advance(100.0)
    assert circuit_of(ground).is_open
    assert len(ground.registry.asked(Op.INSTANCES)) - before <= 2 * LOOKS_AT_ONCE  # of 82
    ground.registry.faults.heal()
    lists = len(ground.registry.asked(Op.INSTANCES))
    await ground.advance(35.0)
    assert len(ground.registry.asked(Op.INSTANCES)) == lists + 82
    assert ground.engine.is_quiet


async def test_a_registry_that_was_away_at_the_start_is_read_within_35_seconds(ground: Ground) -> None:
    names = pods(ground, 3)
    cut(ground.registry)
    await ground.start()
    assert circuit_of(ground).reachable is None
    await ground.advance(120.0)
    assert circuit_of(ground).reachable is False
    ground.registry.faults.heal()
    await ground.advance(35.0)
    assert circuit_of(ground).reachable is True
    assert ground.names() == names


async def test_nothing_is_asked_through_a_guarded_registry_while_its_circuit_is_open(ground: Ground) -> None:
    await ground.start()
    cut(ground.registry)
    pods(ground, 2)
    await opened(ground)
    guarded = ground.engine.registries[FLASK.namespace.registry]
    calls = list[Call](ground.registry.calls)
    with pytest.raises(Unreachable, match="not asked just now"):
        await guarded.ensure(builders.service_spec(), "creator")
    with pytest.raises(Unreachable):
        await guarded.remove(FLASK)
    with pytest.raises(Unreachable):
        await guarded.find(None)
    assert ground.registry.calls == calls
