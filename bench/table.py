"""One row for each promise: what was measured, against which bar, and whether it was kept."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.ground import machine


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where nothing could be measured; `figure` then says why."""

    what: str
    bar: str
    figure: str
    met: bool | None
    floor: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        verdict = {True: "yes", False: "**no**", None: "**not measured**"}[self.met]
        return self.what, self.bar, self.figure, self.floor, verdict


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    lines = ["| what | bar | figure | floor | met |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells)} |" for row in rows)])


def verdict(rows: Sequence[Row]) -> int:
    """Return the exit code: 1 if a bar was missed, or if nothing was measured."""
    return int(not rows or any(row.met is False for row in rows))


def told(rows: Iterable[Row]) -> Iterator[Row]:
    """Print each row as soon as it is there: a bench of many minutes may be ended before its last one."""
    for row in rows:
        print("ROW", table([row]).splitlines()[-1], flush=True)
        yield row


def run(measure: Callable[[], Iterable[Row]]) -> int:
    """Measure, with the machine's shape and load around it; print the table and return the exit code."""
    print(machine())
    print(f"load average at the start {load()}", flush=True)
    began = time.monotonic()
    rows = list(told(measure()))
    print(f"{table(rows)}\n{time.monotonic() - began:.0f} s; load average at the end {load()}")
    return verdict(rows)


def load() -> str:
    """Return the machine's load averages over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())
