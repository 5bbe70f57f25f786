"""Answers to discoveries that are kept: the same bytes asked again, and nothing changed since, get the same rows.

A question is read, checked and looked up once. What comes after it with the very same bytes is a look-up in a
dictionary, and a random order. Whatever is refused is never kept: the same code refuses it each time.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Final

from kube_registrar.model.cloudmap.discovered import Discovered, Subject
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.server.cloudmap import protocol
from kube_registrar.server.cloudmap.catalog import Discovering
from kube_registrar.server.cloudmap.decks import Deck, shuffled

OPERATIONS: Final = frozenset({"DiscoverInstances", "DiscoverInstancesRevision"})
TARGETS: Final = {f"{protocol.TARGET_PREFIX}.{operation}": operation for operation in OPERATIONS}
"""The operations by what X-Amz-Target says."""

_MOST_ANSWERS = 10_000
_MOST_ROWS = 250_000
"""Of all answers; one that is in several counts in each."""
_MOST_OCTETS = 64 * 1024 * 1024
"""Of questions, rows and decks together."""
_MOST_BYTES = 1024
"""Of a question that is kept: one of any sense has some hundred."""
_OBJECTS = 256
"""Octets that a question, or a row, takes beside its own: objects, and places in dictionaries."""


@dataclass(slots=True, eq=False)
class _Kept:
    """An answer, and its rows as a deck: from the second time on that it is asked for."""

    found: Discovered
    deck: Deck | None = None


@dataclass(slots=True)
class _Shared:
    """What is kept of one subject as it was: rows that are in several answers are there once. `octets`: all of it."""

    seen: int
    rows: dict[bytes, bytes] = field(default_factory=dict)
    questions: list[tuple[str, bytes]] = field(default_factory=list)
    places: int = 0
    octets: int = 0


class Discoveries:
    """Answers discoveries from what the catalog found before, as long as that holds.

    Bounded by answers, rows and octets: past one of them, first what holds no more is forgotten, then all; and those
    that are asked for come again.
    """

    def __init__(self, catalog: Discovering, dice: random.Random) -> None:
        self._catalog = catalog
        self._random = dice.random
        self._kept: dict[str, dict[bytes, _Kept]] = {operation: {} for operation in OPERATIONS}
        self._shared: dict[Subject, _Shared] = {}
        self._answers = self._places = self.octets = 0
        """Octets that are kept."""

    def answer(self, operation: str, content: bytes) -> bytes:
        """Return the body of the answer to a request's body. Raises CloudMapError."""
        kept = self._kept[operation].get(content)
        if kept is not None and not kept.found.is_current:
            self._drop(kept.found.subject)
            kept = None
        found = kept.found if kept is not None else self._looked_up(operation, content)
        if found.rows is None:
            return b'{"InstancesRevision":%d}' % found.revision
        deck = (kept.deck or self._deck(kept)) if kept is not None else None
        rows = deck.deal() if deck is not None else b",".join(shuffled(found.rows, self._random)[: found.most])
        return b'{"Instances":[%b],"InstancesRevision":%d}' % (rows, found.revision)

    def _looked_up(self, operation: str, content: bytes) -> Discovered:
        found = self._catalog.discovered(operation, validated(operation, protocol.body_of(content)))
        return self._keep(operation, content, found) if len(content) <= _MOST_BYTES else found

    def _keep(self, operation: str, content: bytes, found: Discovered) -> Discovered:
        """Keep an answer, if there is room; return it with rows that it shares with others."""
        shared = self._shared.get(found.subject)
        if shared is not None and shared.seen != found.seen:
            self._drop(found.subject)
            shared = None
        known = shared.rows if shared is not None else {}
        places = len(found.rows or ())
        octets = len(content) + _OBJECTS + sum(len(row) + _OBJECTS for row in found.rows or () if row not in known)
        if not self._fits(octets, places):
            self._drop_old()
            if not self._fits(octets, places):
                self._forget()
            if not self._fits(octets, places):
                return found
        shared = self._shared.setdefault(found.subject, _Shared(found.seen))
        if found.rows is not None:
            found = replace(found, rows=[shared.rows.setdefault(row, row) for row in found.rows])
        shared.questions.append((operation, content))
        self._kept[operation][content] = _Kept(found)
        shared.places += places
        self._answers += 1
        self._places += places
        self._count(shared, octets)
        return found

    def _deck(self, kept: _Kept) -> Deck | None:
        """Return a deck for an answer from now on; none where it is too large to be kept."""
        deck = Deck(kept.found.rows or (), kept.found.most, self._random)
        if self.octets + deck.size > _MOST_OCTETS:
            self._drop_old()
        if self.octets + deck.size > _MOST_OCTETS:
            if deck.size <= _MOST_OCTETS // 2:
                self._forget()  # and this answer too: it is asked for again
            return None
        kept.deck = deck
        self._count(self._shared[kept.found.subject], deck.size)
        return deck

    def _fits(self, octets: int, places: int) -> bool:
        return (
            self.octets + octets <= _MOST_OCTETS
            and self._places + places <= _MOST_ROWS
            and self._answers < _MOST_ANSWERS
        )

    def _count(self, shared: _Shared, octets: int) -> None:
        shared.octets += octets
        self.octets += octets

    def _drop_old(self) -> None:
        """Forget what holds no more and nobody has asked for since."""
        for subject in [each for each, shared in self._shared.items() if each.changes != shared.seen]:
            self._drop(subject)

    def _drop(self, subject: Subject) -> None:
        """Forget what is kept of a subject."""
        shared = self._shared.pop(subject)
        for operation, content in shared.questions:
            del self._kept[operation][content]
        self._answers -= len(shared.questions)
        self._places -= shared.places
        self.octets -= shared.octets

    def _forget(self) -> None:
        for subject in list(self._shared):
            self._drop(subject)
