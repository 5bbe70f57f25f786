"""Token buckets for events; time is given, in seconds of a monotonic clock."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

_ROUNDING = 1e-9


@dataclass(slots=True)
class Bucket:
    """Holds `burst` tokens at most and gains `per_second`; starts full."""

    per_second: float
    burst: int
    tokens: float = field(init=False)
    at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.tokens = float(self.burst)

    def wait(self, now: float) -> float:
        """Return the seconds until there is a token; 0.0 if there is one."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now
        missing = 1.0 - self.tokens
        # Less than that is a rounding error: waiting for it might not move the clock at all.
        return missing / self.per_second if missing > _ROUNDING else 0.0

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        if self.wait(now) > 0.0:
            return False
        self.tokens -= 1.0
        return True


class Buckets:
    """A bucket for each of many things; those least lately used are forgotten, which fills theirs."""

    def __init__(self, per_second: float, burst: int, *, most: int = 4096) -> None:
        self._per_second = per_second
        self._burst = burst
        self._most = most
        self._each: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, whose: Hashable, now: float) -> bool:
        """Take a token of `whose` bucket if there is one."""
        bucket = self._each.setdefault(whose, Bucket(self._per_second, self._burst))
        self._each.move_to_end(whose)
        if len(self._each) > self._most:
            self._each.popitem(last=False)
        return bucket.take(now)
