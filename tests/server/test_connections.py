"""No client takes all connections from the others: one too many is closed, counted and said, and the others go on."""

import asyncio
import resource

import pytest
from aiohttp import web

from kube_registrar.runtime import descriptors
from kube_registrar.server.connections import Connections
from kube_registrar.server.listening import listening
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.watched import eventually

_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


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


async def test_it_is_said_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    make = Connections(0, clock, lambda: None).limited(asyncio.Protocol, lambda: 0)
    for _ in range(3):
        make()
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
