"""DNS over real sockets, asked by dnspython."""

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import dns.asyncquery
import dns.flags
import dns.message
import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.server.dns import serving
from kube_registrar.server.dns.batches import PACKETS, Batches
from kube_registrar.server.dns.serving import Counted
from kube_registrar.server.dns.streams import Streams
from tests.server.dns.town import Asked, addresses, targets, town

QUERY = dns.message.make_query("web.shop.local", "A")
LOCAL = "127.0.0.1"


@dataclass
class Served:
    port: int
    counted: Counted


def one_by_one(*_: object) -> None:
    raise OSError(errno.ENOSYS, "this machine receives packets one by one")


@pytest.fixture(params=["by the batch", "one by one"])
async def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Served as this machine can best, and as every machine can."""
    if request.param == "one by one":
        monkeypatch.setattr("kube_registrar.server.dns.datagrams.Batches", one_by_one)
    place = town()
    place.put(place.put_service("a-longer-name-of-a-service", "SRV"), *targets(8))
    async with serving.serve(place, LOCAL, 0) as (port, counted):
        yield Served(port, counted)


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(LOCAL, port)


def framed(*messages: dns.message.Message) -> bytes:
    wires = [message.to_wire() for message in messages]
    return b"".join(struct.pack("!H", len(wire)) + wire for wire in wires)


async def received(reader: asyncio.StreamReader) -> dns.message.Message:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(length))


async def test_both_ways_give_the_same_answer(served: Served) -> None:
    for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
        reply = await ask(QUERY, LOCAL, port=served.port, timeout=30)
        assert len(addresses(reply)) == 3
    assert served.counted() == [("A", "NOERROR", 2)]


async def test_what_does_not_fit_comes_over_tcp(served: Served) -> None:
    query = dns.message.make_query("a-longer-name-of-a-service.shop.local", "SRV")
    reply, over_tcp = await dns.asyncquery.udp_with_fallback(query, LOCAL, port=served.port, timeout=30)
    assert over_tcp
    assert (len(reply.answer[0]), sum(map(len, reply.additional))) == (8, 16)


async def test_a_burst_of_datagrams_is_answered_in_full(served: Served) -> None:
    """A thousand wait at once: the kernel keeps them, and they are taken 64 at a time."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        client.setblocking(False)
        client.connect((LOCAL, served.port))
        wire = QUERY.to_wire()
        for number in range(1000):
            client.send(struct.pack("!H", number) + wire[2:])
        ids: set[int] = set()
        while len(ids) < 1000:
            ids.add(int.from_bytes((await asyncio.wait_for(loop.sock_recv(client, 4096), 30))[:2], "big"))
    assert ids == set(range(1000))


async def test_datagrams_that_are_no_queries_end_nothing(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for packet in (b"", b"\0", b"x" * 4096, b"\xff" * 65000):
            client.sendto(packet, (LOCAL, served.port))
    assert addresses(await dns.asyncquery.udp(QUERY, LOCAL, port=served.port, timeout=30))


async def test_who_gets_no_answer_takes_none_from_those_around(served: Served) -> None:
    """Every third packet deserves no answer, and all of them wait when the first is read."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, socket.socket(type=socket.SOCK_DGRAM) as other:
        for sock in (client, other):
            sock.setblocking(False)
            sock.connect((LOCAL, served.port))
        wire = QUERY.to_wire()
        for number in range(90):
            (client, other, client)[number % 3].send(
                struct.pack("!H", number) + (b"\x80" if number % 3 == 2 else wire[2:])
            )
        for sock, rest in ((client, 0), (other, 1)):
            ids = {
                int.from_bytes((await asyncio.wait_for(loop.sock_recv(sock, 4096), 30))[:2], "big") for _ in range(30)
            }
            assert ids == {number for number in range(90) if number % 3 == rest}


@pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is a call of Linux")
async def test_linux_receives_by_the_batch() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as client:
        sock.bind((LOCAL, 0))
        batches = Batches(sock)
        assert batches.answer(lambda packet: packet) == 0
        for number in range(PACKETS + 1):
            client.sendto(bytes([number]), sock.getsockname())
        assert [batches.answer(lambda packet: packet * 2) for _ in range(3)] == [PACKETS, 1, 0]
        assert [client.recv(16) for _ in range(PACKETS + 1)] == [bytes([number]) * 2 for number in range(PACKETS + 1)]


async def test_queries_may_follow_each_other_without_waiting(served: Served) -> None:
    """RFC 7766, 6.2.1.1; also where one is cut in two by the network."""
    queries = [dns.message.make_query(f"{name}.shop.local", "A") for name in ("web", "x", "empty", "one")]
    reader, writer = await connected(served.port)
    octets = framed(*queries)
    writer.write(octets[:50])
    await writer.drain()
    writer.write(octets[50:])
    replies = [await received(reader) for _ in queries]
    assert {reply.id for reply in replies} == {query.id for query in queries}
    assert all(query.is_response(reply) for query, reply in zip(queries, replies, strict=True))
    writer.close()


async def test_who_sends_half_a_query_and_goes_leaves_nothing_behind(served: Served) -> None:
    for part in (b"", b"\0", b"\0\x20abc"):
        _, writer = await connected(served.port)
        writer.write(part)
        writer.close()
        await writer.wait_closed()
    assert addresses(await dns.asyncquery.tcp(QUERY, LOCAL, port=served.port, timeout=30))


async def test_what_is_no_query_ends_the_connection(served: Served) -> None:
    reader, writer = await connected(served.port)
    writer.write(b"\0\3abc")
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def with_streams(
    test: Callable[[Streams, int], Awaitable[None]], *, idle_seconds: float = 30, connections: int = 9
) -> None:
    streams = Streams(Asked(town()).responder, idle_seconds=idle_seconds, connections=connections)
    sock = socket.create_server((LOCAL, 0))
    await streams.start(sock)
    try:
        await test(streams, sock.getsockname()[1])
    finally:
        await streams.close()


async def test_who_is_silent_is_hung_up_on() -> None:
    async def test(streams: Streams, port: int) -> None:
        reader, writer = await connected(port)
        writer.write(framed(QUERY))
        assert addresses(await received(reader))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()

    await with_streams(test, idle_seconds=0.05)


async def test_one_connection_too_many_closes_the_one_that_was_silent_for_longest() -> None:
    async def test(streams: Streams, port: int) -> None:
        clients = [await connected(port) for _ in range(3)]
        for reader, writer in (clients[1], clients[2], clients[0]):
            writer.write(framed(QUERY))
            assert addresses(await received(reader))
        reader, writer = await connected(port)
        writer.write(framed(QUERY))
        assert addresses(await received(reader))
        assert streams.connections == 3
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(clients[1][0].readexactly(1), 30)
        for number in (0, 2):
            clients[number][1].write(framed(QUERY))
            assert addresses(await received(clients[number][0]))
        for _, each in (*clients, (reader, writer)):
            each.close()

    await with_streams(test, connections=3)


async def test_who_takes_no_answers_is_hung_up_on() -> None:
    """Else answers would wait in our memory without end."""

    async def test(streams: Streams, port: int) -> None:
        _, writer = await connected(port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def send() -> None:
            while True:
                writer.write(framed(QUERY) * 1000)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send(), 60)
        writer.close()

    await with_streams(test, idle_seconds=0.2)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_a_port_that_is_taken_is_one_sentence(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((LOCAL, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        sentence = f"{LOCAL}:{port} is taken by another process: choose another port with --dns-listen HOST:PORT"
        with pytest.raises(UserError, match=sentence):
            async with serving.serve(town(), LOCAL, port):
                pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::"])
async def test_other_addresses_work_as_well(host: str) -> None:
    local = LOCAL if host == "0.0.0.0" else "::1"
    async with serving.serve(town(), host, 0) as (port, _):
        for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
            reply = await ask(QUERY, local, port=port, timeout=30)
            assert len(addresses(reply)) == 3


async def test_a_bug_is_an_answer_and_a_line_in_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("kube_registrar.server.dns.answering.queries.read", broken)
    for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
        reply = await ask(QUERY, LOCAL, port=served.port, timeout=30)
        assert reply.rcode() == 2
    assert sum("this is a bug" in record.message for record in caplog.records) == 2
