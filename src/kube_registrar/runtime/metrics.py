"""All metrics of one process, in a registry of its own: prefix `kube_registrar_`, base units.

Labels never hold a pod, an address or an instance id: their number must grow with configuration, not with churn.
Whoever counts is given a `Metrics`; nobody reaches for a global.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from kube_registrar.runtime.answers import Answers

# `_created` doubles the number of series and tells nothing that a rate does not.
disable_created_metrics()  # type: ignore[no-untyped-call]

_DURATION_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ANSWER_SECONDS = (0.0001, 0.00025, 0.0005, *_DURATION_SECONDS)
_LATENCY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


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

    def __init__(self, version: str, revision: str = "unknown") -> None:
        """`revision`: of the source, where it is known."""
        self.registry = CollectorRegistry()
        self._updates: list[Callable[[], None]] = []
        what = "Always 1; the labels tell the version, and the revision of its source."
        self._gauge("build_info", what, "version", "revision").labels(version, revision).set(1)
        self.leader = self._gauge("leader", "1 while this replica leads, or needs no election; 0 while it stands by.")
        self._make_instances()
        self._make_work()
        self._make_registries()
        self._make_api()
        self.resource_condition = self._gauge(
            "resource_condition",
            "Conditions of RegistryNamespaces and RegistryServices: 1 for the status that each has.",
            "kind",
            "namespace",
            "name",
            "condition",
            "status",
        )

    def _make_instances(self) -> None:
        gauge, counter, histogram = self._gauge, self._counter, self._histogram
        self.cluster_differs = gauge(
            "cluster_differs", "1 while another cluster answers at the address of this cluster's API server."
        )
        self.sources = gauge("sources", "Objects that ask for registrations.", "kind")
        self.sources_skipped = gauge(
            "sources_skipped", "Objects that ask for registrations and cannot have them.", "kind", "reason"
        )
        self.instances = gauge(
            "instances",
            "Own instances; state is wanted, registered, unhealthy, orphaned, conflict or held.",
            "registry",
            "state",
        )
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
            "Deregistrations, and marks as unhealthy, that were held, each counted once; guard is missing, "
            "configuration, unreachable or duplicate-cluster.",
            "registry",
            "guard",
        )
        self.gated_pods = gauge("gated_pods", "Pods that list our readiness gate; state is open or waiting.", "state")
        self.drift_detected = counter(
            "drift_detected_total", "Own instances that were found changed or missing, and not by us.", "registry"
        )
        self.registration_latency = histogram(
            "registration_latency_seconds",
            "From the moment that a ready pod is seen until its registration is confirmed.",
            _LATENCY_SECONDS,
            "registry",
        )

    def _make_work(self) -> None:
        gauge, counter, histogram = self._gauge, self._counter, self._histogram
        self.reconciles = counter(
            "reconcile_total",
            "Times that something was looked after; kind is service (a registry service and its instances), "
            "RegistryNamespace or RegistryService; result is ok or error.",
            "kind",
            "result",
        )
        self.reconcile_duration = histogram(
            "reconcile_duration_seconds", "How long it took.", _DURATION_SECONDS, "kind"
        )
        self.queue_depth = gauge("queue_depth", "Things that wait for a worker; kind is service.", "kind")
        self.queue_wait = histogram(
            "queue_wait_seconds", "How long they waited until a worker took them.", _DURATION_SECONDS, "kind"
        )

    def _make_registries(self) -> None:
        gauge, counter, histogram = self._gauge, self._counter, self._histogram
        self.registry_requests = counter(
            "registry_requests_total",
            "Requests to registries, by operation; code is ok or the error's reason.",
            "registry",
            "operation",
            "code",
        )
        self.registry_request_duration = histogram(
            "registry_request_duration_seconds", "How long they took.", _DURATION_SECONDS, "registry", "operation"
        )
        self.registry_throttled = counter(
            "registry_throttled_total",
            "Calls that a registry refused for coming too fast; they are made again.",
            "registry",
            "operation",
        )
        self.ratelimit_wait = histogram(
            "registry_ratelimit_wait_seconds",
            "How long calls waited for our own rate limits.",
            _DURATION_SECONDS,
            "registry",
            "operation",
        )
        self.registry_up = gauge("registry_up", "Whether a registry answers: 1 or 0; 0 before it ever did.", "registry")
        self.circuit_state = gauge(
            "circuit_state",
            "1 for the state that a registry's circuit has, 0 for the others: closed, open or half_open.",
            "registry",
            "state",
        )
        self.last_sync = gauge(
            "last_sync_timestamp_seconds", "When a service of a registry was last read in full.", "registry"
        )

    def _make_api(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.answers = Answers(_ANSWER_SECONDS)
        self.registry.register(self.answers)
        self.api_requests_under_way = gauge("api_requests_under_way", "Requests that have no answer yet.")
        self.api_connections = gauge("api_connections", "Connections that are open.")
        self.api_connections_refused = counter(
            "api_connections_refused_total", "Connections that were closed as they came: there were as many as may be."
        )
        self.access_keys = gauge("access_keys", "Access keys that are known, by role.", "role")
        self.files_reloaded = counter(
            "files_reloaded_total",
            "Files that were read again because they changed; what is access-keys or tls, result is ok or error.",
            "what",
            "result",
        )

    def expect(self, registry: str) -> None:
        """Show what a registry has not had yet as 0: a rate needs a beginning."""
        self.drift_detected.labels(registry)
        self.registration_latency.labels(registry)

    @contextmanager
    def request(self, registry: str, operation: str) -> Iterator[None]:
        """Count and time one request to a registry; an error passes through and is counted by its reason."""
        code, began = "error", time.perf_counter()
        try:
            yield
            code = "ok"
        except RegistryError as error:
            code = error.reason
            raise
        finally:
            self.registry_requests.labels(registry, operation, code).inc()
            self.registry_request_duration.labels(registry, operation).observe(time.perf_counter() - began)

    def read_watches(self, read: Callable[[], Iterable[WatchState]]) -> None:
        """Show the watches that `read` returns; called once."""
        self.registry.register(_Watches(read))

    def read_events_dropped(self, read: Callable[[], int]) -> None:
        """Show how many Kubernetes Events were never posted, as `read` says; called once."""
        self.registry.register(_EventsDropped(read))

    def read_dns_queries(self, read: Callable[[], Iterable[tuple[str, str, int]]]) -> None:
        """Show the DNS queries that `read` returns, as type, code and number; called once."""
        self.registry.register(_DnsQueries(read))

    def read_health_checks(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Show the health checks that `read` returns, by how they ended; called once."""
        self.registry.register(_HealthChecks(read))

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


class _DnsQueries:
    """What the DNS server counts, as a metric: its hot path knows no labels."""

    def __init__(self, read: Callable[[], Iterable[tuple[str, str, int]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for family in self.describe():
            for type_, code, count in self._read():
                family.add_metric([type_, code], count)
            yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "kube_registrar_dns_queries", "DNS queries, by the type that was asked for.", labels=["type", "code"]
        )


class _HealthChecks:
    """What the embedded registry's health checks found, as a metric."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for family in self.describe():
            for result, count in self._read().items():
                family.add_metric([result], count)
            yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "kube_registrar_health_checks", "Health checks that the embedded registry made.", labels=["result"]
        )
