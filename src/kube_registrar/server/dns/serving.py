"""Listening for DNS: UDP and TCP on one address."""

import errno
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from kube_registrar.server.dns.answering import Responder
from kube_registrar.server.dns.datagrams import Datagrams
from kube_registrar.server.dns.records import Records
from kube_registrar.server.dns.rendering import Renderer
from kube_registrar.server.dns.source import ZoneSource
from kube_registrar.server.dns.streams import Streams
from kube_registrar.server.dns.wire import CODES, TYPES
from kube_registrar.server.listening import bind, refused, resolve

FLAG = "--dns-listen"
_ATTEMPTS = 32
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): the route to them tells which address of ours is the usual one."""


Counted = Callable[[], Sequence[tuple[str, str, int]]]
_TYPE_NAMES = {number: name for name, number in TYPES.items()}
_UNANSWERED = "none"


def responder(source: ZoneSource, addresses: Sequence[tuple[str, str]] = ()) -> Responder:
    """Return what answers for these zones from now on; `addresses` of this server, as (IPv4, IPv6)."""
    records = Records()
    Renderer(source, records, addresses).start()
    return Responder(records, random.Random())


def counted(answering: Responder) -> list[tuple[str, str, int]]:
    """Return how many queries there were by type and code, in words. Types are few: anybody can ask for any number."""
    told: Counter[tuple[str, str]] = Counter()
    for (type_, code), count in answering.counted().items():
        told[_TYPE_NAMES.get(type_, "other"), CODES.get(code, _UNANSWERED)] += count
    return [(type_, code, count) for (type_, code), count in sorted(told.items())]


@asynccontextmanager
async def serve(source: ZoneSource, host: str, port: int) -> AsyncIterator[tuple[int, Counted]]:
    """Answer for these zones on `host:port` (0: a free one for both), and close at the end.

    Yields the port, and what tells how many queries were answered. Raises UserError, one sentence, if the address
    cannot be had.
    """
    family, address = await resolve(host, port, FLAG)
    stream, datagram = _both(family, address, host, port)
    answering = responder(source, _own_addresses(family, stream))
    streams = Streams(answering)
    datagrams = Datagrams(datagram, answering)
    try:
        await streams.start(stream)
        yield stream.getsockname()[1], partial(counted, answering)
    finally:
        datagrams.close()
        await streams.close()
        stream.close()


def _both(
    family: socket.AddressFamily, address: tuple[str | int, ...], host: str, port: int
) -> tuple[socket.socket, socket.socket]:
    """Bind TCP and UDP to one port. A free one may be taken for the other of the two: then another one is tried."""
    for _ in range(_ATTEMPTS):
        stream = bind(family, address, host, port, FLAG)
        try:
            taken = (address[0], stream.getsockname()[1], *address[2:])
            datagram = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                datagram.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                datagram.bind(taken)
            except OSError:
                datagram.close()
                raise
        except OSError as error:
            stream.close()
            if port or error.errno != errno.EADDRINUSE:
                raise refused(error, host, port, FLAG) from None
            continue
        return stream, datagram
    raise refused(OSError(errno.EADDRINUSE, "taken"), host, port, FLAG)


def _own_addresses(family: socket.AddressFamily, bound: socket.socket) -> list[tuple[str, str]]:
    """Return the address that clients reach this server at: the bound one, else the one that routes begin with."""
    address = bound.getsockname()[0]
    if address in {"0.0.0.0", "::"}:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((_SOMEWHERE[family], 53))  # Sends nothing.
            except OSError:
                return []
            address = probe.getsockname()[0]
    address = address.partition("%")[0]
    return [(address, "")] if family == socket.AF_INET else [("", address)]
