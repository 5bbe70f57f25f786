"""In which registry namespace things are, for whoever may ask for some of them only (`EmbeddedRegistry.place_of`)."""

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded.core import Core

GONE = ""


def place_of(core: Core, kind: str, identifier: str) -> str | None:
    """Return the name of the registry namespace; None where there is no such thing, or no sense in what was given."""
    try:
        match kind:
            case "namespace" | "service":
                found = arns.plain_id("Id", identifier, kind, core.options.account)
            case "resource":
                found = arns.any_resource("ResourceARN", identifier, core.options.account)
            case _:
                found = identifier
    except CloudMapError:
        return None  # The operation itself says what is wrong with it.
    return _place(core, kind, found or "")


def _place(core: Core, kind: str, identifier: str) -> str | None:
    state = core.state
    if kind == "operation":
        operation = state.operations.get(identifier)
        return None if operation is None else _namespace(core, operation.namespace_id) or GONE
    if kind == "http-name":
        by_name = state.by_http_name.get(identifier)
        return by_name.record.name if by_name is not None else None
    if kind in {"service", "resource"} and identifier in state.services:
        return state.services[identifier].namespace.record.name
    return None if kind == "service" else _namespace(core, identifier)


def _namespace(core: Core, identifier: str) -> str | None:
    """Return the name of a namespace that is there, is on its way, or has gone since this process began."""
    state = core.state
    if identifier in state.namespaces:
        return state.namespaces[identifier].record.name
    if identifier in state.arriving:
        return state.arriving[identifier][0].name
    return state.gone.get(identifier)
