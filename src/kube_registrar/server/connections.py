"""How many connections a server holds: a client that opens ever more takes nobody's file descriptors.

One more than there may be is closed as it comes, and those that are there go on. To close an old one instead, as DNS
does, would let one client cut off the others; SDKs keep theirs, and try again when a new one is closed.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from kube_registrar.runtime.clock import Clock
from kube_registrar.server.listening import Protocols

_SAY_AGAIN_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Connections:
    """Counts the connections of one server, and closes new ones while there are `most`."""

    def __init__(self, most: int, clock: Clock, refused: Callable[[], None]) -> None:
        """`refused` is told of each connection that is closed."""
        self._most = most
        self._clock = clock
        self._refused = refused
        self._said_at: float | None = None
        self.held: Callable[[], int] = lambda: 0
        """Tells how many there are."""

    def limited(self, make: Protocols, held: Callable[[], int]) -> Protocols:
        """Return what makes the protocols of a server's connections, of which there are `held`."""
        self.held = held

        def made() -> asyncio.Protocol:
            if held() < self._most:
                return make()
            self._refused()
            self._say()
            return _Closed()

        return made

    def _say(self) -> None:
        now = self._clock.monotonic()
        if self._said_at is not None and now - self._said_at < _SAY_AGAIN_SECONDS:
            return
        self._said_at = now
        _log.warning(
            "the Cloud Map API holds as many connections as it may (%d): new ones are closed; allow it more with "
            "--api-connections, or look who does not close theirs",
            self._most,
        )


class _Closed(asyncio.Protocol):
    """A connection that is closed before anything is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        cast("asyncio.Transport", transport).abort()  # uvloop's is one, but does not say so
