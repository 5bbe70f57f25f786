"""Hints of what others change: none is lost, whatever becomes of the watch, and own changes give none."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing.contract.base import deregister, must, register
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import opened, service_in
from tests.registries.etcd.relay import Fault, relay

pytestmark = pytest.mark.extended


class Hints:
    """What a watch has told so far."""

    def __init__(self) -> None:
        self.told: list[ServiceRef | None] = []
        self._more = asyncio.Event()

    async def follow(self, registry: EtcdRegistry) -> None:
        async for hint in registry.changed():
            self.told.append(hint)
            self._more.set()

    async def until(self, hint: ServiceRef | None, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.told.count(hint) < times:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def watching(registry: EtcdRegistry) -> AsyncIterator[Hints]:
    hints = Hints()
    task = asyncio.create_task(hints.follow(registry))
    try:
        await hints.until(None)
        yield hints
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_others_change_is_told_and_own_changes_are_not(
    registry: EtcdRegistry, options: Mapping[str, Any]
) -> None:
    mine, theirs = await service_in(registry, name="mine"), await service_in(registry, name="theirs")
    async with opened(options) as other, watching(registry) as hints:
        for number in range(10):
            await must(registry, mine, register(f"i-{number}"))
        await must(other, theirs, register("a"))
        await hints.until(theirs)
        await must(registry, theirs, deregister("a"))
        await must(other, mine, deregister("i-0"))
        await hints.until(mine)
        assert hints.told == [None, theirs, mine]


async def test_what_changed_while_the_watch_was_down_is_told(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    async with relay(etcd.members[0].url) as between, opened(options) as other:
        service = await service_in(other)
        async with opened({**options, "endpoints": [between.url]}) as registry, watching(registry) as hints:
            between.fault = lambda _path, _body: Fault.LOST
            await between.cut()
            await must(other, service, register("a"))
            between.fault = lambda _path, _body: None
            await hints.until(service)
            assert hints.told == [None, service]


async def test_all_is_to_be_looked_at_again_where_the_revision_was_compacted(
    etcd: EtcdCluster, options: Mapping[str, Any]
) -> None:
    async with relay(etcd.members[0].url) as between, opened(options) as other:
        service = await service_in(other)
        async with opened({**options, "endpoints": [between.url]}) as registry, watching(registry) as hints:
            between.fault = lambda _path, _body: Fault.LOST
            await between.cut()
            await must(other, service, register("a"))
            await must(other, service, register("b"))
            etcd.compact()
            between.fault = lambda _path, _body: None
            await hints.until(None, 3)  # once by the watch over our prefix, once by that over CoreDNS's path
            await must(other, service, register("c"))
            await hints.until(service)


async def test_a_compaction_during_the_watch_ends_nothing(
    registry: EtcdRegistry, etcd: EtcdCluster, options: Mapping[str, Any]
) -> None:
    service = await service_in(registry)
    async with opened(options) as other, watching(registry) as hints:
        for number in range(1, 4):
            await must(other, service, register(f"i-{number}"))
            etcd.compact()
            await hints.until(service, number)
        assert hints.told == [None, service, service, service]


async def test_a_server_that_is_restarted_keeps_all_and_the_watch_goes_on(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path) as etcd:
        options = {"endpoints": list(etcd.endpoints)}
        async with opened(options) as registry, opened(options) as other:
            service = await service_in(registry)
            await must(registry, service, register("a"))
            async with watching(registry) as hints:
                etcd.kill()
                await asyncio.to_thread(etcd.start().wait)
                assert {each.id for each in await registry.instances(service)} == {"a"}
                await must(other, service, register("b"))
                await hints.until(service)
                assert None not in hints.told[1:]
