"""No client takes all connections from the others: one too many is closed, counted and said, and the others go on."""

import asyncio
import resource
import socket
import ssl
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from kube_registrar.runtime import descriptors
from kube_registrar.server import accepting
from kube_registrar.server.access.tls import Certificate
from kube_registrar.server.connections import Connections, Newest
from kube_registrar.server.listening import listening
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.watched import eventually
from tests.server.access.certificates import certificate

_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    loaded = Certificate(*certificate(tmp_path))
    loaded.load()
    return loaded.context


class _Held:
    held = 0

    def close_oldest(self) -> None: ...


async def _opened(port: int) -> tuple[asyncio.StreamWriter, bytes]:
    """Open a connection and ask; return what stays open of it, and the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_HEAD)
    return writer, await reader.readline()


async def _is_closed(port: int) -> bool:
    """Tell whether a new connection is closed without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()


async def test_one_too_many_is_closed_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    refused = list[int]()
    connections = Connections(2, FakeClock(), lambda: refused.append(1))
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen", limit=connections) as port:
        first, said = await _opened(port)
        second, _ = await _opened(port)
        assert (connections.held(), said) == (2, b"HTTP/1.1 404 Not Found\r\n")
        assert [await _is_closed(port) for _ in range(3)] == [True] * 3
        assert len(refused) == 3
        first.transport.abort()
        await eventually(lambda: connections.held() == 1, "the first one to be forgotten")
        third, said = await _opened(port)
        assert said == b"HTTP/1.1 404 Not Found\r\n"
        for each in (second, third):
            each.transport.abort()
    [record] = caplog.records
    assert record.getMessage() == (
        "the Cloud Map API holds as many connections as it may (2): new ones are closed; allow it more with "
        "--api-connections, or look who does not close theirs"
    )


async def _silent_beside_tls(tls: ssl.SSLContext) -> None:
    """Open connections that are silent, to a server that may hold five; then end them."""
    refused = list[int]()
    connections = Connections(5, FakeClock(), lambda: refused.append(1))
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen", tls=tls, limit=connections) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        await eventually(lambda: len(refused) == 35, "all that are too many to be closed")
        assert connections.held() == 5
        for _, writer in silent:
            writer.transport.abort()
        await eventually(lambda: connections.held() == 0, "those that have gone to be forgotten")
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await eventually(lambda: connections.held() == 3, "the others to be taken")
        silent[0][1].write(b"GET / HTTP/1.1\r\n\r\n")  # no TLS
        await eventually(lambda: connections.held() == 2, "the handshake to fail")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(_HEAD)
        assert await reader.readline() == b"HTTP/1.1 404 Not Found\r\n"
        assert connections.held() == 3
        for _, each in [*silent, (reader, writer)]:
            each.transport.abort()
    assert len(refused) == 35


async def test_who_does_not_begin_the_handshake_of_tls_is_counted(tls: ssl.SSLContext) -> None:
    await _silent_beside_tls(tls)


def test_and_in_the_loop_of_the_command_as_well(tls: ssl.SSLContext) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_silent_beside_tls(tls))


async def test_many_at_once_are_no_more_than_may_be() -> None:
    connections = Connections(5, FakeClock(), lambda: None)
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen", limit=connections) as port:
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        held = set[int]()
        for _ in range(20):
            await asyncio.sleep(0)
            held.add(connections.held())
        assert max(held) == 5
        for each in sockets:
            each.close()


async def test_whoever_holds_the_port_of_probes_makes_no_probe_fail(caplog: pytest.LogCaptureFixture) -> None:
    """The oldest ones are closed instead."""
    limit = Newest(5, FakeClock())
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen", limit=limit) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
        probe, said = await _opened(port)
        assert said == b"HTTP/1.1 404 Not Found\r\n"
        ended = [await asyncio.wait_for(reader.read(), 10) for reader, _ in silent[:8]]
        assert ended == [b""] * 8
        assert [reader.at_eof() for reader, _ in silent[8:]] == [False] * 4
        for writer in (probe, *(writer for _, writer in silent)):
            writer.transport.abort()
    [record] = caplog.records
    assert record.getMessage() == (
        "the port of probes and metrics holds as many connections as it may (5): the oldest are closed; look who does "
        "not close theirs"
    )


async def test_a_server_without_files_takes_connections_when_it_has_some_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_RETRY_SECONDS", 0.01)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen") as port:
        client = socket.socket()
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, before[1]))
        try:
            client.connect_ex(("127.0.0.1", port))
            await eventually(lambda: bool(caplog.records), "it to be said")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(_HEAD)
        assert await reader.readline() == b"HTTP/1.1 404 Not Found\r\n"
        writer.transport.abort()
    [record] = caplog.records
    assert record.getMessage() == "no connection can be taken (Too many open files): give this process more (ulimit -n)"


async def test_it_is_said_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    admits = Connections(0, clock, lambda: None).limited(_Held())
    for _ in range(3):
        assert not admits()
        await clock.advance(40.0)
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("limits", "wanted", "room", "raised"),
    [
        ((1024, 4096), 100, 100, None),
        ((1024, 4096), 2000, 2000, (2256, 4096)),
        ((1024, 4096), 10_000, 3840, (4096, 4096)),
        ((100, 100), 10_000, 1, (100, 100)),
        ((1024, resource.RLIM_INFINITY), 10_000, 10_000, (10_256, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 10_000, 10_000, None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    wanted: int,
    room: int,
    raised: tuple[int, int] | None,
) -> None:
    told = list[tuple[int, int]]()
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: told.append(given))
    assert descriptors.for_connections(wanted) == room
    assert told == ([raised] if raised else [])
