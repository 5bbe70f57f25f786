"""What the engine tells of its own work, for metrics; the composition root turns it into counters."""

from typing import Protocol

from kube_registrar.model.refs import RegistryName
from kube_registrar.runtime.clock import Clock


class Measures(Protocol):
    """Hears of durations and surprises. Nothing of it blocks or raises."""

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """One thing was looked after, in so many seconds; the result is ok or error."""

    def waited(self, kind: str, seconds: float) -> None:
        """One thing stood in its queue for so long before a worker took it."""

    def registered_after(self, registry: RegistryName, seconds: float) -> None:
        """A registration was confirmed so long after it began to be wanted."""

    def drifted(self, registry: RegistryName, instances: int) -> None:
        """So many instances of ours were found changed or missing, and not by us."""


class Unmeasured:
    """Hears and forgets."""

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """See `Measures`."""

    def waited(self, kind: str, seconds: float) -> None:
        """See `Measures`."""

    def registered_after(self, registry: RegistryName, seconds: float) -> None:
        """See `Measures`."""

    def drifted(self, registry: RegistryName, instances: int) -> None:
        """See `Measures`."""


UNMEASURED = Unmeasured()


class Stopwatch:
    """How long work has waited for its loop, or the loop has been at one piece of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it runs; 0 if it does not."""
        return 0.0 if self._since is None else self._clock.monotonic() - self._since

    def start(self) -> None:
        """Begin at 0."""
        self._since = self._clock.monotonic()

    def go_on(self) -> None:
        """Begin, unless it runs already."""
        if self._since is None:
            self.start()

    def stop(self) -> None:
        """End."""
        self._since = None
