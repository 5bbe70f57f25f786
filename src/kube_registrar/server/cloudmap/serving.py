"""Listening for the Cloud Map API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap.application import QUICK
from kube_registrar.server.cloudmap.hosts import require_loopback
from kube_registrar.server.cloudmap.lane import Lanes
from kube_registrar.server.listening import listening

FLAG = "--api-listen"


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` on `host:port` (0: a free port), yield the port that was bound, and close gracefully at the end.

    Raises UserError, one sentence: the port is taken, or the address is not a loopback one.
    """
    require_loopback(host, FLAG)
    # What stands before the application, a middleware, must see every request.
    quick = app.get(QUICK) if not app.middlewares else None
    front = partial(Lanes, quick, SystemClock()) if quick is not None else None
    async with listening(app, host, port, flag=FLAG, front=front) as bound:
        yield bound
