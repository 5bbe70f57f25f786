"""Blocking queries tell what others change, and nothing of what we wrote ourselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kube_registrar.model.instances import Health
from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.consul import watching
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.registries.port import Watching
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import deregister, must, register, set_health
from tests.registries.consul.ground import made, new_consul, opened

pytestmark = pytest.mark.extended

SECONDS = 20.0


class Hints:
    """What was hinted at so far."""

    def __init__(self) -> None:
        self.seen: list[ServiceRef | None] = []
        self._more = asyncio.Event()

    async def collect(self, registry: ConsulRegistry) -> None:
        async for hint in registry.changed():
            self.seen.append(hint)
            self._more.set()

    async def expect(self, service: ServiceRef | None) -> None:
        """Wait for that hint, and forget it with all before it."""
        async with asyncio.timeout(SECONDS):
            while service not in self.seen:
                self._more.clear()
                await self._more.wait()
        self.seen.clear()


@asynccontextmanager
async def watched(registry: ConsulRegistry) -> AsyncIterator[Hints]:
    """Watch, and begin once all three queries have their first answer."""
    hints = Hints()
    task = asyncio.create_task(hints.collect(registry))
    watch = registry._watch
    async with asyncio.timeout(SECONDS):
        while watch.answered < 3:  # noqa: ASYNC110 - it counts for tests alone
            await asyncio.sleep(0.01)
    try:
        yield hints
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_others_write_is_hinted_at_and_our_own_is_not(consul: Consul, fresh: str) -> None:
    async with opened(consul) as ours, opened(consul) as theirs:
        assert isinstance(ours, Watching)
        service = await made(ours, f"{fresh}/web", custom_health=True)
        other = await made(ours, f"{fresh}/other")
        await ours.find(service.namespace)
        async with watched(ours) as hints:
            await must(ours, service, register("a"), register("b"))
            await must(ours, service, set_health("a", Health.UNHEALTHY), deregister("b"))
            await must(theirs, other, register("x"))
            await hints.expect(other)
            assert service not in hints.seen
            await theirs.instances(service)
            await must(theirs, service, set_health("a", Health.HEALTHY))
            await hints.expect(service)
            consul.put("/v1/catalog/deregister", {"Node": "kube-registrar", "ServiceID": f"{fresh}-web/a"})
            await hints.expect(service)


async def test_services_and_namespaces_that_others_make_are_hinted_at(consul: Consul, fresh: str) -> None:
    async with opened(consul) as ours, opened(consul) as theirs, watched(ours) as hints:
        service = await made(theirs, f"{fresh}/web")
        await hints.expect(None)
        await theirs.remove(service)
        await hints.expect(service)


async def test_watching_goes_on_after_the_server_was_restarted_with_less(
    tmp_path: Path, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data were lost, so its index begins anew: what is missing is hinted at, at the latest when a wait is over."""
    monkeypatch.setattr(watching, "WAIT_SECONDS", 1)
    with new_consul(tmp_path) as consul:
        async with opened(consul) as registry:
            service = await made(registry, f"{fresh}/web")
            async with watched(registry) as hints:
                await must(registry, service, *(register(f"i-{number}") for number in range(50)))
                await must(registry, service, deregister("i-0"))
                consul.put("/v1/catalog/deregister", {"Node": "kube-registrar", "ServiceID": f"{fresh}-web/i-1"})
                await hints.expect(service)
                consul.kill()
                consul.lose_data()
                consul.start()
                await hints.expect(service)
