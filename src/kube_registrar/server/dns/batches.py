"""UDP packets of Linux, many with one call: what recvmmsg(2) and sendmmsg(2) do, which Python has no names for.

Python's own recvfrom and sendto cost two calls of the kernel a packet, and turn each address into text and back. Here
an address stays where the kernel put it until the answer has left.
Layouts are those of socket.h, with 64 bits a pointer.
"""

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import Final

PACKETS: Final = 64
"""Packets with one call."""
_OCTETS: Final = 4096
_LENGTH_AT: Final = 56
"""Where `msg_len` stands in an `mmsghdr`."""
_HEADER: Final = 64
_ADDRESS: Final = 32
"""Room for one address: a `sockaddr_in6` has 28 octets."""
_ADDRESS_OCTETS: Final[dict[int, int]] = {socket.AF_INET: 16, socket.AF_INET6: 28}
_DONT_WAIT: Final = 0x40
_WORD: Final = 8

Answer = Callable[[bytes], bytes | None]
_Call = Callable[[int, int, int, int, int], int]
_Send = Callable[[int, int, int, int], int]


class Batches:
    """The packets of one UDP socket, received and answered by the batch."""

    def __init__(self, sock: socket.socket) -> None:
        """Raises OSError where the machine has no such calls."""
        self._fd = sock.fileno()
        self._receive, self._send = _calls()
        names = bytearray(_ADDRESS * PACKETS)
        self._received = _Messages(sock.family, names)
        self._sent = _Messages(sock.family, names)

    def answer(self, answer: Answer) -> int:
        """Receive what waits, at most PACKETS, and send what `answer` makes of each; return how many came.

        `answer` raises nothing. What cannot be sent is dropped: UDP promises nothing, and clients ask again.
        """
        received, sent = self._received, self._sent
        count = self._receive(self._fd, received.address, PACKETS, _DONT_WAIT, 0)
        start = 0
        for at in range(count):
            reply = answer(received.packet(at))
            if reply is None:
                self._send_out(start, at)
                start = at + 1
            else:
                sent.put(at, reply)
        self._send_out(start, count)
        return max(count, 0)

    def _send_out(self, start: int, end: int) -> None:
        while start < end:
            count = self._send(self._fd, self._sent.address + _HEADER * start, end - start, _DONT_WAIT)
            if count > 0:
                start += count
            elif ctypes.get_errno() == errno.EAGAIN:
                return
            else:  # no such address, or so: the others are sent
                start += 1


class _Messages:
    """As many `mmsghdr` in a row, each with room for one packet; the addresses are where `names` is."""

    def __init__(self, family: int, names: bytearray) -> None:
        self._octets = bytearray(_OCTETS * PACKETS)
        self._vectors = bytearray(2 * _WORD * PACKETS)
        self._headers = bytearray(_HEADER * PACKETS)
        octets, vectors, self.address = map(_address, (self._octets, self._vectors, self._headers))
        for at in range(PACKETS):
            struct.pack_into("@2Q", self._vectors, 2 * _WORD * at, octets + _OCTETS * at, _OCTETS)
            name, vector = _address(names) + _ADDRESS * at, vectors + 2 * _WORD * at
            header = (name, _ADDRESS_OCTETS[family], vector, 1, 0, 0, 0, 0)
            struct.pack_into("@QI4xQQQQi4xI", self._headers, _HEADER * at, *header)
        self._view = memoryview(self._octets)
        self._lengths = memoryview(self._headers).cast("I")
        self._sizes = memoryview(self._vectors).cast("Q")
        self._names = names  # They live as long as what points to them.

    def packet(self, at: int) -> bytes:
        """Return a packet that was received."""
        begin = _OCTETS * at
        return bytes(self._view[begin : begin + self._lengths[(_HEADER * at + _LENGTH_AT) // 4]])

    def put(self, at: int, packet: bytes) -> None:
        """Take over a packet to send."""
        begin, size = _OCTETS * at, len(packet)
        self._view[begin : begin + size] = packet
        self._sizes[2 * at + 1] = size


def _address(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@cache
def _calls() -> tuple[_Call, _Send]:
    """Return recvmmsg and sendmmsg. OSError where there are none.

    Python's lock is kept meanwhile, as none of them waits. To give it up for each call would let a thread that works
    have it for milliseconds.
    """
    if sys.platform != "linux" or struct.calcsize("P") != _WORD:
        raise OSError(errno.ENOSYS, "recvmmsg is called on 64-bit Linux only")
    library = ctypes.PyDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError as error:
        raise OSError(errno.ENOSYS, "the C library has no recvmmsg") from error
    receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    return receive, send
