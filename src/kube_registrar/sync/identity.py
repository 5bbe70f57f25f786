"""Whether the API server that answers is our cluster's: another one, behind the same address, knows no pod of ours.

What a watch that is established tells needs no such proof. What a list lacks or has under another UID, and what a
direct read does not find, counts only once the UID of the namespace `kube-system` was read after it, and is ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kube_registrar.cluster.errors import ApiElsewhere
from kube_registrar.model.refs import Uid

A = TypeVar("A")
R = TypeVar("R")

_log = logging.getLogger(__name__)


class Identity:
    """Asks who answers. One read serves everybody who asked before it began."""

    def __init__(self, read: Callable[[], Awaitable[Uid]], ours: Uid) -> None:
        """`read` returns the UID of the cluster that answers; it raises ApiError."""
        self.other: Uid | None = None
        """Who answered last, if that was not our cluster."""
        self._read = read
        self._ours = ours
        self._turn = asyncio.Lock()
        self._begun = 0
        self._done = 0
        self._error: Exception | None = None

    async def vouch(self) -> None:
        """Return once our cluster has answered, asked after this call. Raises ApiElsewhere, or ApiError."""
        mine = self._begun + 1  # one that is under way began too early
        async with self._turn:
            if self._done < mine:
                await self._ask()
            if self._error is not None:
                raise self._error

    async def vouched(self, read: Callable[[A], Awaitable[R]], about: A) -> R:
        """Return what is read about something, once our cluster has answered after it. Raises as `vouch` does."""
        found = await read(about)
        await self.vouch()
        return found

    async def _ask(self) -> None:
        self._begun += 1
        number = self._begun
        try:
            answering = await self._read()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, all who asked hear of it
            self._error = error
        else:
            self._note(answering)
        self._done = number

    def _note(self, answering: Uid) -> None:
        self._error = None
        if answering != self._ours:
            why = f"cluster {answering} answers at the address of the API server of this cluster, {self._ours}"
            self._error = ApiElsewhere(f"{why}: what it tells counts for nothing")
            if self.other != answering:
                _log.error(
                    "%s. Nothing that it tells is acted upon, so nothing is removed for it. Correct the kubeconfig, "
                    "the name or whatever leads there",
                    why,
                )
            self.other = answering
        elif self.other is not None:
            _log.info("this cluster, %s, answers again", self._ours)
            self.other = None
