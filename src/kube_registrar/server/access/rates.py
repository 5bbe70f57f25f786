"""How much one may ask: a token bucket for each access key, or for each address where nobody has a key."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.errors import UserError
from kube_registrar.runtime.clock import Clock

FLAG: Final = "--api-rate"

_MOST_BUCKETS: Final = 10_000
_RATE = re.compile(r"(?P<rate>\d{1,7}(?:\.\d{1,3})?)(?:/(?P<burst>\d{1,7}))?")
_DISCOVERIES: Final = frozenset({"DiscoverInstances", "DiscoverInstancesRevision"})


@dataclass(frozen=True, slots=True)
class ClientRate:
    """Requests a second, and how many at once."""

    per_second: float
    burst: float


def parse(text: str) -> ClientRate | None:
    """Read `RATE/BURST` or `RATE`; nothing is no limit. Raises UserError."""
    if not text:
        return None
    found = _RATE.fullmatch(text)
    rate = float(found["rate"]) if found else 0.0
    burst = float(found["burst"] or max(1.0, rate)) if found else 0.0
    if rate <= 0 or burst < 1:
        raise UserError(f"{FLAG} is {text!r}: write requests a second and how many at once, such as 1000/2000")
    return ClientRate(rate, burst)


def too_many(operation: str) -> CloudMapError:
    """Return what is answered to a request too many: nothing was done, and SDKs ask again, slower.

    Discoveries alone have a code of their own in the service model.
    """
    if operation in _DISCOVERIES:
        return CloudMapError("RequestLimitExceeded", "Rate exceeded: slow down")
    return CloudMapError("ThrottlingException", "Rate exceeded")


class ClientRates:
    """The buckets. Those that were longest not asked for are forgotten first; each begins full."""

    def __init__(self, rate: ClientRate | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def is_limited(self) -> bool:
        """Whether there is a rate at all."""
        return self._rate is not None

    def admit(self, client: str) -> bool:
        """Count a request; return whether it is within the rate."""
        rate = self._rate
        if rate is None:
            return True
        now = self._clock.monotonic()
        tokens, filled_at = self._buckets.pop(client, (rate.burst, now))
        tokens = min(rate.burst, tokens + (now - filled_at) * rate.per_second)
        is_admitted = tokens >= 1
        self._buckets[client] = (tokens - 1 if is_admitted else tokens, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return is_admitted

    def give_back(self, client: str) -> None:
        """Take back the last request that was admitted."""
        if client in self._buckets:
            tokens, filled_at = self._buckets[client]
            self._buckets[client] = (tokens + 1, filled_at)
