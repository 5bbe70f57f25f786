"""A registry that is away when the process starts: it is said, tried again, and there once it can be opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kube_registrar.model.errors import NotOpen, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY, ServiceRef
from kube_registrar.registries.awaited import Awaited
from kube_registrar.registries.port import Registry
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry

LONGEST = 30.0


class Door:
    """Opens a registry, unless it says why not."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.tries = 0
        self.closed = False
        self.registry = FakeRegistry(DEFAULT_REGISTRY)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Registry]:
        self.tries += 1
        if self.why:
            raise NotOpen(self.why)
        try:
            yield self.registry
        finally:
            self.closed = True


class Ground:
    def __init__(self) -> None:
        self.door = Door("nobody there")
        self.clock = FakeClock()
        self.awaited = Awaited(
            DEFAULT_REGISTRY, "nobody there", None, opening=self.door.open, dress=lambda each: each, clock=self.clock
        )
        self.keeping = asyncio.create_task(self.awaited.keep())

    async def end(self) -> None:
        self.keeping.cancel()
        await asyncio.gather(self.keeping, return_exceptions=True)


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    made = Ground()
    yield made
    await made.end()


async def test_it_is_tried_again_and_says_when_it_is_open(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await ground.clock.advance(600)
    assert 600 / LONGEST <= ground.door.tries < 60
    with pytest.raises(Unreachable, match=r"^nobody there; it is tried again by itself$"):
        await ground.awaited.find(None)
    ground.door.why = ""
    await ground.clock.advance(LONGEST)
    assert await ground.awaited.find(None) == ()
    assert ground.awaited.capabilities == ground.door.registry.capabilities
    assert caplog.messages == ["registry default is open now"]


async def test_another_reason_is_said_once(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    ground.door.why = "who are you"
    await ground.clock.advance(600)
    assert caplog.messages == ["who are you; it is tried again by itself"]
    with pytest.raises(Unreachable, match="who are you"):
        await ground.awaited.find(None)


async def test_it_is_closed_in_the_end(ground: Ground) -> None:
    ground.door.why = ""
    await ground.clock.advance(LONGEST)
    assert not ground.door.closed
    await ground.end()
    assert ground.door.closed


async def test_whoever_listens_from_the_start_hears_the_hints(ground: Ground) -> None:
    heard: list[ServiceRef | None] = []

    async def listen() -> None:
        heard.append(await anext(aiter(ground.awaited.changed())))

    assert ground.awaited.capabilities.watches
    listening = asyncio.create_task(listen())
    ground.door.why = ""
    await ground.clock.advance(LONGEST)
    ground.door.registry.hint(builders.service_ref())
    await ground.clock.settle()
    await listening
    assert heard == [builders.service_ref()]
