"""Writes how many instances each RegistryService has to its status, at most every five seconds and only on change."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Counts, Engine

INTERVAL_SECONDS = 5.0

_log = logging.getLogger(__name__)

Patch = Callable[[str, str, str, Mapping[str, object]], Awaitable[None]]
"""Patches the status of (kind, namespace, name) with some fields."""


async def follow_counts(engine: Engine, catalog: Catalog, patch: Patch, clock: Clock) -> None:
    """Keep `status.instances` of every RegistryService and RegistryNamespace true until cancelled."""
    written: dict[tuple[str, str, str], Counts] = {}
    while True:
        await clock.sleep(INTERVAL_SECONDS)
        for key, counts in _current(engine, catalog).items():
            if written.get(key) != counts:
                try:
                    await patch(*key, _status(counts))
                except KubeRegistrarError as error:
                    _log.debug("the counts of %s/%s could not be written: %s", *key[1:], error)
                    continue
                written[key] = counts


def _status(counts: Counts) -> Mapping[str, object]:
    return {"instances": {"wanted": counts.wanted, "registered": counts.registered, "held": counts.held}}


def _current(engine: Engine, catalog: Catalog) -> Mapping[tuple[str, str, str], Counts]:
    world = catalog.world
    result: dict[tuple[str, str, str], Counts] = {}
    of_services: dict[ServiceRef, Counts] = {service: engine.counts(service) for service in world.services}
    for (namespace, name), declared in world.declared_services.items():
        if declared.ref is not None:
            counts = of_services.get(declared.ref, Counts(0, 0, 0))
            result["RegistryService", namespace, name] = counts
    for ref, objects in world.declared_namespaces.items():
        for declared_namespace in objects:
            result["RegistryNamespace", "", declared_namespace.object_name] = _sum(ref, of_services)
    return result


def _sum(namespace: NamespaceRef, of_services: Mapping[ServiceRef, Counts]) -> Counts:
    members = [counts for service, counts in of_services.items() if service.namespace == namespace]
    return Counts(sum(c.wanted for c in members), sum(c.registered for c in members), sum(c.held for c in members))
