"""Listening for the Cloud Map API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from kube_registrar.server.cloudmap.hosts import require_loopback
from kube_registrar.server.listening import listening

FLAG = "--api-listen"


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` on `host:port` (0: a free port), yield the port that was bound, and close gracefully at the end.

    Raises UserError, one sentence: the port is taken, or the address is not a loopback one.
    """
    require_loopback(host, FLAG)
    async with listening(app, host, port, flag=FLAG) as bound:
        yield bound
