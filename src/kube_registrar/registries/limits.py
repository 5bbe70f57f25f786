"""Token buckets, one an operation, served by urgency.

A registry that throttles is asked no faster than it answers: each call takes a token, the most urgent waiter gets the
next one, and a throttle halves the rate, which then recovers over half a minute. Of those as urgent each asker has its
turn. Operations that a registry may count together share a bucket beside their own: they are served in one order, and a
throttle of one slows all. Rates and bursts of AWS's own Cloud Map controller (aws-cloud-map-mcs-controller-for-k8s) are
the pattern for the numbers that backends give.
"""

import asyncio
import math
import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from kube_registrar.model.changes import Urgency
from kube_registrar.registries.turns import Waiting
from kube_registrar.runtime.clock import Clock

_RECOVERY_SECONDS = 30.0  # from nothing to the full rate; from half of it in half the time
_SLOWEST_SHARE = 1 / 16  # of the full rate: slower would look like standing still
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(\d+)")


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a second, and how many may come at once after a pause."""

    per_second: float
    burst: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read `48/90`: 48 a second, 90 at once. ValueError, with what is allowed, for anything else."""
        match = _RATE.fullmatch(text)
        rate = cls(float(match[1]), int(match[2])) if match else None
        if rate is None or not rate.per_second or not rate.burst:
            raise ValueError("a rate is written as calls a second, a slash and a burst, such as 48/90")
        return rate

    def __str__(self) -> str:
        return f"{self.per_second:g}/{self.burst}"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to make one call; it is shown again when that call was throttled."""

    operation: str
    epochs: Sequence[int]


class Observer(Protocol):
    """Hears what the limits of a registry cost. Nothing of it blocks or raises."""

    def waited(self, operation: str, seconds: float) -> None:
        """A call got its token after so long."""

    def throttled(self, operation: str) -> None:
        """A call was refused for coming too fast."""


class Limiter:
    """The buckets of one registry. `rates` by operation; what is not in there goes by `otherwise`.

    The operations in `shared` are together no faster than the fastest of them.
    Used as an async context manager; leaving it cancels whoever still waits for a token.
    """

    def __init__(self, rates: Mapping[str, Rate], otherwise: Rate, clock: Clock, shared: Collection[str] = ()) -> None:
        self._rates = rates
        self._shared = frozenset(shared)
        self._otherwise = otherwise
        self._clock = clock
        self.observer: Observer | None = None
        self._buckets: dict[str, _Bucket] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for bucket in self._buckets.values():
            await bucket.aclose()

    async def acquire(self, operation: str, urgency: Urgency = Urgency.REGISTER, asker: Hashable = None) -> Ticket:
        """Wait for a token; among those that wait, the most urgent goes first, then each asker in turn."""
        came = self._clock.monotonic()
        epochs: dict[_Bucket, int] = {}
        try:
            for bucket in self._buckets_of(operation):
                epochs[bucket] = await bucket.acquire(urgency, asker)
        except asyncio.CancelledError:
            for bucket in epochs:
                bucket.give_back()
            raise
        ticket = Ticket(operation, tuple(epochs.values()))
        if self.observer is not None:
            self.observer.waited(operation, self._clock.monotonic() - came)
        return ticket

    def throttled(self, ticket: Ticket) -> None:
        """Halve the rate: the call was refused for coming too fast.

        Calls that left before the last halving say nothing about the rate since, so one overload halves once.
        """
        for bucket, epoch in zip(self._buckets_of(ticket.operation), ticket.epochs, strict=True):
            bucket.throttled(epoch)
        if self.observer is not None:
            self.observer.throttled(ticket.operation)

    def rate(self, operation: str) -> float:
        """Return the calls a second that the operation has now."""
        return min(bucket.current_rate() for bucket in self._buckets_of(operation))

    def _buckets_of(self, operation: str) -> Sequence["_Bucket"]:
        """Return its own bucket, and the one it shares: the order in which tokens are taken."""
        own = self._bucket(operation, self._rates.get(operation, self._otherwise))
        if operation not in self._shared:
            return (own,)
        rates = [self._rates.get(each, self._otherwise) for each in self._shared]
        return own, self._bucket("", max(rates, key=lambda rate: rate.per_second))

    def _bucket(self, key: str, rate: Rate) -> "_Bucket":
        if key not in self._buckets:
            self._buckets[key] = _Bucket(rate, self._clock)
        return self._buckets[key]


@runtime_checkable
class Limited(Protocol):
    """A registry that keeps limits of its own, and lets them be observed."""

    @property
    def limiter(self) -> Limiter:
        """Its limits."""


class _Bucket:
    """One bucket. A task serves it while anybody waits, so that a more urgent newcomer overtakes."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._full = rate
        self._clock = clock
        self._per_second = rate.per_second
        self._tokens = float(rate.burst)
        self._filled_at = clock.monotonic()
        self._epoch = 0
        self._waiting = Waiting[int]()
        self._server: asyncio.Task[None] | None = None

    async def acquire(self, urgency: Urgency, asker: Hashable) -> int:
        self._fill()
        if self._tokens >= 1 and not self._waiting:
            self._tokens -= 1
            return self._epoch
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve(), name="limiter")
        return await self._waiting.wait(urgency, asker, self.give_back)

    def give_back(self) -> None:
        """Take back a token that was not used; who waits gets it at once."""
        if not self._waiting.give(self._epoch):
            self._tokens = min(self._tokens + 1, float(self._full.burst))

    def throttled(self, epoch: int) -> None:
        self._fill()
        self._tokens = min(self._tokens, 0.0)
        if epoch == self._epoch:
            self._epoch += 1
            self._per_second = max(self._per_second / 2, self._full.per_second * _SLOWEST_SHARE)

    def current_rate(self) -> float:
        self._fill()
        return self._per_second

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.cancel()
            await asyncio.gather(self._server, return_exceptions=True)
        for turn in self._waiting.take_all():
            turn.cancel()

    async def _serve(self) -> None:
        while self._waiting:
            self._fill()
            if self._waiting.first().done():  # its caller was cancelled
                self._waiting.take()
            elif self._tokens >= 1:
                self._tokens -= 1
                self._waiting.take().set_result(self._epoch)
            else:
                await self._clock.sleep((1 - self._tokens) / self._per_second)

    def _fill(self) -> None:
        now = self._clock.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._tokens = min(self._tokens + passed * self._per_second, float(self._full.burst))
        # Whole tokens must not be missed by the last bit of a float, or the server would sleep for nothing.
        if math.isclose(self._tokens, round(self._tokens), abs_tol=1e-9):
            self._tokens = float(round(self._tokens))
        recovered = self._per_second + passed * self._full.per_second / _RECOVERY_SECONDS
        self._per_second = min(recovered, self._full.per_second)
