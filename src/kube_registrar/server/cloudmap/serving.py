"""Listening for the Cloud Map API."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.hosts import require_loopback
from kube_registrar.server.cloudmap.application import QUICK
from kube_registrar.server.cloudmap.lane import Lanes
from kube_registrar.server.connections import Connections
from kube_registrar.server.listening import CLOSE_SECONDS, listening

FLAG = "--api-listen"


@asynccontextmanager
async def serve(
    app: web.Application,
    host: str,
    port: int,
    *,
    is_keyed: bool = False,
    tls: ssl.SSLContext | None = None,
    close_seconds: float = CLOSE_SECONDS,
    connections: Connections | None = None,
) -> AsyncIterator[int]:
    """Serve `app` on `host:port` (0: a free port), yield the port that was bound, and close gracefully at the end.

    `is_keyed`: the application asks everybody for a key. `connections` counts and limits what is open. Raises
    UserError, one sentence: the port is taken, or the address is not a loopback one and nobody is asked for a key.
    """
    if not is_keyed:
        require_loopback(host, FLAG)
    # What stands before the application, a middleware, must see every request.
    quick = app.get(QUICK) if not app.middlewares else None
    front = partial(Lanes, quick, SystemClock()) if quick is not None else None
    async with listening(
        app, host, port, flag=FLAG, tls=tls, close_seconds=close_seconds, front=front, limit=connections
    ) as bound:
        yield bound
