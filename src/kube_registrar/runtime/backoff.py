"""How long to wait before trying again: 0.5 s doubling to 30 s, full jitter."""

import random
from dataclasses import dataclass, field

FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0


@dataclass(slots=True)
class Backoff:
    """Counts failures of one thing. `draw` is injected by tests.

    Full jitter (a uniform draw up to the ceiling) spreads a herd best: AWS Architecture Blog,
    "Exponential Backoff and Jitter". A tenth of the ceiling is the least, so that no draw spins.
    """

    first: float = FIRST_SECONDS
    most: float = MOST_SECONDS
    failures: int = 0
    draw: random.Random = field(default_factory=random.Random)

    def failed(self, at_least: float = 0.0) -> float:
        """Count one failure and return the seconds to wait, no fewer than `at_least`."""
        ceiling = min(self.most, self.first * 2 ** min(self.failures, 32))
        self.failures += 1
        return max(at_least, self.draw.uniform(ceiling / 10, ceiling))

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
