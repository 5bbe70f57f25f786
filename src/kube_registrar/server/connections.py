"""How many connections a server holds: a client that opens ever more takes nobody's file descriptors.

`Connections`: one more than there may be is closed as it comes, and those that are there go on. To close an old one
instead, as DNS does, would let one client cut off the others; SDKs keep theirs, and try again when a new one is closed.

`Newest`: the oldest is closed instead. That is for probes, which last for milliseconds: who only holds connections must
not make a probe fail.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.seldom import Seldom

_log = logging.getLogger(__name__)


class Held(Protocol):
    """The connections of a server, those included whose handshake of TLS is under way."""

    @property
    def held(self) -> int:
        """How many there are."""

    def close_oldest(self) -> None:
        """Close the one that aiohttp has had for longest, whatever is under way on it."""


class Connections:
    """Counts the connections of one server, and closes new ones while there are `most`."""

    def __init__(self, most: int, clock: Clock, refused: Callable[[], None]) -> None:
        """`refused` is told of each connection that is closed."""
        self._most = most
        self._refused = refused
        self._sentence = Seldom(_log, clock.monotonic)
        self.held: Callable[[], int] = lambda: 0
        """Tells how many there are."""

    def limited(self, held: Held) -> Callable[[], bool]:
        """Return what tells, of each new connection to a server, whether it may be there."""
        self.held = lambda: held.held

        def admits() -> bool:
            if held.held < self._most:
                return True
            self._refused()
            self._sentence.warning(
                "the Cloud Map API holds as many connections as it may (%d): new ones are closed; allow it more with "
                "--api-connections, or look who does not close theirs",
                self._most,
            )
            return False

        return admits


class Newest:
    """Closes the oldest connections of one server while there are `most`."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._sentence = Seldom(_log, clock.monotonic)

    def limited(self, held: Held) -> Callable[[], bool]:
        """Return what makes room for each new connection to a server."""

        def admits() -> bool:
            if held.held >= self._most:
                held.close_oldest()
                self._sentence.warning(
                    "the port of probes and metrics holds as many connections as it may (%d): the oldest are closed; "
                    "look who does not close theirs",
                    self._most,
                )
            return True

        return admits
