"""One check, against servers that behave in every way."""

import asyncio
import contextlib
import errno
import os
import resource
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from kube_registrar.registries.embedded.checks import probing
from kube_registrar.registries.embedded.checks.endpoints import Endpoint
from kube_registrar.registries.embedded.checks.probing import NoVerdictError, probe
from kube_registrar.runtime import servers

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(
    serve: Serve, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Callable[..., Endpoint]]:
    """Serve on a free port, and give what makes an endpoint of it."""
    ends = []

    async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.Event()
        ends.append(end)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        end.set()

    server = await asyncio.start_server(until_the_end, address, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]

    def endpoint(kind: str = "HTTP", path: str = "/", name: str = "") -> Endpoint:
        return Endpoint(kind, address, port, path, name)

    try:
        yield endpoint
    finally:
        await servers.close(server)
        for end in ends:
            await asyncio.wait_for(end.wait(), 10)


def answering(line: bytes, heard: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(asked)
        writer.write(line)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", ""),
        (b"HTTP/1.1 399 Odd\n", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the status 400"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "the status 503"),
        (b"HTTP/1.1 199 Early\r\n\r\n", "the status 199"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"),
        (b"HTTP/2 200\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 20\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 " + b"x" * 3000 + b"\r\n", "the answer is not HTTP"),
        (b"x" * 100_000, "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK", "the connection was closed without an answer"),
        (b"", "the connection was closed without an answer"),
    ],
)
async def test_the_first_line_decides(answer: bytes, reason: str) -> None:
    async with serving(answering(answer)) as endpoint:
        assert await probe(endpoint()) == reason


async def test_the_request_names_the_path_and_the_service() -> None:
    heard: list[bytes] = []
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n", heard)) as endpoint:
        where = endpoint(path="/up?a=b", name="web.example.org")
        assert await probe(where) == ""
    assert heard == [
        f"GET /up?a=b HTTP/1.1\r\nHost: web.example.org:{where.port}\r\nUser-Agent: kube-registrar\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n".encode()
    ]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    heard: list[bytes] = []
    async with serving(answering(b"HTTP/1.1 500 No\r\n\r\n", heard)) as elsewhere:
        other = elsewhere()
        location = f"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\n\r\n".encode()
        async with serving(answering(location)) as endpoint:
            assert await probe(endpoint()) == ""
    assert heard == []


async def test_tcp_is_a_connection_and_no_more() -> None:
    heard = asyncio.Queue[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard.put(await reader.read())

    async with serving(serve) as endpoint:
        where = endpoint("TCP")
        assert await probe(where) == ""
        assert await asyncio.wait_for(heard.get(), 10) == b""
    assert await probe(where) == "no connection (Connection refused)"
    assert await probe(Endpoint("HTTP", where.address, where.port, "/")) == "no connection (Connection refused)"


async def test_nothing_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> None:
        raise AssertionError("a name was asked for")

    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as endpoint:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        assert await probe(endpoint(name="web.example.org")) == ""


async def test_ipv6_is_spoken() -> None:
    heard: list[bytes] = []
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n", heard), address="::1") as endpoint:
        where = endpoint()
        assert await probe(where) == ""
    assert f"Host: [::1]:{where.port}\r\n".encode() in heard[0]


async def test_who_does_not_answer_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 O")
        await reader.read()

    monkeypatch.setattr(probing, "ANSWER_SECONDS", 0.1)
    for serve in (silent, slow):
        async with serving(serve) as endpoint:
            assert await probe(endpoint()) == "no answer within 0 s"
    async with serving(silent) as endpoint:
        assert await probe(endpoint("HTTPS")) == "no answer within 0 s"


async def test_who_does_not_speak_tls_is_unhealthy() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Speak plainly\r\n\r\n")
        await writer.drain()

    async with serving(plain) as endpoint:
        assert (await probe(endpoint("HTTPS"))).startswith("no answer (")


async def test_a_connection_that_is_not_made_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", never)
    monkeypatch.setattr(probing, "CONNECT_SECONDS", 0.01)
    monkeypatch.setattr(probing, "TCP_SECONDS", 0.01)
    for kind in ("TCP", "HTTP", "HTTPS"):
        assert await probe(Endpoint(kind, "10.0.0.1", 80, "/")) == "no connection within 0 s"


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Leave this process no file that it could open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def without_files() -> str:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as endpoint:
        where = endpoint("TCP")
        assert await probe(where) == ""
        with no_more_files(), pytest.raises(NoVerdictError) as caught:
            await probe(where)
        assert await probe(where) == ""
    return str(caught.value)


async def test_who_has_no_more_files_gives_no_verdict() -> None:
    assert await without_files() == "Too many open files"


def test_nor_does_he_in_the_loop_of_the_operator() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(without_files()) == "Too many open files"


@pytest.mark.parametrize(
    ("number", "is_ours"),
    [
        (errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOBUFS, True), (errno.ENOMEM, True),
        (errno.EADDRNOTAVAIL, True), (errno.ECONNREFUSED, False), (errno.EHOSTUNREACH, False),
    ],
)  # fmt: skip
async def test_what_this_machine_lacks_is_no_fault_of_an_instance(
    monkeypatch: pytest.MonkeyPatch, number: int, is_ours: bool
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(asyncio, "open_connection", fails)
    if is_ours:
        with pytest.raises(NoVerdictError, match=os.strerror(number)):
            await probe(Endpoint("TCP", "10.0.0.1", 80))
    else:
        assert await probe(Endpoint("TCP", "10.0.0.1", 80)) == f"no connection ({os.strerror(number)})"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Make a certificate that nobody has signed and that names somebody else."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key),
        "-out", str(cert), "-days", "1", "-subj", "/CN=somebody.else",
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=Path("/"))


async def asked_over_tls(certificate: ssl.SSLContext) -> list[str]:
    found = []
    for status in (200, 500):
        async with serving(answering(f"HTTP/1.1 {status} x\r\n\r\n".encode()), certificate) as endpoint:
            found += [await probe(endpoint("HTTPS")), await probe(endpoint("HTTPS", name="web.example.org"))]
    return found


async def test_https_looks_at_no_certificate(certificate: ssl.SSLContext) -> None:
    assert await asked_over_tls(certificate) == ["", "", "the status 500", "the status 500"]


def test_it_is_the_same_in_the_loop_of_the_operator(certificate: ssl.SSLContext) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(asked_over_tls(certificate)) == ["", "", "the status 500", "the status 500"]
