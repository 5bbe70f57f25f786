"""Answers to discoveries that are kept: the same bytes asked again, and nothing changed since, get the same rows.

A question is read, checked and looked up once. What comes after it with the very same bytes is a look-up in a
dictionary, an order drawn anew, and a join. Whatever is refused is never kept: the same code refuses it each time.
"""

import random
from collections.abc import Sequence
from typing import Final

from kube_registrar.model.cloudmap.discovered import Discovered
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.server.cloudmap import protocol
from kube_registrar.server.cloudmap.catalog import Discovering

OPERATIONS: Final = frozenset({"DiscoverInstances", "DiscoverInstancesRevision"})
TARGETS: Final = {f"{protocol.TARGET_PREFIX}.{operation}": operation for operation in OPERATIONS}
"""The operations by what X-Amz-Target says."""

_MOST_ANSWERS = 10_000
_MOST_ROWS = 250_000
_MOST_BYTES = 1024
"""Of a question that is kept: one of any sense has some hundred."""


class Discoveries:
    """Answers discoveries from what the catalog found before, as long as that holds.

    Bounded by answers and rows together: past either all are forgotten, and those that are asked for come again.
    """

    def __init__(self, catalog: Discovering, dice: random.Random) -> None:
        self._catalog = catalog
        self._random = dice.random
        self._kept: dict[str, dict[bytes, Discovered]] = {operation: {} for operation in OPERATIONS}
        self._rows = 0

    def answer(self, operation: str, content: bytes) -> bytes:
        """Return the body of the answer to a request's body. Raises CloudMapError."""
        found = self._kept[operation].get(content)
        if found is None or not found.is_current:
            found = self._looked_up(operation, content)
        if found.rows is None:
            return b'{"InstancesRevision":%d}' % found.revision
        rows = self._shuffled(found.rows)[: found.most]
        return b'{"Instances":[%b],"InstancesRevision":%d}' % (b",".join(rows), found.revision)

    def _shuffled(self, rows: Sequence[bytes]) -> Sequence[bytes]:
        """Return them in random order, by a number drawn for each: that takes half as long as `random.shuffle`."""
        draw = self._random
        return sorted(rows, key=lambda _: draw())

    def _looked_up(self, operation: str, content: bytes) -> Discovered:
        found = self._catalog.discovered(operation, validated(operation, protocol.body_of(content)))
        kept = self._kept[operation]
        if len(content) > _MOST_BYTES:
            return found
        before = kept.get(content)
        self._rows += len(found.rows or ()) - (len(before.rows or ()) if before else 0)
        if self._rows > _MOST_ROWS or len(kept) >= _MOST_ANSWERS:
            for each in self._kept.values():
                each.clear()
            self._rows = len(found.rows or ())
        kept[content] = found
        return found
