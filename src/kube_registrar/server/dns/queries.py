"""Reading a query. Whatever comes is read to the end, and what cannot be answered says which code it deserves."""

import struct
from dataclasses import dataclass

from kube_registrar.server.dns.wire import (
    AXFR,
    BADVERS,
    FORMERR,
    IXFR,
    LARGEST,
    LONGEST_LABEL,
    LONGEST_NAME,
    NOERROR,
    NOTIMP,
    OPT,
    PLAIN_SIZE,
    REFUSED,
    ROOT,
)

_IN = b"\0\x01"
_COUNTS = 8
_POINTER = 0xC0
_DNSSEC_OK = 0x8000


@dataclass(frozen=True, slots=True)
class Query:
    """A query but for its id and flags. `code`: what it must be answered with; NOERROR: what the records say.

    `name` is in lower case, `question` as it came, with type and class. `key` is where the records have it; empty where
    they need not be asked. `opt` is the record to answer with, if there is one (`opts`); `limit`: octets over UDP.
    """

    code: int
    name: bytes = ROOT
    type: int = 0
    question: bytes = b""
    key: bytes = b""
    opt: bytes = b""
    limit: int = PLAIN_SIZE
    opts: int = 0


MALFORMED = Query(FORMERR)
NOT_IMPLEMENTED = Query(NOTIMP)


def read(rest: bytes) -> Query:
    """Read a query from its counts on, that is without its id and flags. Never raises."""
    try:
        return _read(rest)
    except (ValueError, IndexError, struct.error):
        return MALFORMED


def _read(rest: bytes) -> Query:
    questions, answers, authorities, additional = struct.unpack_from("!4H", rest)
    if questions != 1:  # RFC 9619: a query has one
        return MALFORMED
    end = _name_end(rest, _COUNTS)
    name = rest[_COUNTS:end].lower()
    question = rest[_COUNTS : end + 4]
    if len(name) > LONGEST_NAME or len(question) < len(name) + 4:
        return MALFORMED
    asked = _edns(rest, end + 4, answers + authorities, additional)
    code = NOERROR
    opt, limit = b"", PLAIN_SIZE
    type_ = int.from_bytes(question[-4:-2], "big")
    if type_ in {AXFR, IXFR} or question[-2:] != _IN:
        code = REFUSED
    if asked is not None:
        size, version, flags = asked
        limit = min(max(size, PLAIN_SIZE), LARGEST)
        code = BADVERS if version else code
        opt = _opt(code, flags)
    key = b"" if code else name + question[-4:-2]
    return Query(code, name, type_, question, key, opt, limit, int(bool(opt)))


def _name_end(rest: bytes, at: int) -> int:
    """Return where a name that is not compressed ends: a question has nothing yet to point to."""
    while rest[at]:
        if rest[at] > LONGEST_LABEL:
            raise ValueError("no label")
        at += rest[at] + 1
    return at + 1


def _edns(rest: bytes, at: int, passed: int, additional: int) -> tuple[int, int, int] | None:
    """Return size, version and flags of the OPT record; None if there is none. All other records are passed over."""
    found = None
    for number in range(passed + additional):
        owner = rest[at]
        at = _skipped(rest, at)
        type_, size, ttl, length = struct.unpack_from("!HHIH", rest, at)
        at += 10
        if at + length > len(rest):
            raise ValueError("cut short")
        if type_ == OPT:
            if found or owner or number < passed:
                raise ValueError("an OPT record that may not be there")
            _check_options(rest, at, at + length)
            found = (size, ttl >> 16 & 0xFF, ttl & 0xFFFF)
        at += length
    if at != len(rest):
        raise ValueError("more than the counts say")
    return found


def _skipped(rest: bytes, at: int) -> int:
    """Return where the name of a record ends, compressed or not."""
    while rest[at]:
        if rest[at] >= _POINTER:
            return at + 2
        if rest[at] > LONGEST_LABEL:
            raise ValueError("no label")
        at += rest[at] + 1
    return at + 1


def _check_options(rest: bytes, at: int, end: int) -> None:
    """Check that options fill their record; none of them is known, and all are ignored (RFC 6891, 6.1.2)."""
    while at < end:
        at += 4 + int.from_bytes(rest[at + 2 : at + 4], "big")
    if at != end:
        raise ValueError("an option that is cut short")


def _opt(code: int, flags: int) -> bytes:
    """Return our OPT record. The bit DO is copied (RFC 3225); all others are unassigned, and cleared."""
    return struct.pack("!BHHBBHH", 0, OPT, LARGEST, code >> 4, 0, flags & _DNSSEC_OK, 0)
