"""One packet in, one answer out, or none. Nothing here waits, and nothing that comes in makes it fail.

Most queries have been asked before, but for their id: what was read of them is kept, so that an answer is two look-ups,
a draw and one join. Whatever else comes takes the way of `_otherwise`.
"""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from kube_registrar.server.dns import queries
from kube_registrar.server.dns.queries import Query
from kube_registrar.server.dns.records import MOST_ANSWERS, Fixed, Pool, Records, RecordSet
from kube_registrar.server.dns.wire import (
    AAAA,
    ANY,
    CNAME,
    HEADER,
    NOERROR,
    NS,
    NXDOMAIN,
    QUESTION,
    REFUSED,
    ROOT,
    SERVFAIL,
    SOA,
    SRV,
    STREAM_SIZE,
    TYPES,
    A,
    parent,
    type_octets,
)

_AUTHORITATIVE = 0x04
_TRUNCATED = 0x02
_HEADS = tuple(
    [first + bytes((0, 0, 1, 0, number, 0, 0)) for number in range(MOST_ANSWERS + 1)] for first in (b"\x84", b"\x85")
)
"""What stands between the id and the number of additional records: by the bit RD, then by the number of answers."""
_COUNTS = [bytes((0, number)) for number in range(256)]
_KNOWN_QUERIES = 8192
_KNOWN_OCTETS = 400
_MOST_ALIASES = 8
_CNAME = type_octets(CNAME)
_NAMED = frozenset(TYPES.values())
_KINDS: Final = tuple(map(type_octets, (A, AAAA, SRV, CNAME, SOA, NS)))
"""What ANY is answered with: the first of these that is there, which is enough (RFC 8482)."""


Order = Callable[[Sequence[Any]], tuple[Any, ...]]


class Sections(NamedTuple):
    """What stands behind the question. `extras`: how many records, and their octets; they may be left out."""

    answers: Sequence[bytes] = ()
    authority: Sequence[bytes] = ()
    extras: Iterable[tuple[int, bytes]] = ()


def _one(at: int) -> Order:
    return lambda column: (column[at],)


@cache
def orders(count: int) -> list[Order]:
    """Return all orders of so many things, each as what puts a list into it: a draw among them is a true shuffle."""
    if count <= 1:  # itemgetter gives no tuple of one
        return [tuple]
    return [itemgetter(*order) for order in itertools.permutations(range(count))]


class Responder:
    """Answers packets from records. `tally`: how many, by type and code; without an answer the code is -1."""

    def __init__(self, records: Records, dice: random.Random) -> None:
        self.tally: Counter[tuple[int, int]] = Counter()
        self._records = records
        self._sets = records.sets
        self._random = dice.random
        self._known: dict[bytes, Query] = {}
        self._orders = [orders(count) for count in range(MOST_ANSWERS + 1)]
        self._plain = [0] * (max(map(int.from_bytes, _KINDS)) + 1)

    def answer(self, packet: bytes, *, stream: bool = False) -> bytes | None:
        """Return the answer to a packet; None: it deserves none. `stream`: it came over TCP."""
        query = self._known.get(packet[4:])
        if query is None or packet[2] > 1:
            query = self._read(packet)
            if query is None:
                self.tally[0, -1] += 1
                return None
        found = self._sets.get(query.key)
        if found is None:
            return self._otherwise(packet, query, stream=stream)
        live = found.live
        order, more = self._draw(live, found.most)
        answers = order(live.bodies)
        extras = order(live.extras) if live.extras else ()
        head = _HEADS[packet[2] & 1][len(answers)]
        count = _COUNTS[more + query.opts]
        reply = b"".join((packet[:2], head, count, query.question, *answers, *extras, query.opt))
        if len(reply) > query.limit and not stream:
            sections = Sections(answers, (), zip(order(live.numbers), extras, strict=True) if extras else ())
            return self._packed(packet, query, NOERROR, sections, stream=False)
        self._plain[query.type] += 1
        return reply

    def counted(self) -> Counter[tuple[int, int]]:
        """Return how many packets were answered, by type and code."""
        plain = Counter({(type_, NOERROR): count for type_, count in enumerate(self._plain) if count})
        return self.tally + plain

    def failed(self, packet: bytes) -> bytes | None:
        """Return the answer to a packet whose answer failed, which is a bug of ours."""
        self.tally[0, SERVFAIL] += 1
        if len(packet) < HEADER:
            return None
        return packet[:2] + bytes((0x80 | packet[2] & 0x79, SERVFAIL)) + bytes(8)

    def _read(self, packet: bytes) -> Query | None:
        """Read a packet. None for what is no query: an answer must never be answered."""
        if len(packet) < HEADER or packet[2] & 0x80:
            return None
        if packet[2] & 0x78:
            return queries.NOT_IMPLEMENTED
        rest = packet[4:]
        query = queries.read(rest)
        if len(rest) <= _KNOWN_OCTETS:
            if len(self._known) >= _KNOWN_QUERIES:
                self._known.clear()
            self._known[rest] = query
        return query

    def _draw(self, live: Pool | Fixed, most: int) -> tuple[Order, int]:
        """Return what takes the records to answer out of a list, and how many go with those into the last section.

        `most` are taken at random, each as likely as the others, in an order that is as likely as any other.
        """
        count = len(live.bodies)
        if count <= most:
            choices = self._orders[count]
            return choices[int(self._random() * len(choices))], live.more
        chosen: dict[int, None] = {}
        while len(chosen) < most:
            chosen[int(self._random() * count)] = None
        order = itemgetter(*chosen) if most > 1 else _one(*chosen)
        return order, sum(order(live.numbers)) if live.numbers else 0

    def _otherwise(self, packet: bytes, query: Query, *, stream: bool) -> bytes:
        """Answer what no set of this name and type does."""
        if query.code:
            return self._packed(packet, query, query.code, Sections(), stream=stream)
        if query.type == ANY:
            keys = (query.name + kind for kind in _KINDS)
            if (some := next((self._sets[key] for key in keys if key in self._sets), None)) is not None:
                return self._packed(packet, query, NOERROR, Sections(self._bodies(some)), stream=stream)
        answers: list[bytes] = []
        name = self._last_name(query, answers)
        apex = self._apex(name)
        if apex is None:
            code = NOERROR if answers else REFUSED
            return self._packed(packet, query, code, Sections(answers), stream=stream)
        authority: tuple[bytes, ...] = ()
        code = NOERROR
        if not answers or name + type_octets(query.type) not in self._sets:
            code = NOERROR if name in self._records.nodes else NXDOMAIN
            authority = (self._owner(apex, query) + self._records.zones[apex],)
        return self._packed(packet, query, code, Sections(answers, authority), stream=stream)

    def _last_name(self, query: Query, answers: list[bytes]) -> bytes:
        """Follow aliases from the name that was asked for, and add all records on the way; return the last name."""
        name = query.name
        seen: set[bytes] = set()
        for _ in range(_MOST_ALIASES):
            alias = self._sets.get(name + _CNAME)
            if alias is None or name in seen:
                return name
            seen.add(name)
            (body,) = self._bodies(alias)
            owner = self._owner(name, query)
            answers.append(owner + body[len(QUESTION) :])
            name = body[len(QUESTION) + 10 :].lower()
            found = self._sets.get(name + type_octets(query.type))
            if found is not None:
                answers += [name + item[len(QUESTION) :] for item in self._bodies(found)]
                return name
        return name

    def _bodies(self, found: RecordSet) -> list[bytes]:
        order, _ = self._draw(found.live, found.most)
        return list(order(found.live.bodies))

    def _owner(self, name: bytes, query: Query) -> bytes:
        """Return a name as the owner of a record: a pointer into the question where that ends with it."""
        if not query.name.endswith(name):
            return name
        at = HEADER + len(query.name) - len(name)
        return (0xC000 | at).to_bytes(2, "big")

    def _apex(self, name: bytes) -> bytes | None:
        """Return the zone that a name is in, the smallest one; None outside of all."""
        while name not in self._records.zones:
            if name == ROOT:
                return None
            name = parent(name)
        return name

    def _packed(self, packet: bytes, query: Query, code: int, sections: Sections, *, stream: bool) -> bytes:
        """Return a message. What is additional is left out where it does not fit; where the rest does not, it is TC."""
        self.tally[query.type if query.type in _NAMED else 0, code] += 1
        answers, authority, extras = sections
        body = b"".join((query.question, *answers, *authority))
        room = (STREAM_SIZE if stream else query.limit) - HEADER - len(body) - len(query.opt)
        flags = 0 if code and code != NXDOMAIN else _AUTHORITATIVE
        if room < 0:
            flags |= _TRUNCATED
            body, answers, authority, extras = query.question, (), (), ()
        counts = [bool(query.question), len(answers), len(authority), bool(query.opt)]
        parts = [body]
        for number, extra in _fitting(extras, room):
            counts[3] += number
            parts.append(extra)
        head = bytes((0x80 | packet[2] & 0x79 | flags, code & 0x0F))
        return b"".join((packet[:2], head, *(count.to_bytes(2, "big") for count in counts), *parts, query.opt))


def _fitting(extras: Iterable[tuple[int, bytes]], room: int) -> Iterator[tuple[int, bytes]]:
    """Return the extras that fit."""
    for number, extra in extras:
        room -= len(extra)
        if room < 0:
            return
        yield number, extra
