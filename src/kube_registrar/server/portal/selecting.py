"""The filters of ListNamespaces and ListServices, over what the port tells."""

from collections.abc import Callable

from kube_registrar.model.cloudmap import arns, filters
from kube_registrar.server.portal.answers import TYPES
from kube_registrar.server.portal.directory import ACCOUNT, Known, KnownService


def namespaces(wanted: filters.Filter) -> Callable[[Known], bool]:
    """Return whether a namespace passes a NamespaceFilter. Raises CloudMapError InvalidInput."""
    name = wanted["Name"]
    condition, values = filters.values(wanted, ("EQ",) if name == "RESOURCE_OWNER" else ("EQ", "BEGINS_WITH"))
    if name == "RESOURCE_OWNER":
        return filters.owner(values[0])
    if name == "TYPE" and condition == "EQ":
        filters.check_known(values, tuple(TYPES.values()))

    def read(known: Known) -> str:
        return TYPES[known.spec.type] if name == "TYPE" else known.spec.ref.name

    if condition == "BEGINS_WITH":
        return lambda known: read(known).startswith(values[0])
    return lambda known: read(known) == values[0]


def services(wanted: filters.Filter) -> Callable[[KnownService], bool]:
    """Return whether a service passes a ServiceFilter. Raises CloudMapError InvalidInput."""
    _, values = filters.values(wanted, ("EQ",))
    if wanted["Name"] == "RESOURCE_OWNER":
        return filters.owner(values[0])
    identifier = arns.plain_id("Filters.Values", values[0], "namespace", ACCOUNT)
    return lambda known: known.namespace.id == identifier or known.namespace.arn == values[0]
