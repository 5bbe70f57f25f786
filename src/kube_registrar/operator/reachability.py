"""What an object says of its registry: RegistryReachable, and RegistryPermitted once something was not."""

from collections.abc import Mapping

from kube_registrar.model.reasons import (
    NOT_ASKED_YET,
    PERMISSION_MISSING,
    PERMITTED,
    REGISTRY_ANSWERS,
    REGISTRY_UNAVAILABLE,
    Problem,
)
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import RegistryName
from kube_registrar.operator.standing import Look, Said, Stand
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.circuit import Circuit
from kube_registrar.sync.permissions import Permissions

TYPE = "RegistryReachable"
PERMITTED_TYPE = "RegistryPermitted"


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
        circuit = self._circuits.get(_registry(self._catalog, thing))
        if circuit is None:
            return Said()
        words = {"registry": circuit.registry, "error": circuit.error}
        reason = {True: REGISTRY_ANSWERS, False: REGISTRY_UNAVAILABLE, None: NOT_ASKED_YET}[circuit.reachable]
        return Said([Stand(TYPE, circuit.reachable, Problem.of(reason, **words))])


class Permitted:
    """Says of every object whether its registry lets us do what we must, once it did not; a `Standing`."""

    types = frozenset({PERMITTED_TYPE})

    def __init__(self, permissions: Mapping[RegistryName, Permissions], catalog: Catalog) -> None:
        self._permissions = permissions
        self._catalog = catalog

    def look(self) -> Look:
        """See what is missing at each question."""
        return self._said

    def _said(self, thing: CustomObject) -> Said:
        permissions = self._permissions.get(_registry(self._catalog, thing))
        if permissions is None:
            return Said()
        missing = permissions.missing
        reason = PERMISSION_MISSING if missing else PERMITTED
        problem = Problem.of(reason, registry=permissions.registry, error=missing)
        return Said([Stand(PERMITTED_TYPE, not missing, problem, is_quiet=not missing)])


def _registry(catalog: Catalog, thing: CustomObject) -> RegistryName:
    """Return the registry that an object is in; empty where it names none that is configured."""
    if thing.kind == "RegistryService":
        service = catalog.service_of(thing.namespace, thing.name)
        return service.namespace.registry if service else RegistryName("")
    declared = catalog.namespace_of(thing.name)
    return declared.ref.registry if declared else RegistryName("")
