"""A fast lane for what is asked most: the plainest of HTTP requests are read and answered here, all others by aiohttp.

What is read here is a POST of HTTP/1.1 with a Content-Length, each header once, in ASCII; what is answered is what
`quick` knows. At the first thing that is anything else the connection is aiohttp's, with all that was read of it and
for good: so every error, and every other operation, is answered by one code.

A connection has one request under way. What comes after a write waits until that is answered, in its order.

Why: of the 60 µs that aiohttp needs for a request, 45 go into objects and tasks that these need nothing of.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, cast

from aiohttp.http import SERVER_SOFTWARE

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.runtime.clock import Clock
from kube_registrar.server import listening
from kube_registrar.server.cloudmap import heads, protocol
from kube_registrar.server.cloudmap.bodies import Bodies
from kube_registrar.server.cloudmap.frames import Frame, framed
from kube_registrar.server.cloudmap.heads import Head


class Instead(Enum):
    """What there may be in place of an answer: the request is aiohttp's; or it will come later."""

    ELSEWHERE = auto()
    LATER = auto()


Later = Callable[[bytes | CloudMapError], None]
"""Is told the body of an answer, or an error; once, and not before what asked for it has returned."""

Ask = Callable[[Mapping[str, str], bytes, Later], bytes | Instead]
"""Gives the body of the answer for headers, their names in lower case, and a body."""


@dataclass(frozen=True, slots=True)
class Quick:
    """What is answered here, by X-Amz-Target; and who may send a body that does not come with its head.

    `greet` refuses by headers alone, with a CloudMapError; `bodies` counts what has come.
    """

    asks: Mapping[str, Ask]
    greet: Callable[[Mapping[str, str]], None]
    bodies: Bodies


_MOST_HEADS, _MOST_HEAD_KEPT = 1024, 1024
_MOST_FRAMES: Final = 1024
_MOST_FRAMES_EACH: Final = 8
"""How often a connection gets another frame: who never sends the same is read as if there were none."""
_LOOKS: Final = 5
"""How often a connection is looked at in the time that it may be idle."""
_MOST_WAITING: Final = heads.MOST_HEAD + heads.MOST_BODY
"""Octets that may wait while a request is under way; of one that comes after it no more is needed."""


class Lanes:
    """Makes a protocol for each connection to a server, and closes those that are still in the lane."""

    def __init__(self, quick: Quick, clock: Clock, others: Callable[[], asyncio.Protocol]) -> None:
        self._quick = quick.asks
        self._greet = quick.greet
        self.bodies = quick.bodies
        self._others = others
        self._clock = clock
        self._open: set[Lane] = set()
        self._busy: set[Lane] = set()
        self._rests = asyncio.Event()
        self._is_closed = False
        self._second, self._well = 0, b""
        self._heads: dict[bytes, Head] = {}
        self._frames: dict[object, Frame] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return Lane(self)

    @property
    def held(self) -> int:
        """How many connections are here."""
        return len(self._open)

    def close(self) -> None:
        """Close the connections that no request of aiohttp's is on, each as soon as it waits for no answer."""
        self._is_closed = True
        for lane in list(self._open):
            lane.close()

    async def closed(self, seconds: float) -> None:
        """Wait until those have their answers that wait for one, but no longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._busy:
                    self._rests.clear()
                    await self._rests.wait()
        for lane in list(self._busy):
            lane.abandon()

    def entered(self, lane: "Lane") -> None:
        """Remember a connection; one that was accepted while the others were closed is closed too."""
        self._open.add(lane)
        if self._is_closed:
            lane.close()

    def left(self, lane: "Lane") -> None:
        """Forget a connection that has ended, or is aiohttp's."""
        self._open.discard(lane)
        self.rests(lane)

    def works(self, lane: "Lane") -> None:
        """Remember that a connection waits for an answer."""
        self._busy.add(lane)

    def rests(self, lane: "Lane") -> None:
        """Remember that it does no more."""
        self._busy.discard(lane)
        if not self._busy:
            self._rests.set()

    def other(self) -> asyncio.Protocol:
        """Return the protocol that takes over a connection."""
        return self._others()

    def known(self, octets: bytes) -> Head | None:
        """Return a head that was read before: clients send the same over and over."""
        return self._heads.get(octets)

    def keep(self, octets: bytes, head: Head) -> None:
        """Remember a head that is for here. What is signed is not sent twice."""
        if len(octets) > _MOST_HEAD_KEPT or "authorization" in head[1]:
            return
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        self._heads[octets] = head

    def framed(self, octets: bytes, headers: Mapping[str, str]) -> Frame | None:
        """Return the frame of a signed head; connections of one kind of client share it."""
        made = framed(octets, headers)
        if made is None:
            return None
        if len(self._frames) >= _MOST_FRAMES:
            self._frames.clear()
        return self._frames.setdefault(made.shape, made)

    def is_known(self, target: str | None) -> bool:
        """Whether requests with this X-Amz-Target are for here."""
        return target in self._quick

    def greets(self, headers: Mapping[str, str]) -> bool:
        """Whether a body may be waited for, by what its headers claim."""
        try:
            self._greet(headers)
        except CloudMapError:
            return False
        return True

    def ask(self, headers: Mapping[str, str], body: bytes, later: Later) -> bytes | Instead:
        """Return the body of an answer, or what there is instead."""
        asked = self._quick.get(headers.get("x-amz-target", ""))
        return asked(headers, body, later) if asked is not None else Instead.ELSEWHERE

    def answer(self, content: bytes | CloudMapError) -> bytes:
        """Return the whole answer with this body, or for this error."""
        second = int(self._clock.time())
        if self._second != second:
            self._second, self._well = second, _template("200 OK", second)
        if not isinstance(content, CloudMapError):
            return self._well % (protocol.request_id().encode(), b"", len(content), content)
        refused = _template(f"{content.status} {HTTPStatus(content.status).phrase}", second)
        body, told = protocol.error_body(content), f"x-amzn-ErrorType: {content.code}\r\n".encode()
        return refused % (protocol.request_id().encode(), told, len(body), body)


def _template(status: str, second: int) -> bytes:
    """Return an answer of a second, but for its id, headers of its own, its body's length and its body."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {protocol.CONTENT_TYPE}\r\nx-amzn-RequestId: %b\r\n%b"
        f"Content-Length: %d\r\nDate: {formatdate(second, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n%b"
    ).encode()


_NOTHING: Final = (None, False)


class Lane(asyncio.Protocol):
    """One connection, as long as it asks for nothing but what is answered here."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._is_full = False
        self._is_busy = False
        self._is_paused = False
        self._held = 0
        self._begun: tuple[Head | None, bool] = _NOTHING
        self._ends = False
        self._was_used = False
        self._frame: Frame | None = None
        self._frames_left = _MOST_FRAMES_EACH
        self._quiet_looks = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not say so
        self._look_again()
        self._lanes.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End. What is under way goes on; its answer is nobody's."""
        self._leave()

    def close(self) -> None:
        """Close the connection, once what was asked is answered and sent."""
        self._ends = True
        if not self._is_busy:
            self.abandon()

    def abandon(self) -> None:
        """Close the connection, once what was answered is sent."""
        self._lanes.rests(self)
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        """Answer no more for now: the client does not read."""
        self._is_full = True
        self._read_on_if_wanted()

    def resume_writing(self) -> None:
        """Go on with what has come meanwhile."""
        self._is_full = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole, and keep the rest."""
        self._waiting = self._waiting + data if self._waiting else data
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._is_full and not self._is_busy and self._transport is not None:
            taken = self._answered(self._transport, self._waiting)
            if not taken:
                break
            self._waiting = self._waiting[taken:]
        self._read_on_if_wanted()

    def _read_on_if_wanted(self) -> None:
        """Read no more while the client reads none, or while more waits behind a request than is of use."""
        pauses = self._is_full or (self._is_busy and len(self._waiting) > _MOST_WAITING)
        if self._transport is None or self._transport.is_closing() or pauses is self._is_paused:
            return
        self._is_paused = pauses
        if pauses:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _answered(self, transport: asyncio.Transport, data: bytes) -> int:
        """Answer the request that `data` begins with; return its length, or 0 if there was nothing to answer."""
        end_of_head = data.find(heads.END)
        if end_of_head < 0:
            if not heads.may_become(data):
                self._hand_over(transport)
            return 0
        octets = data[:end_of_head]
        head, is_framed = self._begun
        if head is None:
            head = self._frame.read(octets) if self._frame is not None else None
            is_framed = head is not None
            head = head or self._lanes.known(octets) or self._read(data, end_of_head)
        if head is None:
            self._hand_over(transport)
            return 0
        size, headers, length = head
        end = size + length
        if len(data) < end:
            self._begun = (head, is_framed)
            self._wait_if_may(transport, headers, len(data))
            return 0
        if self._held:
            self._give_back()
        answer = self._lanes.ask(headers, data[size:end], self._later)
        if answer is Instead.ELSEWHERE:
            self._hand_over(transport)
            return 0
        if answer is Instead.LATER:
            self._is_busy = True
            self._lanes.works(self)
            return end
        transport.write(self._lanes.answer(answer))
        self._was_used = True
        if not is_framed and self._frames_left and "authorization" in headers:
            self._frames_left -= 1
            self._frame = self._lanes.framed(octets, headers)
        return end

    def _later(self, answer: bytes | CloudMapError) -> None:
        """Answer the request that is under way, and go on with what came after it."""
        self._is_busy = False
        self._lanes.rests(self)
        if self._transport is None:
            return
        self._transport.write(self._lanes.answer(answer))
        self._was_used = True
        if self._ends:
            self._transport.close()
        else:
            self._go_on()

    def _read(self, data: bytes, end: int) -> Head | None:
        """Read a head. None: it is not for here."""
        head = heads.read(data, end)
        # What is not for here is not waited for: strangers are refused before their bodies are there.
        if head is None or not self._lanes.is_known(head[1].get("x-amz-target")):
            return None
        self._lanes.keep(data[:end], head)
        return head

    def _wait_if_may(self, transport: asyncio.Transport, headers: Mapping[str, str], octets: int) -> None:
        """Wait for the rest of a body, if that may be; so many octets of it, and its head, are there."""
        is_welcome = self._held > 0 or self._lanes.greets(headers)
        if is_welcome and self._lanes.bodies.take(octets - self._held):
            self._held = octets
        else:
            self._hand_over(transport)

    def _give_back(self) -> None:
        self._lanes.bodies.give_back(self._held)
        self._held, self._begun = 0, _NOTHING

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """Let aiohttp have the connection, and what has come on it and was not answered."""
        self._leave()
        if self._is_paused:
            transport.resume_reading()
        other = self._lanes.other()
        transport.set_protocol(other)
        other.connection_made(transport)
        data, self._waiting = self._waiting, b""
        other.data_received(data)

    def _leave(self) -> None:
        self._transport = None
        self._give_back()
        self._lanes.left(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        """Close the connection if nothing was answered for long: idle, or a client that dribbles or does not read.

        A body that comes slowly is for aiohttp, and for the time that it gives a body.
        """
        if self._was_used or self._is_busy:
            self._quiet_looks = 0
        elif heads.END in self._waiting and not self._is_full and self._transport is not None:
            self._hand_over(self._transport)
            return
        else:
            self._quiet_looks += 1
        if self._quiet_looks > _LOOKS:
            self.close()
            return
        self._was_used = False
        self._timer = asyncio.get_running_loop().call_later(listening.IDLE_SECONDS / _LOOKS, self._look_again)
