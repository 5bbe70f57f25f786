"""Heads of signed requests that are, octet by octet, like one before: only what differs is read.

A head is like another if it has the same length, and the same octets but in the values that may vary, each of them as
long, and of nothing but digits, letters from A to F, `T`, `Z` and hyphens: so it has the same lines, and no more. What
does not verify goes to aiohttp as it came, and is read there.
"""

import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.server.access.repeated import VARYING, Likeness, Repeated
from kube_registrar.server.cloudmap import heads
from kube_registrar.server.cloudmap.heads import Head

_MOST_FRAMED: Final = 2048
"""Octets of a head that a frame is made of."""
_PLAIN: Final = b"0123456789abcdefABCDEFTZ-"
_HEXADECIMAL: Final = b"0123456789abcdef"
_SIGNATURE: Final = 64
_ENDS_WITH_SIGNATURE = re.compile(rb"Signature=[0-9a-f]{64} *$")

Slots = tuple[tuple[str, slice], ...]


class Frame:
    """The octets that heads have in common, and where the others are."""

    __slots__ = ("_claim", "_fixed", "_headers", "_likeness", "_signature", "_size", "_slots")

    def __init__(self, head: bytes, headers: Mapping[str, str], slots: Slots, signature: slice) -> None:
        """`head`: without its empty line, as it was read to `headers`; `slots` by their place."""
        self._size = len(head)
        self._headers = dict(headers)
        self._claim = headers["authorization"][:-_SIGNATURE]
        self._slots = slots
        self._signature = signature
        self._likeness = Likeness()
        edges = sorted([*(where for _, where in slots), signature], key=lambda where: where.start)
        starts = [0, *(where.stop for where in edges)]
        ends = [*(where.start for where in edges), len(head)]
        self._fixed = tuple((slice(start, end), head[start:end]) for start, end in zip(starts, ends, strict=True))

    @property
    def shape(self) -> object:
        """What two frames have in common that are the same."""
        return self._fixed_octets, tuple((name, where.start, where.stop) for name, where in self._slots)

    @property
    def _fixed_octets(self) -> tuple[bytes, ...]:
        return tuple(octets for _, octets in self._fixed)

    def read(self, head: bytes) -> Head | None:
        """Read a head, without its empty line, that is like those; None if it is not."""
        if len(head) != self._size:
            return None
        for where, octets in self._fixed:
            if head[where] != octets:
                return None
        headers = Repeated(self._headers, self._likeness)
        for name, where in self._slots:
            value = head[where]
            if value.translate(None, _PLAIN):
                return None
            headers[name] = value.decode("ascii")
        given = head[self._signature]
        if given.translate(None, _HEXADECIMAL):
            return None
        headers.signature = given.decode("ascii")
        headers["authorization"] = self._claim + headers.signature
        length = heads.length_of(headers)
        return (self._size + len(heads.END), headers, length) if length is not None else None


def framed(head: bytes, headers: Mapping[str, str]) -> Frame | None:
    """Return the frame of a signed head, without its empty line, read to these headers; None if it has none."""
    if len(head) > _MOST_FRAMED:
        return None
    slots: list[tuple[str, slice]] = []
    signature: slice | None = None
    start = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        lower = name.lower().decode("ascii")
        first = start + len(name) + 1 + len(value) - len(value.lstrip(b" "))
        last = first + len(value.strip(b" "))
        if lower == "authorization" and _ENDS_WITH_SIGNATURE.search(value):
            signature = slice(last - _SIGNATURE, last)
        elif lower in VARYING and not head[first:last].translate(None, _PLAIN):
            slots.append((lower, slice(first, last)))
        start += len(line) + 2
    return Frame(head, headers, tuple(slots), signature) if signature is not None else None
