"""The engine's state as gauges, read when metrics are asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kube_registrar.declared.annotations import read_annotations
from kube_registrar.model.records import KubeService
from kube_registrar.model.refs import RegistryName
from kube_registrar.planning.gate import OPEN, is_waiting
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.sync.circuit import State
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.reconcile import KIND


def set_gauges(engine: Engine, metrics: Metrics) -> None:
    """Set the gauges of sources, instances, queues, registries and objects to the engine's state of this moment."""
    _set_sources(engine, metrics)
    metrics.cluster_differs.set(engine.identity.other is not None)
    metrics.queue_depth.labels(KIND).set(engine.queue_depth)
    _set_instances(engine, metrics)
    _set_registries(engine, metrics)
    _set_conditions(engine, metrics)


def _set_sources(engine: Engine, metrics: Metrics) -> None:
    world, wanted = engine.catalog.world, engine.wanted
    wishes = ((uid, wanted.wishes.get(uid)) for uid in wanted.pods)
    asking = {
        # A pod that waits for its gate, and asks for nothing, is known too.
        "Pod": sum(1 for _, wish in wishes if wish and (wish.registrations or wish.held or wish.unready)),
        "Service": sum(1 for one in wanted.services_asking.values() if _asks(one)),
        "RegistryService": sum(1 for one in world.declared_services.values() if one.selector or one.kube_service),
        "Namespace": sum(1 for reading in world.defaults.values() if reading.asks),
    }
    for kind, count in asking.items():
        metrics.sources.labels(kind).set(count)
    metrics.sources_skipped.clear()
    skipped = Counter(
        ("Pod" if uid in wanted.pods else "Service", wish.problems[0].reason)
        for uid, wish in wanted.wishes.items()
        if wish.held and wish.problems
    )
    for (kind, reason), count in skipped.items():
        metrics.sources_skipped.labels(kind, reason).set(count)


def _asks(service: KubeService) -> bool:
    """Whether a Service asks by itself; one that a RegistryService names is asked for by that."""
    reading = read_annotations(service.annotations, of_service=True)
    return reading.asks and reading.register is not False


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
