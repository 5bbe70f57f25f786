"""The engine's state as gauges, read when metrics are asked for."""

from collections import Counter

from kube_registrar.model.refs import RegistryName
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.sync.engine import Engine


def set_gauges(engine: Engine, metrics: Metrics) -> None:
    """Set the gauges of sources, instances and queues to the engine's state of this moment."""
    metrics.sources.labels("Pod").set(len(engine.wanted.pods))
    metrics.sources_skipped.clear()
    reasons = Counter(p.reason for wish in engine.wanted.wishes.values() if wish.held for p in wish.problems[:1])
    for reason, count in reasons.items():
        metrics.sources_skipped.labels("Pod", reason).set(count)
    totals: Counter[tuple[RegistryName, str]] = Counter()
    for service in engine.catalog.world.services:
        counts = engine.counts(service)
        registry = service.namespace.registry
        totals[registry, "wanted"] += counts.wanted
        totals[registry, "registered"] += counts.registered
        totals[registry, "held"] += counts.held
    for (registry, state), count in totals.items():
        metrics.instances.labels(registry, state).set(count)
    metrics.queue_depth.set(engine.queue_depth)
