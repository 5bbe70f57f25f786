"""How the demo is shown: a live table on a terminal, plain lines elsewhere and where NO_COLOR asks for them."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

_FRAMES_PER_SECOND = 12


class Row(Protocol):
    """What a table shows: how many pods of a version are ready, and how many instances clients can find."""

    @property
    def version(self) -> str:
        """The attributes that tell this version, such as `stage=dev,version=1.0.0`."""

    @property
    def ready(self) -> int:
        """Pods of it that are ready."""

    @property
    def found(self) -> int:
        """Instances of it that a client discovers."""


class Stage(Protocol):
    """Where the demo tells what happens."""

    def step(self, title: str) -> None:
        """Begin a step."""

    def say(self, text: str) -> None:
        """Tell one thing."""

    def command(self, text: str) -> None:
        """Show a command to paste, uncut."""

    def counts(self, rows: Sequence[Row]) -> None:
        """Show the counts of this moment; called often, shown when they change."""

    def settle(self) -> None:
        """The counts have come to rest: leave the last of them on the screen."""


def stage(stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> Stage:
    """Return what suits the stream (standard output)."""
    stream = stream if stream is not None else sys.stdout
    # NO_COLOR: https://no-color.org, any value but an empty one.
    if stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb":
        return TerminalStage(Console(file=stream, highlight=False))
    return PlainStage(stream)


class PlainStage:
    """Lines that can be read in a log: one for each change of the counts."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._shown = ""

    def step(self, title: str) -> None:
        """Begin a step with an empty line and its title."""
        self._began, self._shown = time.monotonic(), ""
        self._write(f"\n== {title}")

    def say(self, text: str) -> None:
        """Tell one thing, indented."""
        self._write(f"   {text}")

    def command(self, text: str) -> None:
        """Show a command after a dollar sign."""
        self._write(f"   $ {text}")

    def counts(self, rows: Sequence[Row]) -> None:
        """Write a line if anything has changed since the last one."""
        parts = [f"{row.version}: {row.found} discoverable, {row.ready} ready" for row in rows]
        text = "; ".join(parts) or "no pods yet"
        if text != self._shown:
            self._shown = text
            self._write(f"   {time.monotonic() - self._began:5.1f} s  {text}")

    def settle(self) -> None:
        """Nothing: the last line is the result."""

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class TerminalStage:
    """A table that lives while things change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._began = time.monotonic()
        self._course: list[int] = []

    def step(self, title: str) -> None:
        """Begin a step with an empty line and its title."""
        self.settle()
        self._began, self._course = time.monotonic(), []
        self._console.print()
        self._console.print(f"[bold cyan]==[/] [bold]{title}[/]")

    def say(self, text: str) -> None:
        """Tell one thing, indented."""
        self._console.print(f"   {text}", markup=False)

    def command(self, text: str) -> None:
        """Show a command in a colour; not wrapped, so that it can be copied."""
        self._console.print(f"   $ {text}", markup=False, style="green", soft_wrap=True)

    def counts(self, rows: Sequence[Row]) -> None:
        """Show the table of this moment in place of the last one."""
        together = sum(row.found for row in rows)
        if self._course[-1:] != [together]:
            self._course.append(together)
        table = self._table(rows)
        if self._live is None:
            self._live = Live(table, console=self._console, refresh_per_second=_FRAMES_PER_SECOND)
            self._live.start()
        self._live.update(table)

    def settle(self) -> None:
        """Leave the last table where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self, rows: Sequence[Row]) -> Table:
        course = " → ".join(map(str, self._course))
        caption = f"after {time.monotonic() - self._began:.1f} s; discoverable together: {course}"
        table = Table(caption=caption, caption_justify="left", min_width=60)
        table.add_column("attributes")
        table.add_column("pods ready", justify="right")
        table.add_column("discoverable", justify="right")
        table.add_column("")
        for row in rows:
            style = "green" if row.found == row.ready else "yellow"
            table.add_row(row.version, str(row.ready), f"[{style}]{row.found}[/]", f"[{style}]{'●' * row.found}[/]")
        table.add_section()
        table.add_row("together", str(sum(row.ready for row in rows)), str(self._course[-1]), "")
        return table
