"""Just enough of HTTP/1.1 over asyncio streams for a proxy between a client and an API server, both well-behaved."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kube_registrar.testing.fault_rules import Call

_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "host", "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request whole: `target` is path and query as they came."""

    call: Call
    target: str
    body: bytes

    def head(self, host: str, token: str) -> bytes:
        """Return the head to send on: for one request a connection, with an answer that is not compressed.

        A request that says not who it is from gets `token`: kubectl sends none over plain HTTP.
        """
        own = {"Host": host, "Connection": "close", "Accept-Encoding": "identity"}
        if "authorization" not in self.call.headers:
            own["Authorization"] = f"Bearer {token}"
        if self.body:
            own["Content-Length"] = str(len(self.body))
        kept = {name: value for name, value in self.call.headers.items() if name not in _HOP_BY_HOP}
        return _head(f"{self.call.verb} {self.target} HTTP/1.1", {**kept, **own})


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]

    def head(self, framing: Mapping[str, str]) -> bytes:
        """Return the head to send on, with the framing of the body to come."""
        kept = {name: value for name, value in self.headers.items() if name not in _HOP_BY_HOP}
        return _head(f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", {**kept, **framing})


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read the next request of a connection; None at its end."""
    try:
        first, headers = await _read_head(reader)
    except asyncio.IncompleteReadError:
        return None
    verb, target, _ = first.split(" ", 2)
    parts = urlsplit(target)
    call = Call(verb, unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)), headers)
    return Request(call, target, await reader.readexactly(int(headers.get("content-length", "0"))))


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Read the head of a response. Raises asyncio.IncompleteReadError when the connection ends before it."""
    first, headers = await _read_head(reader)
    return Response(int(first.split(" ", 2)[1]), headers)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the pieces of a chunked body. Raises asyncio.IncompleteReadError when it is cut."""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        data = await reader.readexactly(size + 2)
        yield data[:-2]


async def read_body(reader: asyncio.StreamReader, response: Response) -> bytes:
    """Read a whole body, whatever its framing."""
    if response.headers.get("transfer-encoding", "").lower() == "chunked":
        return b"".join([piece async for piece in chunks(reader)])
    if "content-length" in response.headers:
        return await reader.readexactly(int(response.headers["content-length"]))
    return await reader.read()


def whole(response: Response, body: bytes) -> bytes:
    """Return a response with its body, ready to send."""
    return response.head({"Content-Length": str(len(body))}) + body


def answer(status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """Return a JSON response, ready to send."""
    return whole(Response(status, {"content-type": "application/json", **(headers or {})}), json.dumps(value).encode())


def chunk(data: bytes) -> bytes:
    """Return one piece of a chunked body; the empty one ends it."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _head(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}
