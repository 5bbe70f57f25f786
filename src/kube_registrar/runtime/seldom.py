"""Warnings that are true over and over, and are said once a minute."""

import logging
from collections.abc import Callable
from typing import Final

_SECONDS: Final = 60.0


class Seldom:
    """One warning. `now`: monotonic seconds."""

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._said_at = float("-inf")

    def warning(self, text: str, *arguments: object) -> None:
        """Say it, as `Logger.warning` does, unless it was said within the last minute."""
        now = self._now()
        if now - self._said_at >= _SECONDS:
            self._said_at = now
            self._log.warning(text, *arguments)
