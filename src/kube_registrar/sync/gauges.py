"""The engine's state as gauges, read when metrics are asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kube_registrar.model.refs import RegistryName
from kube_registrar.planning.gate import OPEN, is_waiting
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.sync.circuit import State
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.reconcile import KIND


def set_gauges(engine: Engine, metrics: Metrics) -> None:
    """Set the gauges of sources, instances, queues, registries and objects to the engine's state of this moment."""
    metrics.sources.labels("Pod").set(len(engine.wanted.pods))
    metrics.sources_skipped.clear()
    reasons = Counter(p.reason for wish in engine.wanted.wishes.values() if wish.held for p in wish.problems[:1])
    for reason, count in reasons.items():
        metrics.sources_skipped.labels("Pod", reason).set(count)
    metrics.cluster_differs.set(engine.identity.other is not None)
    metrics.queue_depth.labels(KIND).set(engine.queue_depth)
    _set_instances(engine, metrics)
    _set_registries(engine, metrics)
    _set_conditions(engine, metrics)


def _set_instances(engine: Engine, metrics: Metrics) -> None:
    totals: Counter[tuple[RegistryName, str]] = Counter()
    for service in engine.catalog.world.services:
        counts = engine.counts(service)
        registry = service.namespace.registry
        totals[registry, "wanted"] += counts.wanted
        totals[registry, "registered"] += counts.registered
        totals[registry, "unhealthy"] += counts.unhealthy
        totals[registry, "orphaned"] += counts.orphaned
        totals[registry, "conflict"] += counts.conflict
        totals[registry, "held"] += counts.held
    metrics.instances.clear()
    for (registry, state), count in totals.items():
        metrics.instances.labels(registry, state).set(count)
    gated = [pod for pod in engine.wanted.pods.values() if pod.gated]
    metrics.gated_pods.labels("open").set(sum(pod.gate == OPEN for pod in gated))
    metrics.gated_pods.labels("waiting").set(sum(map(is_waiting, gated)))


def _set_registries(engine: Engine, metrics: Metrics) -> None:
    for registry, circuit in engine.circuits.items():
        metrics.registry_up.labels(registry).set(circuit.reachable is True)
        for state in State:
            metrics.circuit_state.labels(registry, state).set(circuit.state is state)
    for registry, moment in engine.last_looks.items():
        metrics.last_sync.labels(registry).set(moment)


def _set_conditions(engine: Engine, metrics: Metrics) -> None:
    metrics.resource_condition.clear()
    for thing in engine.catalog.objects():
        conditions: Sequence[Mapping[str, Any]] = thing.status.get("conditions") or ()  # type: ignore[assignment]
        for each in conditions:
            labels = (thing.kind, thing.namespace, thing.name, str(each.get("type")), str(each.get("status")))
            metrics.resource_condition.labels(*labels).set(1)
