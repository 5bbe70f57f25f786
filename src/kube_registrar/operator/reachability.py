"""The condition RegistryReachable: whether the registry that an object is in answers."""

from collections.abc import Mapping

from kube_registrar.model.reasons import NOT_ASKED_YET, REGISTRY_ANSWERS, REGISTRY_UNAVAILABLE, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import RegistryName
from kube_registrar.operator.standing import Look, Said, Stand
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.circuit import Circuit

TYPE = "RegistryReachable"


class Reachability:
    """Says it of every object whose registry is known; a `Standing`."""

    types = frozenset({TYPE})

    def __init__(self, circuits: Mapping[RegistryName, Circuit], catalog: Catalog) -> None:
        self._circuits = circuits
        self._catalog = catalog

    def look(self) -> Look:
        """See the circuits as they are at each question."""
        return self._said

    def _said(self, thing: CustomObject) -> Said:
        """Return the condition; none where the object names no registry that is configured."""
        circuit = self._circuits.get(self._registry(thing) or RegistryName(""))
        if circuit is None:
            return Said()
        words = {"registry": circuit.registry, "error": circuit.error}
        reason = {True: REGISTRY_ANSWERS, False: REGISTRY_UNAVAILABLE, None: NOT_ASKED_YET}[circuit.reachable]
        return Said([Stand(TYPE, circuit.reachable, Problem.of(reason, **words))])

    def _registry(self, thing: CustomObject) -> RegistryName | None:
        if thing.kind == "RegistryService":
            service = self._catalog.service_of(thing.namespace, thing.name)
            return service.namespace.registry if service else None
        declared = self._catalog.namespace_of(thing.name)
        return declared.ref.registry if declared else None
