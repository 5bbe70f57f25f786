"""A write asks the fence as its bytes are about to leave, and in the thread that sends them."""

import threading
from collections.abc import AsyncIterator

import pytest

from kube_registrar.model.changes import Change, Deregister, Register
from kube_registrar.model.errors import NotLeading
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import client, open_registry
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence
from kube_registrar.testing import builders
from tests.registries.cloudmap.scripted import Script

SERVICE = builders.service_ref("test-namespace/flask-app")


class Asked(Fence):
    """Notes which thread asked, and may close when it is asked."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.threads: list[str] = []
        self.closes = False

    def check(self, about: str, seconds: float = WRITE_SECONDS) -> None:
        self.threads.append(threading.current_thread().name)
        if self.closes:
            self.close()
        super().check(about, seconds)


@pytest.fixture
def fence() -> Asked:
    return Asked()


@pytest.fixture
async def registry(script: Script, fence: Asked) -> AsyncIterator[Registry]:
    rates = dict.fromkeys(DEFAULT_RATES, "100000/100000")
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": rates, "pollSeconds": 0.001}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
        yield registry


async def made(registry: Registry, change: Change) -> Exception | None:
    [outcome] = [outcome async for outcome in registry.apply(SERVICE, [change])]
    return outcome.error


def register() -> Register:
    wish = builders.registration(service=SERVICE)
    return Register(wish.instance, wish.origin)


def deregister() -> Deregister:
    wish = builders.registration(service=SERVICE)
    return Deregister(wish.instance.id, wish.origin, "the pod is gone")


def test_the_time_outs_of_a_write_are_shorter_than_what_the_fence_grants() -> None:
    assert client.CONNECT_TIMEOUT_SECONDS + client.READ_TIMEOUT_SECONDS < WRITE_SECONDS


async def test_each_write_asks_in_its_own_thread(registry: Registry, script: Script, fence: Asked) -> None:
    assert await made(registry, register()) is None
    assert len(fence.threads) == len(script.asked("RegisterInstance")) == 1
    assert fence.threads[0].startswith("cloudmap-default")


@pytest.mark.parametrize("change", [register(), deregister()], ids=["register", "deregister"])
async def test_a_fence_that_closes_after_the_token_was_taken_lets_nothing_leave(
    registry: Registry, script: Script, fence: Asked, change: Change
) -> None:
    fence.closes = True  # asked in the thread, after the limiter and the pool: nothing but the socket comes after it
    error = await made(registry, change)
    assert isinstance(error, NotLeading)
    assert script.asked("RegisterInstance") == script.asked("DeregisterInstance") == []


async def test_reads_go_on_when_it_is_closed(registry: Registry, script: Script, fence: Asked) -> None:
    fence.close()
    script.on("ListInstances", {"Instances": [{"Id": "i-1", "Attributes": {}}]})
    assert [instance.id for instance in await registry.instances(SERVICE)] == ["i-1"]
    assert [found.spec.ref for found in await registry.find(None)] == [SERVICE.namespace]
    assert fence.threads == []


async def test_making_and_removing_are_writes(registry: Registry, script: Script, fence: Asked) -> None:
    fence.close()
    other = builders.service_spec(ref=builders.service_ref("test-namespace/other"))
    with pytest.raises(NotLeading):
        await registry.ensure(other, "somebody")
    with pytest.raises(NotLeading):
        await registry.ensure(builders.namespace_spec(ref=builders.service_ref("more/x").namespace), "somebody")
    with pytest.raises(NotLeading):
        await registry.remove(SERVICE)
    assert {name for name, _ in script.requests if not name.startswith(("List", "Get"))} == set()


async def test_a_write_that_was_refused_is_made_once_the_fence_is_open(
    registry: Registry, script: Script, fence: Asked
) -> None:
    fence.close()
    assert isinstance(await made(registry, register()), NotLeading)
    fence.open_until(SystemClock().monotonic() + 3_600)
    assert await made(registry, register()) is None
    assert len(script.asked("RegisterInstance")) == 1
