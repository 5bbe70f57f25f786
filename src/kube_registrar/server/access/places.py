"""Which registry namespace a request is about, and what of an answer is another's: for keys that are limited to some.

A namespace is told by its name. Ids and ARNs are looked up; one that nobody has is no secret, for ids cannot be
guessed, and the operation itself says that it is not there. What this table does not know is not for such keys.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from kube_registrar.server.access import roles
from kube_registrar.server.access.keys import AccessKey


@runtime_checkable
class Places(Protocol):
    """A registry that knows where things are."""

    def place_of(self, kind: str, identifier: str) -> str | None:
        """Return the name of the registry namespace that something is in or is; None where there is no such thing.

        `kind`: `namespace` or `service` (by id or ARN), `resource` (either, by ARN), `operation` (by id; an empty name
        where its namespace is gone, and its name not known any more), `http-name` (a namespace as DiscoverInstances
        names it).
        """


@runtime_checkable
class Searching(Protocol):
    """A registry that must look where things are: meanwhile they may go, and others come."""

    async def located(self, kind: str, identifier: str) -> str | None:
        """Return what `Places.place_of` does. Raises CloudMapError where it cannot be known just now."""


Target = tuple[str, str]
"""A kind of `Places.place_of`, or `name`, and what was given."""

_Read = Callable[[Mapping[str, Any]], Sequence[Target]]


def _of(kind: str, *path: str) -> _Read:
    def read(request: Mapping[str, Any]) -> Sequence[Target]:
        found: Any = request
        for member in path:
            found = found.get(member) if isinstance(found, Mapping) else None
        return [(kind, found)] if isinstance(found, str) else []

    return read


def _all(*reads: _Read) -> _Read:
    return lambda request: [target for read in reads for target in read(request)]


_SERVICE = _of("service", "ServiceId")
_CREATE_NAMESPACE = _of("name", "Name")
_NAMESPACE = _of("namespace", "Id")
_RESOURCE = _of("resource", "ResourceARN")
_DISCOVER = _of("http-name", "NamespaceName")

_TARGETS: Mapping[str, _Read] = {
    "CreateHttpNamespace": _CREATE_NAMESPACE,
    "CreatePrivateDnsNamespace": _CREATE_NAMESPACE,
    "CreatePublicDnsNamespace": _CREATE_NAMESPACE,
    "CreateService": _all(_of("namespace", "NamespaceId"), _of("namespace", "DnsConfig", "NamespaceId")),
    "DeleteNamespace": _NAMESPACE,
    "DeleteService": _of("service", "Id"),
    "DeleteServiceAttributes": _SERVICE,
    "DeregisterInstance": _SERVICE,
    "DiscoverInstances": _DISCOVER,
    "DiscoverInstancesRevision": _DISCOVER,
    "GetInstance": _SERVICE,
    "GetInstancesHealthStatus": _SERVICE,
    "GetNamespace": _NAMESPACE,
    "GetOperation": _of("operation", "OperationId"),
    "GetService": _of("service", "Id"),
    "GetServiceAttributes": _SERVICE,
    "ListInstances": _SERVICE,
    "ListTagsForResource": _RESOURCE,
    "RegisterInstance": _SERVICE,
    "TagResource": _RESOURCE,
    "UntagResource": _RESOURCE,
    "UpdateHttpNamespace": _NAMESPACE,
    "UpdateInstanceCustomHealthStatus": _SERVICE,
    "UpdatePrivateDnsNamespace": _NAMESPACE,
    "UpdatePublicDnsNamespace": _NAMESPACE,
    "UpdateService": _of("service", "Id"),
    "UpdateServiceAttributes": _SERVICE,
}

_LISTS: Mapping[str, tuple[str, str, str]] = {
    "ListNamespaces": ("Namespaces", "namespace", "Id"),
    "ListOperations": ("Operations", "operation", "Id"),
    "ListServices": ("Services", "namespace", "NamespaceId"),
}
"""Lists over all namespaces: where the items are, and which kind of thing says whose each is."""

KNOWN = frozenset(_TARGETS) | frozenset(_LISTS)
"""The operations that limited keys may ask for at all."""


class Located:
    """The places of some targets, as they were found."""

    def __init__(self, found: Mapping[Target, str | None]) -> None:
        self._found = found

    def place_of(self, kind: str, identifier: str) -> str | None:
        """See `Places.place_of`."""
        return self._found[kind, identifier]


async def located(searching: Searching, operation: str, request: Mapping[str, Any]) -> Located:
    """Find what a request is about."""
    targets = _TARGETS[operation](request) if operation in _TARGETS else ()
    return Located({each: await searching.located(*each) for each in targets if each[0] != "name"})


async def listed(searching: Searching, operation: str, answer: Mapping[str, Any]) -> Located:
    """Find the items of a list."""
    member, kind, identifier = _LISTS.get(operation, ("", "", ""))
    return Located(
        {(kind, each[identifier]): await searching.located(kind, each[identifier]) for each in answer.get(member, ())}
    )


def check(key: AccessKey, operation: str, request: Mapping[str, Any], places: Places) -> None:
    """Raise CloudMapError AccessDeniedException for a request about a namespace that a limited key is not for."""
    if key.namespaces is None or operation in _LISTS:
        return
    if operation not in _TARGETS:
        raise roles.denied(key, operation, "because it is limited to some registry namespaces, and this is for all")
    for kind, given in _TARGETS[operation](request):
        name = given if kind == "name" else places.place_of(kind, given)
        if name is None and kind == "http-name":
            name = given  # where there is none of that name, who may not use it is not told so
        if name is not None and name not in key.namespaces:
            raise roles.denied(
                key, operation, f"on resource: {given} because it is limited to other registry namespaces"
            )


def visible(key: AccessKey, operation: str, answer: Mapping[str, Any], places: Places) -> Mapping[str, Any]:
    """Return an answer without the items of a list that a limited key is not for. Pages get shorter, as by filters."""
    if key.namespaces is None or operation not in _LISTS:
        return answer
    member, kind, identifier = _LISTS[operation]
    kept = [item for item in answer[member] if places.place_of(kind, item[identifier]) in key.namespaces]
    return {**answer, member: kept}
