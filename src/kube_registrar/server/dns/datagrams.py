"""DNS over UDP: a socket that is read without an endpoint between, a burst at a time.

asyncio's datagram endpoint turns the loop once for each packet; measured, this is three times as fast on plain asyncio.
Where the machine receives and sends many packets with one call, that is what is done.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial

from kube_registrar.server.dns.answering import Responder
from kube_registrar.server.dns.batches import Batches

_log = logging.getLogger(__name__)

_BURST = 64
"""Packets in one turn of the loop; whatever else waits comes in between."""
_OCTETS = 4096
_BUFFER = 2 * 1024 * 1024
"""Octets that may wait in the kernel: its own default loses queries that come in bursts."""


class Datagrams:
    """Answers what comes to a bound UDP socket, which it owns from then on."""

    def __init__(self, sock: socket.socket, responder: Responder) -> None:
        self._socket = sock
        self._responder = responder
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)  # noqa: FBT003 - its only parameter
        for option, forced in ((socket.SO_RCVBUF, 33), (socket.SO_SNDBUF, 32)):
            _enlarge(sock, option, forced)
        self._loop.add_reader(sock, self._reader())

    def close(self) -> None:
        """Answer no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _reader(self) -> Callable[[], object]:
        """Return what is called when packets wait: the best that the machine has."""
        try:
            batches = Batches(self._socket)
        except OSError:
            return self._readable
        return partial(batches.answer, self._answer)

    def _readable(self) -> None:
        receive, send, answer = self._socket.recvfrom, self._socket.sendto, self._answer
        for _ in range(_BURST):
            try:
                packet, address = receive(_OCTETS)
            except OSError:  # Nothing waits any more; or a client's host says that it did not want its answer.
                return
            reply = answer(packet)
            if reply is not None:
                try:  # noqa: SIM105 - `suppress` costs a twentieth of a query
                    send(reply, address)
                except OSError:  # A full buffer, or no such address: UDP promises nothing, and the client asks again.
                    pass

    def _answer(self, packet: bytes) -> bytes | None:
        try:
            return self._responder.answer(packet)
        except Exception:  # noqa: BLE001 - one query must not end the server
            _log.exception("a DNS query over UDP failed; this is a bug")
            return self._responder.failed(packet)


def _enlarge(sock: socket.socket, option: int, forced: int) -> None:
    """Ask for a large buffer: beyond the machine's limit where we may, else up to it, which is no error.

    `forced` is SO_RCVBUFFORCE or SO_SNDBUFFORCE of Linux, which Python has no names for.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    if sys.platform == "linux" and sock.getsockopt(socket.SOL_SOCKET, option) < _BUFFER:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, forced, _BUFFER)
