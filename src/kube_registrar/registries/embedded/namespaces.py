"""Operations on registry namespaces. All but the reads are asynchronous."""

from collections.abc import Mapping
from typing import Any

import msgspec

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid
from kube_registrar.registries.embedded import ids, rendering, settings, tags
from kube_registrar.registries.embedded.core import Core, Duplicate
from kube_registrar.registries.embedded.state import (
    CREATE_NAMESPACE,
    DELETE_NAMESPACE,
    DNS_PRIVATE,
    DNS_PUBLIC,
    HTTP,
    UPDATE_NAMESPACE,
    Namespace,
    NamespaceRecord,
    Submission,
)

_NAMES = {HTTP: "an HTTP", DNS_PRIVATE: "a private DNS", DNS_PUBLIC: "a public DNS"}


async def create_http(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer CreateHttpNamespace."""
    return await _create(core, HTTP, request, region)


async def create_private(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer CreatePrivateDnsNamespace."""
    return await _create(core, DNS_PRIVATE, request, region)


async def create_public(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer CreatePublicDnsNamespace."""
    return await _create(core, DNS_PUBLIC, request, region)


async def _create(core: Core, type_: str, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    async def change() -> dict[str, Any]:
        begun = begin_creation(core, type_, request)
        return {"OperationId": begun} if isinstance(begun, str) else await core.accepted(begun)

    return await core.exclusive(change)


def begin_creation(core: Core, type_: str, request: Mapping[str, Any]) -> Submission | str:
    """Begin to make a namespace; or return the id of the operation that made it, when this request is a repetition.

    A repetition has the same CreatorRequestId and settings: an SDK that lost the answer sends the same token again
    (the service model marks it as an idempotencyToken). What AWS answers to it is not documented; the first answer
    is what such a client needs, and any other request for the name gets DuplicateRequest or NamespaceAlreadyExists.
    """
    wanted_tags = tags.read(request.get("Tags", ()))
    tags.check_count(core, wanted_tags, request["Name"])
    if type_ != HTTP:
        settings.check_domain(request["Name"])
    soa = request.get("Properties", {}).get("DnsProperties", {}).get("SOA", {})
    record = NamespaceRecord(
        id=ids.namespace_id(),
        name=request["Name"],
        http_name=_http_name(core, request["Name"]),
        type=type_,
        created_ms=core.ledger.now_ms(),
        creator=request.get("CreatorRequestId", ""),
        description=request.get("Description"),
        vpc=request.get("Vpc", ""),
        hosted_zone_id="" if type_ == HTTP else ids.hosted_zone_id(),
        soa_ttl=soa.get("TTL"),
    )
    repeated = _repeated(core, record, wanted_tags)
    if repeated is not None:
        return repeated
    most = core.options.quotas.namespaces
    if most is not None and len(core.state.namespaces) + len(core.state.arriving) >= most:
        raise CloudMapError("ResourceLimitExceeded", f"There are {most} namespaces: no more are allowed")
    stored = {"name": record.name, "namespace": msgspec.to_builtins(record), "tags": wanted_tags}
    return core.ledger.begin(CREATE_NAMESPACE, stored, namespace_id=record.id)


def _http_name(core: Core, name: str) -> str:
    """Return the name for DiscoverInstances: "if you reuse Name for namespace creation, a generated hash is added"."""
    taken = set(core.state.by_http_name) | {record.http_name for record, _ in core.state.arriving.values()}
    return f"{name}-{ids.suffix()}" if name in taken else name


def _repeated(core: Core, wanted: NamespaceRecord, wanted_tags: Mapping[str, str]) -> str | None:
    """Return the operation that this one repeats; None for a new one. Raises where the name is taken."""
    for record, submission in core.state.arriving.values():
        if _collide(record, wanted):
            if _is_same(record, wanted) and submission.request["tags"] == wanted_tags:
                return submission.operation.id
            raise Duplicate(submission)
    for namespace in core.state.namespaces.values():
        if _collide(namespace.record, wanted):
            made = _made_by(core, namespace.record.id)
            if made and _is_same(namespace.record, wanted) and namespace.tags == wanted_tags:
                return made
            raise CloudMapError(
                "NamespaceAlreadyExists",
                f"There is {_NAMES[namespace.record.type]} namespace named {namespace.record.name!r} already",
                NamespaceId=namespace.record.id,
                **rendering.creator(namespace.record.creator),
            )
    return None


def _collide(one: NamespaceRecord, other: NamespaceRecord) -> bool:
    """Whether two namespaces may not be there together.

    One name may be there again in another type or VPC. Names that differ in case only are the same name in DNS, and
    this registry has one DNS for all VPCs: which of the two was meant, nobody could tell.
    """
    if one.name != other.name:
        return HTTP not in {one.type, other.type} and one.name.lower() == other.name.lower()
    return one.type == other.type and one.vpc == other.vpc


def _is_same(one: NamespaceRecord, other: NamespaceRecord) -> bool:
    return bool(one.creator) and all(
        getattr(one, name) == getattr(other, name) for name in ("creator", "name", "description", "soa_ttl")
    )


def _made_by(core: Core, namespace_id: str) -> str | None:
    return next(
        (item.id for item in core.state.log if item.namespace_id == namespace_id and item.type == CREATE_NAMESPACE),
        None,
    )


async def get(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer GetNamespace."""
    return {"Namespace": rendering.namespace(core.namespace("Id", request["Id"]), core.options.account, region)}


async def update_http(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer UpdateHttpNamespace."""
    return await _update(core, HTTP, request, region)


async def update_private(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer UpdatePrivateDnsNamespace."""
    return await _update(core, DNS_PRIVATE, request, region)


async def update_public(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer UpdatePublicDnsNamespace."""
    return await _update(core, DNS_PUBLIC, request, region)


async def _update(core: Core, type_: str, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    namespace = core.namespace("Id", request["Id"])
    if namespace.record.type != type_:
        raise invalid(
            "Id", request["Id"], f"this is {_NAMES[namespace.record.type]} namespace, not {_NAMES[type_]} one"
        )
    wanted = request["Namespace"]
    change = {"description": wanted["Description"]} if "Description" in wanted else {}
    if "Properties" in wanted:
        change["soa_ttl"] = wanted["Properties"]["DnsProperties"]["SOA"]["TTL"]
    return await core.accepted(begin_update(core, namespace, change, request.get("UpdaterRequestId", "")))


def begin_update(core: Core, namespace: Namespace, change: Mapping[str, Any], updater: str = "") -> Submission:
    """Begin to change the settings of a namespace: `description` and `soa_ttl`."""
    if namespace.busy:
        if updater and namespace.busy.request.get("updater") == updater:
            return namespace.busy
        raise Duplicate(namespace.busy)
    stored = {"name": namespace.record.name, "change": dict(change), "updater": updater}
    return core.ledger.begin(UPDATE_NAMESPACE, stored, namespace_id=namespace.record.id)


async def delete(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DeleteNamespace."""

    async def change() -> dict[str, Any]:
        return await core.accepted(begin_deletion(core, core.namespace("Id", request["Id"])))

    return await core.exclusive(change)


def begin_deletion(core: Core, namespace: Namespace) -> Submission:
    """Begin to remove a namespace. To be called within `core.exclusive`: no service may be made meanwhile."""
    if namespace.busy:
        raise Duplicate(namespace.busy)
    if namespace.services:
        raise CloudMapError(
            "ResourceInUse",
            f"Namespace {namespace.record.name!r} has {len(namespace.services)} services: delete them first",
        )
    stored = {"name": namespace.record.name}
    return core.ledger.begin(DELETE_NAMESPACE, stored, namespace_id=namespace.record.id)
