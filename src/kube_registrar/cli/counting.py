"""What the engine and the operator count, as metrics."""

from dataclasses import dataclass

from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.runtime.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Counting:
    """The counters of changes and the measures of the engine, on one `Metrics`."""

    metrics: Metrics

    # Changes: `sync.reporting.ChangeMetrics`.

    def changed(self, registry: RegistryName, action: str, result: str) -> None:
        """Count a change by what it was and how it ended."""
        self.metrics.instance_changes.labels(registry, action, result).inc()

    def withheld(self, registry: RegistryName, action: str, policy: Policy) -> None:
        """Count a change that a policy withheld."""
        self.metrics.changes_withheld.labels(registry, action, policy).inc()

    def blocked(self, registry: RegistryName, guard: str) -> None:
        """Count a deregistration that a guard keeps from being sent."""
        self.metrics.deletions_blocked.labels(registry, guard).inc()

    # Measures: `sync.measuring.Measures`.

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count and time one thing that was looked after."""
        self.metrics.reconciles.labels(kind, result).inc()
        self.metrics.reconcile_duration.labels(kind).observe(seconds)

    def waited(self, kind: str, seconds: float) -> None:
        """Take in how long one thing stood in its queue."""
        self.metrics.queue_wait.labels(kind).observe(seconds)

    def registered_after(self, registry: RegistryName, seconds: float) -> None:
        """Take in how long a registration took."""
        self.metrics.registration_latency.labels(registry).observe(seconds)

    def drifted(self, registry: RegistryName, instances: int) -> None:
        """Count instances that somebody else changed."""
        self.metrics.drift_detected.labels(registry).inc(instances)
