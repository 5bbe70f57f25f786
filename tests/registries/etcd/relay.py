"""Stands before one member of etcd, and loses what a test asks it to lose."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto

import aiohttp
from aiohttp import web


class Fault(Enum):
    LOST = auto()
    """The request never arrives."""
    UNANSWERED = auto()
    """It is done, and the answer never arrives."""
    LATE = auto()
    """The connection breaks, and the request arrives when `deliver` is called: as from a machine that was stopped."""


class Relay:
    """Forwards requests to `upstream`; `fault` picks what happens to one of this path and body."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.fault: Callable[[str, bytes], Fault | None] = lambda _path, _body: None
        self._upstream = upstream
        self._session = session
        self._late: list[tuple[str, bytes]] = []
        self._open: list[web.Request] = []

    @property
    def late(self) -> int:
        """How many requests are still on their way."""
        return len(self._late)

    async def deliver(self) -> None:
        """Let what was late arrive."""
        late, self._late = self._late, []
        for path, body in late:
            async with self._session.post(f"{self._upstream}{path}", data=body) as answer:
                await answer.read()

    async def cut(self) -> None:
        """Break the connections of all that is being answered."""
        for request in tuple(self._open):
            self._broken(request)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._open.append(request)
        try:
            return await self._handled(request)
        finally:
            self._open.remove(request)

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self.fault(request.path, body)
        if fault is Fault.LATE:
            self._late.append((request.path, body))
        if fault in {Fault.LATE, Fault.LOST}:
            return self._broken(request)
        async with self._session.post(f"{self._upstream}{request.path}", data=body) as answer:
            if fault is Fault.UNANSWERED:
                await answer.read()
                return self._broken(request)
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    def _broken(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@asynccontextmanager
async def relay(upstream: str) -> AsyncIterator[Relay]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        made = Relay(upstream, session)
        application = web.Application(client_max_size=2**24)
        application.router.add_route("POST", "/{path:.*}", made.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        try:
            yield made
        finally:
            await runner.cleanup()
            await asyncio.sleep(0)


def transactions(path: str, body: bytes) -> bool:
    """Whether it changes something."""
    return path == "/v3/kv/txn" and (b"request_put" in body or b"request_delete_range" in body)
