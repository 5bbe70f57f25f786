"""Three members: the leader killed, a majority lost, one that hangs."""

import asyncio
from collections.abc import Iterator

import pytest

from kube_registrar.model.changes import Change
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.contract.base import apply, deregister, listed, must, register
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import changed, opened, service_in, until

pytestmark = pytest.mark.extended

CHANGES = 200


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("three"), members=3) as cluster:
        yield cluster


async def test_a_leader_that_is_killed_loses_nothing_and_leaves_no_ghost(
    etcd: EtcdCluster, registry: EtcdRegistry, options: dict[str, object]
) -> None:
    service, victim = await service_in(registry), etcd.leader()
    options["endpoints"] = [victim.url, *(each.url for each in etcd.members if each is not victim)]
    workers: list[list[Change]] = []
    for number in range(CHANGES // 4):
        name, other = f"stays-{number}", f"goes-{number}"
        workers.append([register(name), register(other), deregister(other), register(name, {"again": "yes"})])
    async with opened(options) as worker:
        first = asyncio.gather(*(changed(worker, service, changes) for changes in workers[:25]))
        await asyncio.to_thread(etcd.kill, victim)
        await first
        await asyncio.gather(*(changed(worker, service, changes) for changes in workers[25:]))
    found = await listed(registry, service)
    assert {name: each.get("again") for name, each in found.items()} == {
        f"stays-{number}": "yes" for number in range(CHANGES // 4)
    }
    keys = await asyncio.to_thread(etcd.keys, f"{options['skydnsPath']}/")
    assert {key.split("/")[-2] for key in keys} == set(found)
    await asyncio.to_thread(lambda: etcd.start(victim).wait())


async def test_a_majority_that_is_lost_is_said_in_one_sentence_and_comes_back_by_itself(
    etcd: EtcdCluster, options: dict[str, object]
) -> None:
    last, *others = etcd.members
    async with opened({**options, "endpoints": [last.url]}, RegistryName("edge")) as registry:
        service = await service_in(registry)
        await must(registry, service, register("a"))
        await asyncio.to_thread(etcd.kill, *others)
        clock, said = SystemClock(), ""
        began = clock.monotonic()
        while "has no leader" not in said:
            with pytest.raises(Unreachable) as caught:
                await registry.instances(service)
            said = str(caught.value)
            assert clock.monotonic() - began < 30
        assert said == (
            "registry edge: listing the instances of edge:example.com/web: etcd has no leader, so most of its members "
            "are down or cannot reach each other. Start or connect them"
        )
        (outcome,) = (await apply(registry, service, register("b"))).values()
        assert isinstance(outcome.error, Unreachable)
        await asyncio.to_thread(lambda: etcd.start(*others).wait())
        await must(registry, service, register("b"))
        assert set(await listed(registry, service)) == {"a", "b"}


async def test_a_member_that_hangs_is_left_for_another(etcd: EtcdCluster, options: dict[str, object]) -> None:
    leader = etcd.leader()
    follower, other = [each for each in etcd.members if each is not leader]
    async with opened({**options, "endpoints": [follower.url, other.url]}) as registry:
        service = await service_in(registry)
        etcd.pause(follower)
        try:
            await must(registry, service, register("a"))
            await must(registry, service, deregister("a"), register("b"))
        finally:
            etcd.go_on(follower)

        async def is_there() -> bool:
            return set(await listed(registry, service)) == {"b"}

        await until(is_there)
