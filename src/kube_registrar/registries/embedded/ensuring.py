"""Making, adopting, updating and removing namespaces and services for the port, each until it is confirmed.

What is somebody else's is returned as it is. What is this creator's is brought to what it asks for now, as far as
Cloud Map lets it: record types, routing and the health check of a service are fixed, and a service of an HTTP
namespace cannot be updated at all. Tags that are not asked for stay.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from kube_registrar.model.cloudmap import validation
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.errors import Conflict, NotFound
from kube_registrar.model.ownership import owns
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, ServiceSpec
from kube_registrar.registries.embedded import namespaces, services, settings, tags, translation
from kube_registrar.registries.embedded.core import Core, Duplicate
from kube_registrar.registries.embedded.state import FAIL, HTTP, Namespace, Service, Submission
from kube_registrar.registries.port import Found

_CREATIONS = {
    "HTTP": "CreateHttpNamespace",
    "DNS_PRIVATE": "CreatePrivateDnsNamespace",
    "DNS_PUBLIC": "CreatePublicDnsNamespace",
}


async def namespace(
    core: Core, spec: NamespaceSpec, creator: str, policy: CreationPolicy, registry: RegistryName
) -> Found:
    """Return the namespace as it is once that is confirmed."""
    type_ = translation.namespace_type(spec)
    request = validation.validated(_CREATIONS[type_], translation.namespace_request(spec))
    request["CreatorRequestId"] = creator
    while True:
        arriving = _arriving(core, spec.ref.name)
        existing = core.state.by_http_name.get(spec.ref.name)
        under_way = arriving or (existing.busy if existing else None)
        if under_way:
            await asyncio.wait([under_way.finished])
        elif existing:
            found = translation.found_namespace(core, existing, registry)
            if spec.arn and spec.arn != found.arn:
                raise NotFound(f"There is no namespace {spec.ref} of the ARN {spec.arn}, but {found.arn}. Correct it")
            _check_namespace(found, existing, spec)
            if _may_change(found, spec, creator, policy):
                await _update_namespace(core, existing, spec)
            return translation.found_namespace(core, existing, registry)
        else:
            _check_may_make(CreationPolicy.ADOPT if spec.arn else policy, f"namespace {spec.ref}")
            with contextlib.suppress(Duplicate):  # Another one came first; the next round looks at it.
                begun = await core.exclusive(_soon(lambda: namespaces.begin_creation(core, type_, request)))
                if isinstance(begun, Submission):
                    await ended(begun)


async def service(core: Core, parent: Namespace, spec: ServiceSpec, creator: str, policy: CreationPolicy) -> Found:
    """Return the service as it is once that is confirmed."""
    request = validation.validated("CreateService", translation.service_request(spec, parent.record.id))
    request["CreatorRequestId"] = creator
    while True:
        existing = services.named(parent, spec.ref.name)
        if existing and existing.updating:
            await asyncio.wait([existing.updating.finished])
        elif existing:
            found = translation.found_service(core, existing, spec.ref.namespace)
            _check_records(found, spec)
            if _may_change(found, spec, creator, policy):
                _check_fixed(found, spec)
                await _update_service(core, existing, spec)
            return translation.found_service(core, existing, spec.ref.namespace)
        else:
            _check_may_make(policy, f"service {spec.ref}")
            try:
                await core.exclusive(lambda: services.made(core, request, core.options.region))
            except CloudMapError:
                # Somebody else may have made it a moment before: then it is there to be looked at.
                if services.named(parent, spec.ref.name) is None:
                    raise


async def remove_namespace(core: Core, ref: NamespaceRef) -> None:
    """Remove a namespace; one that is gone is done."""

    def begin() -> Submission | None:
        found = core.state.by_http_name.get(ref.name)
        return namespaces.begin_deletion(core, found) if found else None

    while ref.name in core.state.by_http_name:
        try:
            if begun := await core.exclusive(_soon(begin)):
                await ended(begun)
        except Duplicate as error:
            await asyncio.wait([error.submission.finished])


async def remove_service(core: Core, ref: ServiceRef) -> None:
    """Remove a service; one that is gone is done, with its namespace or without."""

    async def change() -> None:
        parent = core.state.by_http_name.get(ref.namespace.name)
        found = services.named(parent, ref.name) if parent else None
        if found:
            await services.removed(core, found)

    await core.exclusive(change)


async def ended(submission: Submission) -> None:
    """Wait for the end of an operation. Raises RegistryError if that is FAIL, CloudMapError if it was not stored."""
    await asyncio.shield(submission.finished)
    if submission.operation.status == FAIL:
        raise translation.operation_error(submission.operation)


def _soon(begin: Callable[[], Any]) -> Callable[[], Any]:
    """Return what begins an operation as `Core.exclusive` wants it; the lock is let go once it has begun."""

    async def begun() -> Any:
        return begin()

    return begun


def _arriving(core: Core, name: str) -> Submission | None:
    return next((item for record, item in core.state.arriving.values() if record.http_name == name), None)


def _check_may_make(policy: CreationPolicy, what: str) -> None:
    if policy is CreationPolicy.ADOPT:
        raise NotFound(f"There is no {what}, and the creation policy Adopt makes none")


def _may_change(found: Found, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy) -> bool:
    """Whether its settings are this creator's. Raises Conflict where it had to make it."""
    is_own = owns(found.spec.tags, spec.tags, made=found.created_by == creator)
    if not is_own and policy is CreationPolicy.CREATE:
        made_by = f"by {found.created_by!r}" if found.created_by else "by somebody who left no token"
        raise Conflict(f"{found.spec.ref} exists, made {made_by}, and the creation policy is Create", found=found)
    return is_own


def _check_namespace(found: Found, existing: Namespace, spec: NamespaceSpec) -> None:
    if existing.record.type != translation.namespace_type(spec):
        has = found.spec.type if isinstance(found.spec, NamespaceSpec) else ""
        raise Conflict(f"Namespace {spec.ref} exists with type {has}, not {spec.type}", found=found)
    if spec.vpc_id and existing.record.vpc != spec.vpc_id:
        raise Conflict(f"Namespace {spec.ref} exists in VPC {existing.record.vpc}, not {spec.vpc_id}", found=found)


def _check_records(found: Found, spec: ServiceSpec) -> None:
    """Refuse other record types, whoever made it: they decide what an instance must carry."""
    has = found.spec
    if isinstance(has, ServiceSpec) and has.record_types != spec.record_types:
        raise Conflict(f"Service {spec.ref} exists with {_records(has)}, not {_records(spec)}", found=found)


def _check_fixed(found: Found, spec: ServiceSpec) -> None:
    """Refuse to its creator what can be set at creation only. Somebody else's is used as it is."""
    has = found.spec
    if not isinstance(has, ServiceSpec):
        return
    if has.dns and spec.dns and has.dns.routing != spec.dns.routing:
        raise Conflict(f"Service {spec.ref} exists with routing {has.dns.routing}, not {spec.dns.routing}", found=found)
    if (has.health_check is HealthCheckType.CUSTOM) != (spec.health_check is HealthCheckType.CUSTOM):
        raise Conflict(
            f"Service {spec.ref} exists with health check {has.health_check}, not {spec.health_check}", found=found
        )


def _records(spec: ServiceSpec) -> str:
    return f"{' and '.join(sorted(spec.record_types)) or 'no'} records"


async def _update_namespace(core: Core, existing: Namespace, spec: NamespaceSpec) -> None:
    change: dict[str, Any] = {}
    if spec.description != (existing.record.description or ""):
        change["description"] = spec.description
    if existing.record.type != HTTP and spec.soa_ttl_seconds not in {None, existing.record.soa_ttl}:
        change["soa_ttl"] = spec.soa_ttl_seconds
    if change:
        await ended(namespaces.begin_update(core, existing, change))
    await _update_tags(core, existing, spec)


async def _update_service(core: Core, existing: Service, spec: ServiceSpec) -> None:
    change: dict[str, Any] = {}
    if spec.description != (existing.record.description or ""):
        change["description"] = spec.description
    if spec.dns:
        records = tuple((item.type.value, item.ttl_seconds) for item in spec.dns.records)
        if dict(records) != dict(existing.record.records):
            change["records"] = records
    request = {"HealthCheckConfig": check} if (check := translation.check_request(spec)) else {}
    check_now = settings.changed_check(existing.namespace.record, existing.record, request)
    if check_now != existing.record.check:
        change["check"] = msgspec.to_builtins(check_now)
    if change and existing.namespace.record.type != HTTP:
        await ended(services.begin_update(core, existing, change))
    await _update_tags(core, existing, spec)


async def _update_tags(core: Core, existing: Namespace | Service, spec: NamespaceSpec | ServiceSpec) -> None:
    wanted = existing.tags | dict(spec.tags)
    if wanted != existing.tags:
        tags.check_count(core, wanted, str(spec.ref))
        await core.exclusive(lambda: tags.put(core, existing, wanted))
