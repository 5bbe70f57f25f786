"""A fast lane for discoveries: the plainest of HTTP requests are read and answered here, all others by aiohttp.

What is read here is a POST of HTTP/1.1 with a Content-Length, each header once, in ASCII; what is answered are
discoveries that succeed. At the first thing that is anything else the connection is aiohttp's, with all that was read
of it and for good: so every error, and every other operation, is answered by one code.

Why: of the 60 µs that aiohttp needs for a request, 45 go into objects and tasks that a discovery needs nothing of.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Final, cast

from aiohttp.http import SERVER_SOFTWARE

from kube_registrar.runtime.clock import Clock
from kube_registrar.server import listening
from kube_registrar.server.cloudmap import discoveries, protocol

Head = tuple[int, Mapping[str, str], int]
"""How many octets a head has, its headers, and how many octets the body has."""

Quick = Callable[[Mapping[str, str], bytes], bytes | None]
"""Gives the body of the answer for headers, their names in lower case, and a body; None: ask aiohttp."""

_START: Final = b"POST / HTTP/1.1\r\n"
_HEAD = re.compile(rb"POST / HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n){1,100})\r\n")
_NOT_HERE = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "smithy-protocol"})
_END: Final = b"\r\n\r\n"
_MOST_HEAD = 8000
_MOST_HEADS, _MOST_HEAD_KEPT = 1024, 1024
_MOST_BODY = 64 * 1024


class Lanes:
    """Makes a protocol for each connection to a server, and closes those that are still in the lane."""

    def __init__(self, quick: Quick, clock: Clock, others: Callable[[], asyncio.Protocol]) -> None:
        self._quick = quick
        self._others = others
        self._clock = clock
        self._open: set[Lane] = set()
        self._date = (0, "")
        self._heads: dict[bytes, Head] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return Lane(self)

    def close(self) -> None:
        """Close the connections that no request of aiohttp's is on; none of them waits for an answer."""
        for lane in list(self._open):
            lane.close()

    def entered(self, lane: "Lane") -> None:
        """Remember a connection."""
        self._open.add(lane)

    def left(self, lane: "Lane") -> None:
        """Forget a connection that has ended, or is aiohttp's."""
        self._open.discard(lane)

    def other(self) -> asyncio.Protocol:
        """Return the protocol that takes over a connection."""
        return self._others()

    def known(self, data: bytes) -> Head | None:
        """Return the head that a request begins with, if it was read before: clients send the same over and over."""
        return self._heads.get(data[: data.find(_END) + len(_END)])

    def keep(self, octets: bytes, head: Head) -> None:
        """Remember a head that is for here. What is signed is not sent twice."""
        if len(octets) > _MOST_HEAD_KEPT or "authorization" in head[1]:
            return
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        self._heads[octets] = head

    def answer(self, headers: Mapping[str, str], body: bytes) -> bytes | None:
        """Return the whole answer, or None."""
        content = self._quick(headers, body)
        if content is None:
            return None
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: {protocol.CONTENT_TYPE}\r\nx-amzn-RequestId: {protocol.request_id()}\r\n"
            f"Content-Length: {len(content)}\r\nDate: {self._now()}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
        ).encode() + content

    def _now(self) -> str:
        """Return the time as HTTP writes it, made once a second."""
        second = int(self._clock.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


class Lane(asyncio.Protocol):
    """One connection, as long as it asks for nothing but discoveries."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._is_full = False
        self._was_used = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not say so
        self._lanes.entered(self)
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End."""
        self._leave()

    def close(self) -> None:
        """Close the connection, once what was answered is sent."""
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        """Answer no more for now: the client does not read."""
        self._is_full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with what has come meanwhile."""
        self._is_full = False
        if self._transport is not None:
            self._transport.resume_reading()
            self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole, and keep the rest."""
        self._waiting = self._waiting + data if self._waiting else data
        while self._waiting and not self._is_full and self._transport is not None:
            taken = self._answered(self._transport, self._waiting)
            if not taken:
                return
            self._waiting = self._waiting[taken:]

    def _answered(self, transport: asyncio.Transport, data: bytes) -> int:
        """Answer the request that `data` begins with; return its length, or 0 if there was nothing to answer."""
        head = self._lanes.known(data) or self._read(transport, data)
        if head is None:
            return 0
        size, headers, length = head
        end = size + length
        if len(data) < end:
            return 0
        answer = self._lanes.answer(headers, data[size:end])
        if answer is None:
            self._hand_over(transport)
            return 0
        transport.write(answer)
        self._was_used = True
        return end

    def _read(self, transport: asyncio.Transport, data: bytes) -> Head | None:
        """Read a head. None: it is not whole yet, or the connection was handed over for it is not for here."""
        found = _HEAD.match(data)
        if not found:
            may_become = data.startswith(_START) or _START.startswith(data)
            if not may_become or len(data) > _MOST_HEAD or _END in data:
                self._hand_over(transport)
            return None
        headers = headers_of(found[1])
        length = _length(headers) if headers is not None else None
        # What is not for here is not waited for: strangers are refused before their bodies are there.
        is_ours = headers is not None and headers.get("x-amz-target") in discoveries.TARGETS
        if headers is None or length is None or not is_ours or found.end() > _MOST_HEAD:
            self._hand_over(transport)
            return None
        head = (found.end(), headers, length)
        self._lanes.keep(found[0], head)
        return head

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """Let aiohttp have the connection, and what has come on it and was not answered."""
        self._leave()
        other = self._lanes.other()
        transport.set_protocol(other)
        other.connection_made(transport)
        data, self._waiting = self._waiting, b""
        other.data_received(data)

    def _leave(self) -> None:
        self._transport = None
        self._lanes.left(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        """Close the connection if nothing was answered for long: idle, or a client that dribbles or does not read."""
        if self._timer is not None and not self._was_used:
            self.close()
            return
        self._was_used = False
        self._timer = asyncio.get_running_loop().call_later(listening.IDLE_SECONDS, self._look_again)


def headers_of(lines: bytes) -> dict[str, str] | None:
    """Return the headers, names in lower case; None if one is there twice, or asks for more than a plain answer."""
    headers = {}
    texts = lines[:-2].decode("ascii").split("\r\n")
    for text in texts:
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) != len(texts) or not _NOT_HERE.isdisjoint(headers):
        return None
    return headers if headers.get("connection", "keep-alive").lower() == "keep-alive" else None


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    length = int(text) if text.isdecimal() and len(text) <= len(str(_MOST_BODY)) else None
    return length if length is not None and length <= _MOST_BODY else None
