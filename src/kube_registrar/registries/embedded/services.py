"""Operations on registry services. Creating and deleting are synchronous; an update is not."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError, invalid
from kube_registrar.registries.embedded import dnsnames, ids, rendering, settings, storage, tags
from kube_registrar.registries.embedded.core import Core, Duplicate
from kube_registrar.registries.embedded.state import (
    DELETE_NAMESPACE,
    HTTP,
    UPDATE_SERVICE,
    Namespace,
    Service,
    ServiceRecord,
    Submission,
)


async def create(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer CreateService. The same CreatorRequestId and settings again give the service that is there."""
    service = await core.exclusive(lambda: made(core, request, region))
    return {"Service": rendering.service(service, core.options.account, region)}


async def made(core: Core, request: Mapping[str, Any], region: str) -> Service:
    """Make a service, and return it once it is durable and visible. To be called within `core.exclusive`.

    Raises CloudMapError InvalidInput, NamespaceNotFound, ServiceAlreadyExists (with the id, ARN and creator of the one
    that is there) or TooManyTagsException. Without DnsConfig a service is found by API only, in any namespace.
    """
    namespace = core.namespace("NamespaceId", _namespace_id(request))
    if namespace.busy and namespace.busy.operation.type == DELETE_NAMESPACE:
        raise CloudMapError("NamespaceNotFound", f"Namespace {namespace.record.name!r} is being deleted")
    record = ServiceRecord(
        id=ids.service_id(),
        namespace_id=namespace.record.id,
        name=request["Name"],
        created_ms=core.ledger.now_ms(),
        creator=request.get("CreatorRequestId", ""),
        description=request.get("Description"),
        **settings.service_health(namespace.record, request),
        **settings.service_dns(namespace.record, request),
    )
    wanted_tags = tags.read(request.get("Tags", ()))
    tags.check_count(core, wanted_tags, request["Name"])
    existing = namespace.services.get(namespace.service_key(record.name))
    if existing is not None:
        return _repeated(core, existing, record, wanted_tags, region)
    if record.records:
        dnsnames.check_service(namespace, record.name)
    revision = core.state.next_revision(core.ledger.now_ms())
    stored = (storage.put_service(record, revision), storage.put_tags("service", record.id, wanted_tags))

    def apply() -> None:
        core.state.add_service(record, wanted_tags, revision)

    await core.write(stored, apply)
    return core.state.services[record.id]


def _namespace_id(request: Mapping[str, Any]) -> str:
    """Return the namespace that is asked for: once within DnsConfig, now beside it."""
    nested = request.get("DnsConfig", {}).get("NamespaceId")
    found: str | None = request.get("NamespaceId", nested)
    if found is None:
        raise CloudMapError(
            "InvalidInput", "NamespaceId is missing: it is required", field="NamespaceId", rule="required"
        )
    if nested not in {None, found}:
        raise invalid("DnsConfig.NamespaceId", nested, f"it must be the NamespaceId of the request, {found!r}")
    return found


def _repeated(
    core: Core, existing: Service, wanted: ServiceRecord, wanted_tags: Mapping[str, str], region: str
) -> Service:
    record = existing.record
    same = replace(wanted, id=record.id, created_ms=record.created_ms)
    if wanted.creator and same == record and existing.tags == wanted_tags:
        return existing
    raise CloudMapError(
        "ServiceAlreadyExists",
        f"Namespace {existing.namespace.record.name!r} has a service named {record.name!r} already",
        ServiceId=record.id,
        ServiceArn=arns.arn(region, core.options.account, "service", record.id),
        **rendering.creator(record.creator),
    )


async def get(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer GetService."""
    return {"Service": rendering.service(core.service("Id", request["Id"]), core.options.account, region)}


async def update(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer UpdateService. Records and health checks that it omits are deleted; a custom health check stays."""
    service = core.service("Id", request["Id"])
    namespace, wanted = service.namespace.record, request["Service"]
    if namespace.type == HTTP:
        raise invalid("Id", request["Id"], "services of HTTP namespaces cannot be updated")
    change: dict[str, Any] = {
        "records": settings.changed_dns(service.record, wanted.get("DnsConfig")),
        "check": msgspec.to_builtins(settings.changed_check(namespace, service.record, wanted)),
    }
    if "Description" in wanted:
        change["description"] = wanted["Description"]
    return await core.accepted(begin_update(core, service, change))


def begin_update(core: Core, service: Service, change: Mapping[str, Any]) -> Submission:
    """Begin to change the settings of a service: `description`, `records` and `check`."""
    if service.updating:
        raise Duplicate(service.updating)
    stored = {"name": service.record.name, "change": dict(change)}
    return core.ledger.begin(
        UPDATE_SERVICE, stored, namespace_id=service.record.namespace_id, service_id=service.record.id
    )


async def delete(core: Core, request: Mapping[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG001
    """Answer DeleteService."""
    await core.exclusive(lambda: removed(core, core.service("Id", request["Id"])))
    return {}


async def removed(core: Core, service: Service) -> None:
    """Remove a service, which must be empty. To be called within `core.exclusive`."""
    if service.instances or service.busy or service.updating:
        raise CloudMapError(
            "ResourceInUse",
            f"Service {service.record.name!r} has {service.expected} instances, or operations in progress: "
            "deregister them and wait first",
        )
    statements = storage.remove_service(service.record.id, core.state.revision)
    with _closing(service):
        await core.write(statements, lambda: core.state.remove_service(service))


@contextlib.contextmanager
def _closing(service: Service) -> Iterator[None]:
    """Let nothing begin in a service while its deletion is being stored; if that fails, it goes on."""
    service.closing = True
    try:
        yield
    except BaseException:
        service.closing = False
        raise


def named(namespace: Namespace, name: str) -> Service | None:
    """Return the service of exactly this name, if there is one that is not being deleted."""
    service = namespace.services.get(namespace.service_key(name))
    return service if service and service.record.name == name and not service.closing else None
