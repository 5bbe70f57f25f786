"""What the engine and the operator count, as metrics."""

import json
from dataclasses import dataclass
from importlib.metadata import distribution, version

from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.runtime.metrics import Metrics

GUARDS = ("missing", "configuration", "unreachable", "duplicate-cluster")


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

    def begin(self, registry: RegistryName) -> None:
        """Show what an alert looks at from zero: what a counter rises by is not seen where it begins with one."""
        for guard in GUARDS:
            self.metrics.deletions_blocked.labels(registry, guard)

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


def new_metrics() -> Metrics:
    """Return the metrics of this process, which nothing has been counted in yet."""
    return Metrics(version("kube-registrar"), _revision())


def _revision() -> str:
    """Return the revision of the source that this was installed from, where the installer noted it (PEP 610)."""
    noted = distribution("kube-registrar").read_text("direct_url.json")
    found = json.loads(noted).get("vcs_info", {}).get("commit_id") if noted else None
    return str(found or "unknown")
