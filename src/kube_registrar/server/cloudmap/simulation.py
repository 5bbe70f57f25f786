"""Simulated troubles at the wire: latency, throttles, faults, lost replies, hangs. `model.simulation` has all switches.

Operation delays and late failures are the registry's own: only it can keep an operation PENDING.
"""

import random
from dataclasses import dataclass

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.simulation import Rate, Simulation
from kube_registrar.runtime.clock import Clock

_HANGS_SECONDS = 120.0  # the SDK's own time-out is 60
_DISCOVERIES = frozenset({"DiscoverInstances", "DiscoverInstancesRevision"})


@dataclass(slots=True)
class _Bucket:
    """A token bucket; it is full at first."""

    rate: Rate
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        self.tokens = min(self.rate.burst, self.tokens + (now - self.filled_at) * self.rate.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Troubles:
    """The dice and buckets of one server."""

    def __init__(self, simulation: Simulation, clock: Clock) -> None:
        self._simulation = simulation
        self._clock = clock
        self._dice = random.Random(simulation.seed)
        self._buckets: dict[str, _Bucket] = {}

    @property
    def are_none(self) -> bool:
        """Whether nothing is pretended at the wire."""
        wire = ("latency", "throttle", "faults", "lost_replies", "hangs")
        return all(getattr(self._simulation, name) == getattr(Simulation(), name) for name in wire)

    async def before(self, operation: str) -> None:
        """What happens before a request is looked at. Raises CloudMapError for a throttle or a fault."""
        latency = self._simulation.latency.draw(self._dice)
        if latency:
            await self._clock.sleep(latency)
        if not self._may_pass(operation):
            # Discover* alone has a code of its own in the service model; the rest is the shared, unmodelled one.
            if operation in _DISCOVERIES:
                raise CloudMapError("RequestLimitExceeded", "Too many requests (simulated): slow down")
            raise CloudMapError("ThrottlingException", "Rate exceeded (simulated)")
        if self._happens(self._simulation.faults):
            raise CloudMapError("InternalFailure", "Something went wrong (simulated); nothing was done")

    def loses_reply(self) -> bool:
        """Whether this request's answer gets lost."""
        return self._happens(self._simulation.lost_replies)

    async def hang(self) -> None:
        """Keep this request's answer back, longer than any client waits, if it is its lot."""
        if self._happens(self._simulation.hangs):
            await self._clock.sleep(_HANGS_SECONDS)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._dice.random() < chance

    def _may_pass(self, operation: str) -> bool:
        rate = self._simulation.rate(operation)
        if rate is None:
            return True
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(self._simulation.bucket(operation), _Bucket(rate, rate.burst, now))
        return bucket.take(now)
