"""Answers to discoveries that are kept: the same bytes asked again, and nothing changed since, get the same rows.

A question is read, checked and looked up once. What comes after it with the very same bytes is a look-up in a
dictionary, and a random order. Whatever is refused is never kept: the same code refuses it each time.
"""

import random
from dataclasses import dataclass
from typing import Final

from kube_registrar.model.cloudmap.discovered import Discovered
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.server.cloudmap import protocol
from kube_registrar.server.cloudmap.catalog import Discovering
from kube_registrar.server.cloudmap.decks import Deck, shuffled

OPERATIONS: Final = frozenset({"DiscoverInstances", "DiscoverInstancesRevision"})
TARGETS: Final = {f"{protocol.TARGET_PREFIX}.{operation}": operation for operation in OPERATIONS}
"""The operations by what X-Amz-Target says."""

_MOST_ANSWERS = 10_000
_MOST_ROWS = 250_000
_MOST_DEALT = 32 * 1024 * 1024
"""Octets of all decks."""
_MOST_BYTES = 1024
"""Of a question that is kept: one of any sense has some hundred."""


@dataclass(slots=True)
class _Kept:
    """An answer, and its rows as a deck: from the second time on that it is asked for."""

    found: Discovered
    deck: Deck | None = None


class Discoveries:
    """Answers discoveries from what the catalog found before, as long as that holds.

    Bounded by answers, rows and octets: past one of them all are forgotten, and those that are asked for come again.
    """

    def __init__(self, catalog: Discovering, dice: random.Random) -> None:
        self._catalog = catalog
        self._random = dice.random
        self._kept: dict[str, dict[bytes, _Kept]] = {operation: {} for operation in OPERATIONS}
        self._rows = 0
        self._dealt = 0

    def answer(self, operation: str, content: bytes) -> bytes:
        """Return the body of the answer to a request's body. Raises CloudMapError."""
        kept = self._kept[operation].get(content)
        if kept is not None and not kept.found.is_current:
            kept = None
        found = kept.found if kept is not None else self._looked_up(operation, content)
        if found.rows is None:
            return b'{"InstancesRevision":%d}' % found.revision
        if kept is not None:
            rows = (kept.deck or self._deck(kept)).deal()
        else:
            rows = b",".join(shuffled(found.rows, self._random)[: found.most])
        return b'{"Instances":[%b],"InstancesRevision":%d}' % (rows, found.revision)

    def _looked_up(self, operation: str, content: bytes) -> Discovered:
        found = self._catalog.discovered(operation, validated(operation, protocol.body_of(content)))
        if len(content) <= _MOST_BYTES:
            self._keep(self._kept[operation], content, found)
        return found

    def _keep(self, kept: dict[bytes, _Kept], content: bytes, found: Discovered) -> None:
        before = kept.get(content)
        if before is not None:
            self._rows -= len(before.found.rows or ())
            self._dealt -= before.deck.size if before.deck else 0
        self._rows += len(found.rows or ())
        if self._rows > _MOST_ROWS or len(kept) >= _MOST_ANSWERS:
            self._forget()
            self._rows = len(found.rows or ())
        kept[content] = _Kept(found)

    def _deck(self, kept: _Kept) -> Deck:
        deck = Deck(kept.found.rows or (), kept.found.most, self._random)
        self._dealt += deck.size
        if self._dealt > _MOST_DEALT:
            self._forget()  # and this answer too: it is asked for again
        else:
            kept.deck = deck
        return deck

    def _forget(self) -> None:
        for each in self._kept.values():
            each.clear()
        self._rows = self._dealt = 0
