"""All records, by name and type, ready to be sent. A change touches what it changes, however much else there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, TypeVar

T = TypeVar("T")

MOST_ANSWERS: Final = 8
"""What one answer holds of a set: "Amazon Route 53 responds to DNS queries with up to eight healthy records"."""

Rank = tuple[int, int, int]
"""Of two sets with the same name and type the higher one is answered."""

_rank = attrgetter("rank")


class Pool:
    """Records of one name and type in no order, so that one comes or goes without the others.

    `bodies` are records whose owner is the question's name. `extras` are the records that go with each into the
    additional section, and `numbers` how many those are, `more` in all; there are none where this type has none.
    """

    __slots__ = ("_at", "_times", "bodies", "extras", "more", "numbers")

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.extras: list[bytes] = []
        self.numbers: list[int] = []
        self.more = 0
        self._at: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}

    def put(self, body: bytes, extra: bytes | None, number: int) -> None:
        """Add a record. Instances with the same one share it (RFC 2181, 5: no record is in a set twice)."""
        if body in self._at:
            self._times[body] = self._times.get(body, 1) + 1
            return
        self._at[body] = len(self.bodies)
        self.bodies.append(body)
        if extra is not None:
            self.extras.append(extra)
            self.numbers.append(number)
            self.more += number

    def drop(self, body: bytes) -> None:
        """Take a record away, once no instance has it any more."""
        if (times := self._times.pop(body, 1)) > 1:
            if times > 2:  # noqa: PLR2004 - one is not counted
                self._times[body] = times - 1
            return
        at = self._at.pop(body)
        _fill(self.bodies, at)
        if self.numbers:
            self.more -= self.numbers[at]
            _fill(self.extras, at)
            _fill(self.numbers, at)
        if at < len(self.bodies):
            self._at[self.bodies[at]] = at


def _fill(column: list[T], at: int) -> None:
    """Put the last one in the place of this one."""
    last = column.pop()
    if at < len(column):
        column[at] = last


@dataclass(slots=True, eq=False)
class Fixed:
    """Records of which all are always answered: those of a zone itself, and of an instance's own name."""

    bodies: Sequence[bytes]
    rank: Rank
    extras: Sequence[bytes] = ()
    numbers: Sequence[int] = ()

    @property
    def live(self) -> "Fixed":
        """The records to answer with."""
        return self

    @property
    def most(self) -> int:
        """How many records one answer holds at most."""
        return MOST_ANSWERS

    @property
    def more(self) -> int:
        """How many records go with them."""
        return sum(self.numbers)


@dataclass(slots=True, eq=False)
class Drawn:
    """The records of a service of one type: drawn from the healthy ones, or from all when none is healthy."""

    most: int
    rank: Rank
    healthy: Pool = field(default_factory=Pool)
    ill: Pool = field(default_factory=Pool)
    live: Pool = field(init=False)

    def __post_init__(self) -> None:
        self.live = self.healthy

    def put(self, body: bytes, extra: bytes | None, number: int, *, healthy: bool) -> None:
        """Add the record of an instance."""
        (self.healthy if healthy else self.ill).put(body, extra, number)
        self._choose()

    def drop(self, body: bytes, *, healthy: bool) -> None:
        """Take the record of an instance away."""
        (self.healthy if healthy else self.ill).drop(body)
        self._choose()

    def _choose(self) -> None:
        self.live = self.healthy if self.healthy.bodies else self.ill


RecordSet = Fixed | Drawn


@dataclass(slots=True)
class Records:
    """Sets by name and type (`wire.type_octets` behind a name in lower case), none of them empty.

    `nodes` are the names that exist and how many things make them exist; `zones` have the SOA record of a negative
    answer, without its owner, by the zone's name.
    """

    sets: dict[bytes, RecordSet] = field(default_factory=dict)
    nodes: dict[bytes, int] = field(default_factory=dict)
    zones: dict[bytes, bytes] = field(default_factory=dict)
    _contested: dict[bytes, list[RecordSet]] = field(default_factory=dict)

    def claim(self, key: bytes, wanted: RecordSet) -> None:
        """Answer with this set, unless one of a higher rank has the same key."""
        existing = self.sets.get(key)
        if existing is None:
            self.sets[key] = wanted
            return
        claims = self._contested.setdefault(key, [existing])
        claims.append(wanted)
        self.sets[key] = max(claims, key=_rank)

    def release(self, key: bytes, unwanted: RecordSet) -> None:
        """Answer with this set no more."""
        claims = self._contested.get(key)
        if claims is None:
            del self.sets[key]
            return
        claims.remove(unwanted)
        self.sets[key] = max(claims, key=_rank)
        if len(claims) == 1:
            del self._contested[key]

    def exist(self, name: bytes, until: bytes, by: int) -> None:
        """Note that something with this name came (1) or went (-1): so did all names from there up to `until`.

        A name exists while one below it does (RFC 8020): it has no records then, and there is no NXDOMAIN for it.
        """
        while len(name) > len(until):
            self._count(name, by)
            name = name[name[0] + 1 :]
        self._count(name, by)

    def _count(self, name: bytes, by: int) -> None:
        self.nodes[name] = self.nodes.get(name, 0) + by
        if not self.nodes[name]:
            del self.nodes[name]
