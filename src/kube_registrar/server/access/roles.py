"""What a role may do, by operation: the names tell reading from writing, as they do in IAM's policies."""

from typing import Final

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.server.access.keys import AccessKey, Role

_READS: Final = ("Discover", "Get", "List")
_WRITES: Final = frozenset({"DeregisterInstance", "RegisterInstance", "UpdateInstanceCustomHealthStatus"})


def needed(operation: str) -> Role:
    """Return the least role that may do it. What is not known, of a version to come, needs the highest."""
    if operation.startswith(_READS):
        return Role.READ
    return Role.WRITE if operation in _WRITES else Role.ADMIN


def check(key: AccessKey, operation: str) -> None:
    """Raise CloudMapError AccessDeniedException for what the key's role does not include."""
    # Each request comes here: by identity, for to compare enumerations by their order takes microseconds.
    if key.role is Role.ADMIN or operation.startswith(_READS) or (key.role is Role.WRITE and operation in _WRITES):
        return
    raise denied(key, operation, f"because its role is {key.role}, and this needs {needed(operation)}")


def denied(key: AccessKey, operation: str, why: str) -> CloudMapError:
    """Return AWS's sentence for what a key may not do."""
    return CloudMapError(
        "AccessDeniedException", f"User: {key.id} is not authorized to perform: servicediscovery:{operation} {why}"
    )
