import asyncio
import socket

import pytest
from aiohttp import ClientConnectionError, ClientSession, web

from kube_registrar.model.errors import UserError
from kube_registrar.server.listening import listening


async def test_port_0_is_a_free_one_and_is_free_again_afterwards() -> None:
    async with ClientSession() as session:
        async with (
            listening(web.Application(), "127.0.0.1", 0, flag="--listen") as port,
            session.get(f"http://127.0.0.1:{port}/") as answer,
        ):
            assert answer.status == 404
        with pytest.raises(ClientConnectionError):
            await session.get(f"http://127.0.0.1:{port}/")
    async with listening(web.Application(), "127.0.0.1", port, flag="--listen") as again:
        assert again == port


@pytest.mark.parametrize("before", [0, 2])
async def test_a_head_that_goes_on_and_on_is_refused(before: int) -> None:
    """As the first request of a connection, and as a later one; one that is large and ends is none."""
    async with listening(web.Application(), "127.0.0.1", 0, flag="--listen") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(before):
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nX: %b\r\n\r\n" % (b"x" * 6000 * number)
            writer.write(head + b"y" * 40000)
            assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
            answer = await reader.readuntil(b"\r\n\r\n")
            [length] = [int(line.split()[1]) for line in answer.splitlines() if line.startswith(b"Content-Length")]
            await reader.readexactly(length)
        lines = [b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(17)]
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(lines))
        assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
        assert (await reader.read()).endswith(b"Connection: close\r\n\r\n")
        writer.transport.abort()


async def test_a_name_gets_one_port_for_one_address() -> None:
    async with (
        listening(web.Application(), "localhost", 0, flag="--listen") as port,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert answer.status == 404


async def test_a_taken_port_is_one_sentence_with_the_next_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError) as caught:
            async with listening(web.Application(), "127.0.0.1", port, flag="--api-listen"):
                pass
    assert str(caught.value) == (
        f"127.0.0.1:{port} is taken by another process: choose another port with --api-listen HOST:PORT (0: a free one)"
    )


@pytest.mark.parametrize(
    ("host", "beginning"),
    [
        ("203.0.113.9", "203.0.113.9:8080 is no address of this machine: choose one that is with --listen HOST:PORT"),
        ("no.such.name.invalid", "'no.such.name.invalid' is no address of this machine ("),
        ("x" * 70, f"'{'x' * 70}' is no address of this machine ("),
    ],
)
async def test_an_address_of_elsewhere_is_one_sentence(host: str, beginning: str) -> None:
    with pytest.raises(UserError) as caught:
        async with listening(web.Application(), host, 8080, flag="--listen"):
            pass
    assert str(caught.value).startswith(beginning)
    assert "--listen HOST:PORT" in str(caught.value)
