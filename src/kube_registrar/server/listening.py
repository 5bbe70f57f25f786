"""Listening on an address, alike for every HTTP server of ours: the bound port, errors of one sentence."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from kube_registrar.model.errors import UserError
from kube_registrar.server.accepting import Accepting, Protocols
from kube_registrar.server.bounded import BoundedHandler
from kube_registrar.server.connections import Held

CLOSE_SECONDS = 2.0
"""How long open requests may still take when a server closes."""

IDLE_SECONDS = 75.0
"""How long a connection may wait for its next request, or take to send the headers of one; a minute is what SDKs keep
theirs at most."""

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for the handshake of TLS."""

_THEIRS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
_log = logging.getLogger("aiohttp.server.listening")
# What is no HTTP, and who goes in the middle of a request, is no trouble of ours; aiohttp would log a traceback.
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _THEIRS)))


class Front(Protocol):
    """What stands before aiohttp on each connection."""

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""

    def close(self) -> None:
        """Close the connections that aiohttp has not heard of, each once it is answered; new ones come no more."""

    async def closed(self, seconds: float) -> None:
        """Wait until what is under way on them is answered, but no longer than so many seconds."""

    @property
    def held(self) -> int:
        """How many connections there are that aiohttp has not heard of."""


class Limit(Protocol):
    """What keeps connections to as many as there may be: of `connections`."""

    def limited(self, held: Held) -> Callable[[], bool]:
        """Return what tells, of each new connection to a server, whether it may be there."""


class _Held:
    """The connections of a server, wherever they are."""

    def __init__(self, http: web.Server, before: Front | None) -> None:
        self._http = http
        self._before = before
        self.accepting: Accepting | None = None

    @property
    def held(self) -> int:
        """How many there are."""
        before = self._before.held if self._before is not None else 0
        pending = self.accepting.pending if self.accepting is not None else 0
        return len(self._http.connections) + before + pending

    def close_oldest(self) -> None:
        """Close the one that aiohttp has had for longest."""
        oldest = next((each for each in self._http.connections if each.transport is not None), None)
        if oldest is not None:
            oldest.force_close()


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    flag: str,
    tls: ssl.SSLContext | None = None,
    close_seconds: float = CLOSE_SECONDS,
    front: Callable[[Protocols], Front] | None = None,
    limit: Limit | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> AsyncIterator[int]:
    """Serve `app` on `host:port` (0: a free port) and yield the port that was bound; close gracefully at the end.

    `flag` is the option that gave the address (`--listen`): a UserError names it when the address cannot be had.
    Of a name with several addresses one is taken, IPv4 first: port 0 would pick another port for each.
    `front` is given what makes aiohttp's protocol for a connection, and what it returns stands before that. `limit`
    stands before both. A connection may wait for its next request for `idle_seconds`.
    """
    family, address = await resolve(host, port, flag)
    options: Mapping[str, Any] = {"access_log": None, "logger": _log, "keepalive_timeout": idle_seconds}
    runner = web.AppRunner(app, shutdown_timeout=close_seconds, handle_signals=False, **options)
    await runner.setup()
    http = cast("web.Server", runner.server)  # set up
    made = partial(BoundedHandler, http, loop=asyncio.get_running_loop(), **options)
    before = front(made) if front is not None else None
    protocols: Protocols = before if before is not None else made
    held = _Held(http, before)
    admits = limit.limited(held) if limit is not None else lambda: True
    try:
        sock = bind(family, address, host, port, flag)
        bound = sock.getsockname()[1]
        # Not by a site of aiohttp's: it knows no limit of the handshake, and no protocol but its own.
        accepting = held.accepting = Accepting(sock, protocols, admits, tls, HANDSHAKE_SECONDS)
        try:
            yield bound
        finally:
            await accepting.close()
            if before is not None:
                before.close()
    finally:
        # Both have the same time, at the same time.
        fronts = [before.closed(close_seconds)] if before is not None else []
        await asyncio.gather(runner.cleanup(), *fronts)


async def resolve(host: str, port: int, flag: str) -> tuple[socket.AddressFamily, Any]:
    """Return the family and the address to bind. Raises UserError for what is no address of this machine."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        # OSError(-2, …) of the resolver has its sentence in strerror; UnicodeError is a label that is too long.
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host!r} is no address of this machine ({why}): give another one with {flag} HOST:PORT"
        ) from None
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, address


def bind(family: int, address: Any, host: str, port: int, flag: str) -> socket.socket:
    """Return a TCP socket that listens. Raises UserError if the address cannot be had."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A server that restarts must not wait for the last one's connections to time out.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        # Here and not later, so that a taken port is an error of this call.
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise refused(error, host, port, flag) from None
    return sock


def refused(error: OSError, host: str, port: int, flag: str) -> UserError:
    """Return the one sentence for an address that cannot be had."""
    return UserError(_sentence(error, _shown(host, port), flag))


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _sentence(error: OSError, address: str, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is taken by another process: choose another port with {flag} HOST:PORT (0: a free one)"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"this user may not listen on {address}: choose a port from 1024 on with {flag} HOST:PORT"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: choose one that is with {flag} HOST:PORT"
    return f"cannot listen on {address} ({error.strerror}): choose another address with {flag} HOST:PORT"
