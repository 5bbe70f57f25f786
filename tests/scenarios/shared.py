"""A registry that no operator runs: several of them share it, each by a door of its own that notes what comes in."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve
from tests.threads import held_open

_READS = ("Get", "List", "Discover")


@dataclass
class Stop:
    """The first request for an operation that never gets its answer; `after`: it is carried out all the same."""

    operation: str
    after: bool
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    """Set it once nobody waits for the answer any more."""


@dataclass
class Door:
    """One address of the registry, and what was asked there: when (monotonic seconds), and which operation."""

    url: str = ""
    stop: Stop | None = None
    requests: list[tuple[float, str]] = field(default_factory=list)

    def writes(self, since: float = 0.0) -> list[str]:
        """Return the operations that change something, in the order in which they came."""
        return [name for moment, name in list(self.requests) if moment > since and not name.startswith(_READS)]

    def wrote_at(self, since: float) -> float | None:
        """Return when the first write after `since` came."""
        writes = (moment for moment, name in list(self.requests) if not name.startswith(_READS))
        return next((moment for moment in writes if moment > since), None)


@dataclass
class SharedRegistry:
    """An embedded registry in a thread of the test."""

    data: Path
    doors: tuple[Door, ...]


@contextmanager
def shared_registry(data: Path, doors: int, simulate: str = "") -> Iterator[SharedRegistry]:
    """Serve one registry at so many addresses."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[SharedRegistry]:
        made = SharedRegistry(data, tuple(Door() for _ in range(doors)))
        clock, troubles = SystemClock(), simulation(simulate)
        async with AsyncExitStack() as stack:
            config = {"data": data, "simulate": simulate}
            registry = await stack.enter_async_context(open_registry(config, DEFAULT_REGISTRY, clock))
            for door in made.doors:
                application = app(registry, troubles, clock)
                application.middlewares.append(_noting(door))
                port = await stack.enter_async_context(serve(application, "127.0.0.1", 0))
                door.url = f"http://127.0.0.1:{port}"
            yield made

    with held_open(serving(), "shared registry") as shared:
        yield shared


def _noting(door: Door) -> Middleware:
    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        door.requests.append((time.monotonic(), operation))
        stop = door.stop
        if stop is None or stop.operation != operation or stop.reached.is_set():
            return await handler(request)
        if stop.after:
            await handler(request)
        stop.reached.set()
        await asyncio.to_thread(stop.over.wait)
        raise web.HTTPServiceUnavailable

    return note
