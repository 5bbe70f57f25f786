"""Errors in Cloud Map's words: those of the port, and of the operations that no port has."""

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.shapes import OPERATIONS
from kube_registrar.model.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    RegistryError,
    Retryable,
    Unreachable,
)

READS = frozenset(
    {
        "DiscoverInstances",
        "DiscoverInstancesRevision",
        "GetInstance",
        "GetInstancesHealthStatus",
        "GetNamespace",
        "GetService",
        "ListInstances",
        "ListNamespaces",
        "ListServices",
        "ListTagsForResource",
    }
)
"""The operations that are carried out. All others are known and refused."""

_OPERATIONS = frozenset({"GetOperation", "ListOperations"})
_ATTRIBUTES = frozenset({"GetServiceAttributes"})


def unserved(operation: str, registry: str) -> CloudMapError:
    """Return the answer to an operation that cannot be carried out. InvalidInput is modelled for every one."""
    assert operation in OPERATIONS  # noqa: S101 - the wire refuses all others
    if operation in _OPERATIONS:
        why = "this API begins no operations, for it only reads"
    elif operation in _ATTRIBUTES:
        why = "it keeps attributes of instances, and none of services"
    else:
        why = "this API only reads it: declare it in Kubernetes, or write to the registry itself"
    return CloudMapError("InvalidInput", f"{operation} is not served in front of registry {registry}: {why}")


def untold_tags(registry: str) -> CloudMapError:
    """Return the answer to a question about tags, where the registry has them and does not list them."""
    why = "it has tags, and does not tell them in its lists: ask the registry itself"
    return CloudMapError("InvalidInput", f"ListTagsForResource is not served in front of registry {registry}: {why}")


def translated(error: RegistryError, missing: str) -> CloudMapError:
    """Return an error of the port as a client of Cloud Map knows it; `missing`: the code for what is not there.

    SDKs ask again by themselves after RequestLimitExceeded and ServiceUnavailable, as the port's errors mean it.
    """
    match error:
        case NotFound():
            return CloudMapError(missing, str(error))
        case Retryable():
            return CloudMapError("RequestLimitExceeded", str(error))
        case Unreachable():
            return CloudMapError("ServiceUnavailable", str(error))
        case Forbidden():
            return CloudMapError("AccessDeniedException", str(error))
        case Refused():
            return CloudMapError("InvalidInput", str(error), field=error.field, rule=error.rule)
        case Conflict():
            return CloudMapError("ResourceInUse", str(error))
        case _:
            return CloudMapError("ServiceUnavailable", str(error))
