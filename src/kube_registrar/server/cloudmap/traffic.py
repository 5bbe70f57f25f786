"""Requests that are under way: how many may be at once, and what is counted of each."""

import time
from collections.abc import Callable

from kube_registrar.server.access.rates import too_many

AT_ONCE = 1000
"""How many requests may be under way: more than the connections of a hundred SDK clients."""

Count = Callable[[str, str, float], None]
"""Is told of each answer: the operation (`unknown` for none that there is), `ok` or the error's code, seconds."""

UNKNOWN = "unknown"


class Traffic:
    """The requests of one server."""

    def __init__(self, most: int = AT_ONCE, count: Count | None = None) -> None:
        self._most = most
        self._count = count
        self.under_way = 0

    def begin(self, operation: str) -> None:
        """Count a request in. Raises CloudMapError if there are too many."""
        if self.under_way >= self._most:
            raise too_many(operation)
        self.under_way += 1

    def end(self) -> None:
        """Count one out that had begun."""
        self.under_way -= 1

    def answered(self, operation: str, code: str, began: float) -> None:
        """Count an answer; `began`: what `now` said before."""
        if self._count is not None:
            self._count(operation, code, time.perf_counter() - began)

    @staticmethod
    def now() -> float:
        """Return a time to measure by."""
        return time.perf_counter()
