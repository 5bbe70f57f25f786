"""Tables for people, in kubectl's manner: columns as wide as their words, no lines, nothing cut."""

import os
import sys
from collections.abc import Sequence

_GAP = "   "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the lines of a table. An empty cell is shown as `-`, so that columns can be cut by awk."""
    cells = [list(headings), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def colours() -> bool:
    """Whether standard output takes colours: a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
