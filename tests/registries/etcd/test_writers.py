"""Several writers, answers that are lost and requests that come late: nothing is lost, and nothing comes back."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from kube_registrar.model.changes import Change
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing.contract.base import apply, attributes_of, deregister, listed, must, register
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import opened, service_in
from tests.registries.etcd.relay import Fault, Relay, relay, transactions

pytestmark = pytest.mark.extended


@pytest.fixture
async def between(etcd: EtcdCluster) -> AsyncIterator[Relay]:
    async with relay(etcd.members[0].url) as made:
        yield made


@pytest.fixture
async def troubled(options: Mapping[str, Any], between: Relay) -> AsyncIterator[EtcdRegistry]:
    """A registry whose every word goes through the relay."""
    async with opened({**options, "endpoints": [between.url]}) as registry:
        yield registry


def once(fault: Fault, *more: Fault) -> Any:
    """Let the next transactions fail so, one after the other."""
    left = [fault, *more]
    return lambda path, body: left.pop(0) if left and transactions(path, body) else None


async def consistent(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    """Check that CoreDNS reads exactly the instances that are there."""
    own = {key.rpartition("/")[2] for key in etcd.keys(f"{options['prefix']}instances/")}
    assert {key.split("/")[-2] for key in etcd.keys(f"{options['skydnsPath']}/")} == own


@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.LATE, Fault.LOST])
async def test_a_change_whose_answer_was_lost_is_looked_at_and_made(
    troubled: EtcdRegistry, between: Relay, etcd: EtcdCluster, options: Mapping[str, Any], fault: Fault
) -> None:
    service = await service_in(troubled)
    between.fault = once(fault)
    await must(troubled, service, register("a", {"stage": "dev"}))
    await between.deliver()
    assert await listed(troubled, service) == {"a": attributes_of(register("a", {"stage": "dev"}))}
    between.fault = once(fault)
    await must(troubled, service, deregister("a"))
    await between.deliver()
    assert await listed(troubled, service) == {}
    await consistent(etcd, options)


async def test_a_register_that_comes_late_brings_back_nothing_that_was_deregistered(
    troubled: EtcdRegistry, between: Relay
) -> None:
    """Its guard, that there is no such instance, would hold: so it must be kept out otherwise."""
    service = await service_in(troubled)
    between.fault = once(Fault.LATE, Fault.LOST)
    outcomes = await apply(troubled, service, register("ghost"))
    error = outcomes[InstanceId("ghost")].error
    assert isinstance(error, Unreachable)
    assert error.doubtful
    await must(troubled, service, deregister("ghost"))
    assert between.late == 1
    await between.deliver()
    assert await listed(troubled, service) == {}


async def test_who_was_cancelled_leaves_no_late_register(troubled: EtcdRegistry, between: Relay) -> None:
    service = await service_in(troubled)
    arrived = asyncio.Event()

    def late(path: str, body: bytes) -> Fault | None:
        if transactions(path, body) and not arrived.is_set():
            arrived.set()
            return Fault.LATE
        return None

    between.fault = late
    task = asyncio.create_task(apply(troubled, service, register("ghost")))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await must(troubled, service, deregister("ghost"))
    await between.deliver()
    assert await listed(troubled, service) == {}


async def test_a_deregister_whose_register_may_land_is_doubtful_while_nobody_answers(
    troubled: EtcdRegistry, between: Relay
) -> None:
    service = await service_in(troubled)
    between.fault = lambda path, body: Fault.LATE if transactions(path, body) else None
    await apply(troubled, service, register("ghost"))
    outcomes = await apply(troubled, service, deregister("ghost"))
    error = outcomes[InstanceId("ghost")].error
    assert isinstance(error, Unreachable)
    assert error.doubtful
    between.fault = lambda _path, _body: None
    await must(troubled, service, deregister("ghost"))
    await between.deliver()
    assert await listed(troubled, service) == {}


async def test_two_writers_of_one_instance_lose_nothing_of_each_other(
    registry: EtcdRegistry, options: Mapping[str, Any]
) -> None:
    """Each status and registration that was confirmed is there, whoever was first."""
    service = await service_in(registry, custom_health=True)
    async with opened(options) as other:
        await must(registry, service, *(register(f"i-{number}") for number in range(40)))
        for turn in range(5):
            wish = {"turn": str(turn)}
            await asyncio.gather(
                *(must(registry, service, register(f"i-{number}", wish)) for number in range(0, 40, 2)),
                *(must(other, service, register(f"i-{number}", wish)) for number in range(1, 40, 2)),
                must(other, service, *(deregister(f"j-{number}") for number in range(20))),
                must(registry, service, *(register(f"k-{number}", wish) for number in range(20))),
            )
        found = await listed(other, service)
        assert {name: each["turn"] for name, each in found.items()} == dict.fromkeys(found, "4")
        assert len(found) == 60


@pytest.mark.parametrize("seed", range(3))
async def test_two_clusters_under_faults_keep_exactly_their_own(
    etcd: EtcdCluster, options: Mapping[str, Any], registry: EtcdRegistry, seed: int
) -> None:
    """As the engine does, each asks again for what failed; what is late arrives at any time."""
    service, dice = await service_in(registry), random.Random(seed)
    async with (
        relay(etcd.members[0].url) as first,
        relay(etcd.members[0].url) as second,
        opened({**options, "endpoints": [first.url]}) as ours,
        opened({**options, "endpoints": [second.url]}) as theirs,
    ):
        for each in (first, second):
            each.fault = lambda path, body: (
                dice.choice(list(Fault)) if transactions(path, body) and dice.random() < 0.3 else None
            )
        wishes = await asyncio.gather(
            *(plays(each, service, prefix, dice) for each, prefix in ((ours, "ours"), (theirs, "theirs")))
        )
        for each in (first, second):
            await each.deliver()
    assert await listed(registry, service) == {**wishes[0], **wishes[1]}
    await consistent(etcd, options)


async def plays(
    registry: EtcdRegistry, service: ServiceRef, prefix: str, dice: random.Random
) -> Mapping[str, Mapping[str, str]]:
    """Change things for a while; return what there must be in the end."""
    wished: dict[str, Mapping[str, str]] = {}
    for _ in range(40):
        changes: list[Change] = []
        for number in dice.sample(range(12), dice.randint(1, 6)):
            name = f"{prefix}-{number}"
            wish = register(name, {"is": secrets.token_hex(4)})
            changes.append(deregister(name) if name in wished and dice.random() < 0.5 else wish)
            if changes[-1] is wish:
                wished[name] = attributes_of(wish)
            else:
                del wished[name]
        while changes:
            outcomes = await apply(registry, service, *changes)
            changes = [each.change for each in outcomes.values() if each.error]
    return wished
