"""Rows in random order, dealt by the thousand: to put 25 in order and join them takes five times as long as to cut."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

_DEALS: Final = 16
_PLACE: Final = 40
"""Octets that a row takes beside its own: a comma, and where it begins."""


class Deck:
    """Rows that are shuffled, laid out twice one after the other, and cut: what follows a random place is an answer.

    Each answer by itself is any order, each as likely: a true shuffle, turned by a random number. Answers of one
    shuffle have the same neighbours, so it holds for few; over all answers no instance has a neighbour that gets the
    load of those who skip it.
    """

    __slots__ = ("_draw", "_left", "_most", "_rows", "_starts", "_text", "size")

    def __init__(self, rows: Sequence[bytes], most: int, draw: Callable[[], float]) -> None:
        """`most`: rows in an answer; `draw` gives a number from 0 to 1, without 1."""
        self._rows = rows
        self._most = min(most, len(rows))
        self._draw = draw
        self._left = 0
        self._starts: Sequence[int] = ()
        self._text = b""
        self.size = 2 * sum(len(row) + _PLACE for row in rows)
        """Octets that this takes."""

    def deal(self) -> bytes:
        """Return `most` rows in random order, joined by commas."""
        if self._most == 0:
            return b""
        if self._left == 0:
            self._shuffle()
        self._left -= 1
        first = int(self._draw() * len(self._rows))
        return self._text[self._starts[first] : self._starts[first + self._most] - 1]

    def _shuffle(self) -> None:
        rows = shuffled(self._rows, self._draw) * 2
        self._text = b",".join([*rows, b""])
        self._starts = [0, *accumulate(len(row) + 1 for row in rows)]
        self._left = _DEALS


def shuffled(rows: Sequence[bytes], draw: Callable[[], float]) -> list[bytes]:
    """Return them in random order, by a number drawn for each: that takes half as long as `random.shuffle`."""
    return sorted(rows, key=lambda _: draw())
