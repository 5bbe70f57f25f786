"""The counts of instances that every object of ours shows: `status.instances`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.operator.standing import Look, Said
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Counts, Engine
from kube_registrar.sync.holds import ObjectKey, key_of


@dataclass(frozen=True, slots=True)
class Tallies:
    """Says them of every object of which they can be told; a `Standing`."""

    engine: Engine
    catalog: Catalog
    types: frozenset[str] = frozenset()

    def look(self) -> Look:
        """Count once for all objects."""
        counts = dict(self._counts())

        def said(thing: CustomObject) -> Said:
            found = counts.get(key_of(thing))
            if found is None:
                return Said()
            shown = {"wanted": found.wanted, "registered": found.registered, "held": found.held}
            return Said(fields={"instances": shown})

        return said

    def _counts(self) -> Iterator[tuple[ObjectKey, Counts]]:
        world = self.catalog.world
        of_services: dict[ServiceRef, Counts] = {service: self.engine.counts(service) for service in world.services}
        of_namespaces: dict[NamespaceRef, list[Counts]] = {}
        for service, counts in of_services.items():
            of_namespaces.setdefault(service.namespace, []).append(counts)
        for (namespace, name), declared in world.declared_services.items():
            if declared.ref is not None:
                yield ("RegistryService", namespace, name), of_services.get(declared.ref, Counts(0, 0, 0))
        for ref, objects in world.declared_namespaces.items():
            for declared_namespace in objects:
                yield ("RegistryNamespace", "", declared_namespace.object_name), _sum(of_namespaces.get(ref, []))


def _sum(members: Sequence[Counts]) -> Counts:
    return Counts(sum(c.wanted for c in members), sum(c.registered for c in members), sum(c.held for c in members))
