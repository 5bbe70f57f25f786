"""One line that tells what takes so long: rewritten in place on a terminal, said now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 30.0


class Step:
    """One piece of work, e.g. the build of one module."""

    def __init__(self, name: str, write: Callable[[str, bool], None], now: Callable[[], float]) -> None:
        self.name = name
        self._write = write
        self._now = now
        self._began = now()

    def say(self, what: str) -> None:
        """Tell where the work is; shown when it is time for that."""
        self._write(self._line(what), False)  # noqa: FBT003  # whether it must be shown

    def finish(self, what: str) -> None:
        """Tell how it ended; always shown, and it stays."""
        self._write(self._line(what), True)  # noqa: FBT003  # whether it must be shown

    def _line(self, what: str) -> str:
        minutes, seconds = divmod(int(self._now() - self._began), 60)
        return f"{self.name}: {what} ({minutes}:{seconds:02d})"


class Progress:
    """Tells steps on a stream, standard error by default."""

    def __init__(self, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._now = now
        self._terminal = self._stream.isatty()
        self._said = float("-inf")

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Begin a step; say that it is done, or failed, at the end."""
        step = Step(name, self._write, self._now)
        self._said = self._now() if not self._terminal else float("-inf")
        try:
            yield step
        except BaseException:
            step.finish("failed")
            raise
        step.finish("done")

    def _write(self, line: str, must: bool) -> None:  # noqa: FBT001  # private, and passed on by Step
        now = self._now()
        if not must and now - self._said < (TERMINAL_SECONDS if self._terminal else LOG_SECONDS):
            return
        self._said = now
        if self._terminal:
            line = f"\r\x1b[K{line}"
        self._stream.write(line if self._terminal and not must else f"{line}\n")
        self._stream.flush()
