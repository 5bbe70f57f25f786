"""Lists of namespaces, services and operations, with filters.

Cloud Map takes a page first and filters it then, so a page may be empty and have a next one (ListNamespaces and
ListOperations in the API reference): clients must go on until there is no NextToken, and here they learn to.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kube_registrar.model.cloudmap import arns, filters, paging
from kube_registrar.model.cloudmap.errors import CloudMapError, invalid
from kube_registrar.registries.embedded import rendering
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import (
    CREATE_NAMESPACE,
    DELETE_NAMESPACE,
    DEREGISTER_INSTANCE,
    DNS_PRIVATE,
    DNS_PUBLIC,
    FAIL,
    HTTP,
    PENDING,
    REGISTER_INSTANCE,
    SUBMITTED,
    SUCCESS,
    UPDATE_NAMESPACE,
    UPDATE_SERVICE,
    Namespace,
    Operation,
    Service,
)

_TYPES = (HTTP, DNS_PRIVATE, DNS_PUBLIC)
_STATUSES = (SUBMITTED, PENDING, SUCCESS, FAIL)
_OPERATIONS = (
    CREATE_NAMESPACE, UPDATE_NAMESPACE, DELETE_NAMESPACE, UPDATE_SERVICE, REGISTER_INSTANCE, DEREGISTER_INSTANCE
)  # fmt: skip
_SEQUENCE_DIGITS = 20


async def namespaces(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer ListNamespaces."""
    filters = [_namespace_filter(item) for item in request.get("Filters", ())]
    items = sorted(core.state.namespaces.values(), key=_veiled)
    found, token = paging.page(items, request, "namespaces", _veiled)
    account = core.options.account
    kept = [rendering.namespace_summary(item, account, region) for item in found if all(keep(item) for keep in filters)]
    return {"Namespaces": kept, **({"NextToken": token} if token else {})}


async def services(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer ListServices. Nothing in the reference says that it filters pages, so it does not."""
    filters = [_service_filter(core, item) for item in request.get("Filters", ())]
    items = [item for item in core.state.services.values() if all(keep(item) for keep in filters)]
    items.sort(key=_veiled)
    found, token = paging.page(items, request, "services", _veiled)
    account = core.options.account
    summaries = [rendering.service_summary(item, account, region) for item in found]
    return {"Services": summaries, **({"NextToken": token} if token else {})}


async def operations(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer ListOperations, newest first."""
    filters = [_operation_filter(core, item) for item in request.get("Filters", ())]
    most = request.get("MaxResults", paging.MOST)
    log = core.state.log
    end = len(log)
    if "NextToken" in request:
        before = _sequence(paging.position(request["NextToken"], "operations"))
        while end and log[end - 1].sequence >= before:
            end -= 1
    found = log[max(0, end - most) : end][::-1]
    kept = [{"Id": item.id, "Status": item.status} for item in found if all(keep(item) for keep in filters)]
    has_more = end > len(found)
    token = paging.token("operations", str(found[-1].sequence)) if has_more else None
    return {"Operations": kept, **({"NextToken": token} if token else {})}


def _veiled(item: Namespace | Service) -> str:
    return paging.veiled(item.record.id)


def _sequence(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < _SEQUENCE_DIGITS else 0


async def operation(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer GetOperation."""
    found = core.state.operations.get(request["OperationId"])
    if found is None or request.get("OwnerAccount", core.options.account) != core.options.account:
        raise CloudMapError("OperationNotFound", f"There is no operation {request['OperationId']!r}")
    return {"Operation": rendering.operation(found, core.options.account)}


def _namespace_filter(wanted: filters.Filter) -> Callable[[Namespace], bool]:
    name = wanted["Name"]
    condition, values = filters.values(wanted, ("EQ",) if name == "RESOURCE_OWNER" else ("EQ", "BEGINS_WITH"))
    if name == "RESOURCE_OWNER":
        return filters.owner(values[0])
    read: Callable[[Namespace], str] = {
        "TYPE": lambda item: item.record.type,
        "NAME": lambda item: item.record.name,
        "HTTP_NAME": lambda item: item.record.http_name,
    }[name]
    if condition == "BEGINS_WITH":
        return lambda item: read(item).startswith(values[0])
    if name == "TYPE":
        filters.check_known(values, _TYPES)
    return lambda item: read(item) == values[0]


def _service_filter(core: Core, wanted: filters.Filter) -> Callable[[Service], bool]:
    _, values = filters.values(wanted, ("EQ",))
    if wanted["Name"] == "RESOURCE_OWNER":
        return filters.owner(values[0])
    identifier = arns.plain_id("Filters.Values", values[0], "namespace", core.options.account)
    return lambda item: item.record.namespace_id == identifier


def _operation_filter(core: Core, wanted: filters.Filter) -> Callable[[Operation], bool]:
    match wanted["Name"]:
        case "UPDATE_DATE":
            return _updated_between(wanted)
        case "STATUS":
            _, values = filters.values(wanted, ("EQ", "IN"))
            filters.check_known(values, _STATUSES)
            return lambda item: item.status in values
        case "TYPE":
            _, values = filters.values(wanted, ("EQ", "IN"))
            filters.check_known(values, _OPERATIONS)
            return lambda item: item.type in values
        case "NAMESPACE_ID":
            _, values = filters.values(wanted, ("EQ",))
            namespace = arns.plain_id("Filters.Values", values[0], "namespace", core.options.account)
            return lambda item: item.namespace_id == namespace
        case _:
            _, values = filters.values(wanted, ("EQ",))
            service = arns.plain_id("Filters.Values", values[0], "service", core.options.account)
            return lambda item: item.service_id == service


def _updated_between(wanted: filters.Filter) -> Callable[[Operation], bool]:
    values = wanted["Values"]
    try:
        first, last = (float(value) * 1000 for value in values)
    except ValueError:
        raise invalid("Filters.Values", values, "UPDATE_DATE takes a start and an end in Unix seconds") from None
    if not first <= last:
        raise invalid("Filters.Values", values, "UPDATE_DATE takes the start first")
    if wanted.get("Condition") != "BETWEEN":
        raise invalid("Filters.Condition", wanted.get("Condition"), "UPDATE_DATE takes BETWEEN")
    return lambda item: first <= item.updated_ms <= last
