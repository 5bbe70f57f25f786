"""All metrics of one process, in a registry of its own: prefix `kube_registrar_`, base units.

Labels never hold a pod, an address or an instance id: their number must grow with configuration, not with churn.
Whoever counts is given a `Metrics`; nobody reaches for a global.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kube_registrar.model.errors import RegistryError

# `_created` doubles the number of series and tells nothing that a rate does not.
disable_created_metrics()  # type: ignore[no-untyped-call]

_DURATION_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class WatchState:
    """What a watch of the Kubernetes API counts by itself. `last_event`: seconds since 1970, None before the first."""

    kind: str
    reconnects: int
    last_event: float | None


class Metrics:
    """The metrics, each an attribute. What others count by themselves is read when it is asked for.

    Rendering calls the readers in the thread of the caller: in ours, the event loop's.
    """

    CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._updates: list[Callable[[], None]] = []
        gauge, counter, histogram = self._gauge, self._counter, self._histogram

        gauge("build_info", "Always 1; the label tells the version.", "version").labels(version).set(1)
        self.leader = gauge("leader", "1 while this replica leads, or needs no election; 0 while it stands by.")
        self.sources = gauge("sources", "Objects that ask for registrations.", "kind")
        self.sources_skipped = gauge(
            "sources_skipped", "Objects that ask for registrations and cannot have them.", "kind", "reason"
        )
        self.instances = gauge("instances", "Own instances; state is wanted, registered or held.", "registry", "state")
        self.instance_changes = counter(
            "instance_changes_total",
            "Changes of instances; action is register, deregister or set_health, result is ok or error.",
            "registry",
            "action",
            "result",
        )
        self.changes_withheld = counter(
            "changes_withheld_total",
            "Changes that were not sent because of a policy, each counted once; action is register, deregister, "
            "set_health, create, update or remove.",
            "registry",
            "action",
            "policy",
        )
        self.deletions_blocked = counter(
            "deletions_blocked_total",
            "Deregistrations that were held, each counted once; guard is missing, configuration, unreachable or "
            "duplicate-cluster.",
            "registry",
            "guard",
        )
        self.queue_depth = gauge("queue_depth", "Registry services that wait for a worker.")
        self.registry_requests = counter(
            "registry_requests_total",
            "Requests to registries, by operation; result is ok or the error's reason.",
            "registry",
            "operation",
            "result",
        )
        self.registry_request_duration = histogram(
            "registry_request_duration_seconds", "How long they took.", _DURATION_SECONDS, "registry", "operation"
        )

    @contextmanager
    def request(self, registry: str, operation: str) -> Iterator[None]:
        """Count and time one request to a registry; an error passes through and is counted by its reason."""
        result, began = "error", time.perf_counter()
        try:
            yield
            result = "ok"
        except RegistryError as error:
            result = error.reason
            raise
        finally:
            self.registry_requests.labels(registry, operation, result).inc()
            self.registry_request_duration.labels(registry, operation).observe(time.perf_counter() - began)

    def read_watches(self, read: Callable[[], Iterable[WatchState]]) -> None:
        """Show the watches that `read` returns; called once."""
        self.registry.register(_Watches(read))

    def read_events_dropped(self, read: Callable[[], int]) -> None:
        """Show how many Kubernetes Events were never posted, as `read` says; called once."""
        self.registry.register(_EventsDropped(read))

    def before_render(self, update: Callable[[], None]) -> None:
        """Call `update` before each rendering, to set gauges that are costly to follow and cheap to read."""
        self._updates.append(update)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        for update in self._updates:
            update()
        return generate_latest(self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"kube_registrar_{name}", help_text, labels, registry=self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"kube_registrar_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"kube_registrar_{name}", help_text, labels, buckets=buckets, registry=self.registry)


class _Watches:
    """Watches as metrics: what they count stands in them."""

    def __init__(self, read: Callable[[], Iterable[WatchState]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        reconnects = CounterMetricFamily(
            "kube_registrar_watch_reconnects", "Watches of the Kubernetes API that were made anew.", labels=["kind"]
        )
        last_event = GaugeMetricFamily(
            "kube_registrar_watch_last_event_timestamp_seconds",
            "When a watch last said something, bookmarks included.",
            labels=["kind"],
        )
        for state in self._read():
            reconnects.add_metric([state.kind], state.reconnects)
            if state.last_event is not None:
                last_event.add_metric([state.kind], state.last_event)
        yield reconnects
        yield last_event

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily("kube_registrar_watch_reconnects", "", labels=["kind"])
        yield GaugeMetricFamily("kube_registrar_watch_last_event_timestamp_seconds", "", labels=["kind"])


class _EventsDropped:
    """The recorder of Kubernetes Events as a metric."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "kube_registrar_events_dropped", "Kubernetes Events that were never posted.", value=self._read()
        )

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily("kube_registrar_events_dropped", "")
