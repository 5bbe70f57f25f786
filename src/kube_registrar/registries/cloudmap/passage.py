"""A change on its way to Cloud Map: it can be taken back while it waits, and not while it is under way.

What Cloud Map throttled, or turned away because of somebody else's operation, was not made: it waits again.
"""

import asyncio
from typing import Any

from kube_registrar.model.errors import Withdrawn


class Passage:
    """One change of one instance, from the line in which it stands to its last try. `about` begins messages."""

    __slots__ = ("_about", "_is_cancelled", "_is_sent", "_is_wanted_back", "_task")

    def __init__(self, about: str) -> None:
        self._about = about
        self._task: asyncio.Task[Any] | None = None
        self._is_sent = self._is_wanted_back = self._is_cancelled = False

    def begin(self) -> None:
        """Note that this task makes the change from now on. Raises Withdrawn if nobody wants it any more."""
        self._go_on()
        self._task = asyncio.current_task()

    def leaves(self) -> None:
        """Note that it is about to be sent. Raises Withdrawn if nobody wants it any more."""
        self._go_on()
        self._is_sent = True

    def comes_back(self) -> None:
        """Note that it was answered, and not made. Raises Withdrawn if nobody wants it any more."""
        self._is_sent = False
        self._go_on()

    def withdraw(self) -> None:
        """Take it back: at once if it waits, else should it come back."""
        self._is_wanted_back = True
        if self._task is not None and not self._is_sent and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    def withdrawn(self) -> Withdrawn | None:
        """Return what became of the change whose task was cancelled; None if somebody else has cancelled it too."""
        if self._task is None or not self._is_cancelled or self._task.uncancel():
            return None
        return self._error()

    @property
    def is_sent(self) -> bool:
        """Whether it was sent, and not turned away."""
        return self._is_sent

    def _go_on(self) -> None:
        if self._is_wanted_back:
            raise self._error()

    def _error(self) -> Withdrawn:
        return Withdrawn(f"{self._about} was taken back before it was sent")
