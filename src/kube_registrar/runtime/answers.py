"""Answers to requests as metrics, counted as cheaply as can be: by one thread, without locks and look-ups of labels.

A counter and a histogram of the library cost 5 µs an answer, a tenth of what a discovery takes in all.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric


@dataclass(slots=True)
class _Durations:
    """How many answers took as long as each bound or less, and longer than the one before; `total` seconds in all."""

    counts: list[int]
    total: float = 0.0


@dataclass(eq=False, slots=True)
class Answers:
    """Counts answers by operation and code, and how long they took by operation. `bounds`: seconds, ascending."""

    bounds: Sequence[float]
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _durations: dict[str, _Durations] = field(default_factory=dict)

    def count(self, operation: str, code: str, seconds: float) -> None:
        """Count one; from the event loop alone."""
        self._counts[operation, code] += 1
        found = self._durations.get(operation)
        if found is None:
            found = self._durations[operation] = _Durations([0] * (len(self.bounds) + 1))
        found.counts[bisect_left(self.bounds, seconds)] += 1
        found.total += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the two metrics."""
        requests, durations = self._families()
        for labels, count in self._counts.items():
            requests.add_metric(labels, count)
        bounds = [*map(str, self.bounds), "+Inf"]
        for operation, found in self._durations.items():
            buckets = list(zip(bounds, accumulate(found.counts), strict=True))
            durations.add_metric([operation], buckets=buckets, sum_value=found.total)
        yield from (requests, durations)

    def describe(self) -> Iterator[Metric]:
        """Yield them without what was counted."""
        yield from self._families()

    def _families(self) -> tuple[CounterMetricFamily, HistogramMetricFamily]:
        requests = CounterMetricFamily(
            "kube_registrar_api_requests",
            "Requests to our own Cloud Map API; code is ok or the error's code, operation is unknown for what is none.",
            labels=["operation", "code"],
        )
        durations = HistogramMetricFamily(
            "kube_registrar_api_request_duration_seconds", "How long the answers took.", labels=["operation"]
        )
        return requests, durations
