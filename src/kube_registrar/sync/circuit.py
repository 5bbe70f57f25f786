"""Whether a registry is asked at all: a circuit, which opens while it does not answer.

A few answers in a row that never came are a suspicion, not a verdict: one service may be out of order while others are
not asked. So the registry itself is asked first (a probe), and only if that goes unanswered too the circuit opens.
While it is open nothing is read or written but one probe at a time; whatever answers, an error included, closes it.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from enum import StrEnum

from kube_registrar.model.errors import NotLeading, RegistryError, Unreachable, Withdrawn
from kube_registrar.model.refs import RegistryName
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock

SUSPICIOUS = 3
"""So many answers in a row that never came, and the registry itself is asked."""

_log = logging.getLogger(__name__)


class State(StrEnum):
    """What a circuit lets through: everything; nothing; nothing but the probe that is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """The circuit of one registry. Nothing here waits for it: results are told, and who probes asks what to do.

    It outlives each time of leading: `begin` starts one, with nothing known, and `end` ends it.
    """

    def __init__(self, registry: RegistryName, clock: Clock, draw: random.Random | None = None) -> None:
        self.registry = registry
        self._on_open = self._on_close = _nothing
        self.reachable: bool | None = None
        """Whether it answers; None before anything is known."""
        self.answered_at: float | None = None
        """When it last answered, seconds since 1970."""
        self.error = ""
        """Why it does not answer; the same for the whole of an outage, for it stands in conditions."""
        self.closings = 0
        """How often it closed again."""
        self._clock = clock
        self._backoff = Backoff(draw=draw or random.Random())
        self._failures = 0
        self._opened_at = 0.0
        self._is_probing = False
        self._doubted = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()
        self._sleepers: set[asyncio.Future[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether nothing may begin."""
        return not self._closed.is_set()

    @property
    def state(self) -> State:
        """What it lets through."""
        if not self.is_open:
            return State.CLOSED
        return State.HALF_OPEN if self._is_probing else State.OPEN

    # The times of leading.

    def begin(self, on_open: Callable[[], None], on_close: Callable[[], None]) -> None:
        """Begin with nothing known; these are called, at once, when it opens and closes from now on."""
        self._on_open, self._on_close = on_open, on_close

    def end(self) -> None:
        """Forget everything, silently: who leads next asks anew, and at once."""
        self._on_open = self._on_close = _nothing
        self.reachable, self.error = None, ""
        self._failures, self._is_probing = 0, False
        self._backoff.succeeded()
        self._doubted.clear()
        self._closed.set()

    # What is told.

    def ended(self, error: RegistryError | None) -> None:
        """Take in the end of a request. Any answer but none at all proves that the registry can be reached."""
        if isinstance(error, NotLeading | Withdrawn):
            return  # it was never sent
        if isinstance(error, Unreachable):
            self._failed(error)
        else:
            self._answered()

    def probed(self, error: RegistryError | None) -> None:
        """Take in the end of a probe."""
        self._is_probing = False
        if not isinstance(error, Unreachable):
            self._answered()
        elif self._doubted.is_set() and not self.is_open:  # else something else has answered meanwhile
            self.error = str(error)
            self._open()

    def _failed(self, error: Unreachable) -> None:
        self._failures += 1
        if not self.is_open:
            self.error = str(error)
        if self._failures >= SUSPICIOUS:
            self._doubted.set()

    def _answered(self) -> None:
        self._failures = 0
        self._doubted.clear()
        self.reachable, self.answered_at = True, self._clock.time()
        if self.is_open:
            self._close()

    def _open(self) -> None:
        self.reachable = False
        self._opened_at = self._clock.monotonic()
        self._closed.clear()
        _log.warning(
            "registry %s does not answer: nothing is read or written there until it does; it is tried again by "
            "itself: %s",
            self.registry,
            self.error,
        )
        self._on_open()

    def _close(self) -> None:
        self._backoff.succeeded()
        self._closed.set()
        self.closings += 1
        for sleeper in self._sleepers:
            sleeper.cancel()
        away = self._clock.monotonic() - self._opened_at
        _log.info("registry %s answers again after %.0f s: all its services are looked at", self.registry, away)
        self._on_close()

    # What those ask who wait.

    async def until_doubted(self) -> None:
        """Wait until the registry itself must be asked whether it is there."""
        await self._doubted.wait()

    async def until_closed(self) -> None:
        """Wait while nothing may begin."""
        await self._closed.wait()

    async def until_closing(self, seconds: float) -> None:
        """Wait until it closes, at most so long."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        self._sleepers.add(sleeping)
        try:
            await asyncio.wait({sleeping})
        finally:
            self._sleepers.discard(sleeping)
            sleeping.cancel()

    def begin_probe(self) -> bool:
        """Whether a probe is still called for; if so, it has begun, and `probed` must be told of its end."""
        self._is_probing = self._doubted.is_set()
        return self._is_probing

    def next_probe(self) -> float:
        """Return the seconds until the next probe: none for the first, which comes of a suspicion."""
        return self._backoff.failed() if self.is_open else 0.0


def _nothing() -> None:
    """Hear and do nothing: nobody leads."""
