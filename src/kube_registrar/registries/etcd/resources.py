"""Making, adopting, updating and removing registry namespaces and services, each by one guarded transaction."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kube_registrar.model.errors import Conflict, NotFound, RegistryError, Retryable
from kube_registrar.model.ownership import owner_named, owns
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, ServiceSpec, obstacle
from kube_registrar.registries.etcd import records, rules, wire
from kube_registrar.registries.etcd.changes import Changes
from kube_registrar.registries.etcd.client import Client
from kube_registrar.registries.etcd.faults import Failed
from kube_registrar.registries.etcd.layout import Layout
from kube_registrar.registries.etcd.records import NamespaceRecord, ServiceRecord
from kube_registrar.registries.etcd.tracks import Tracks
from kube_registrar.registries.etcd.wire import Entry, Guard, Page
from kube_registrar.registries.port import Found

_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who asks, and what he may do."""

    creator: str
    policy: CreationPolicy


@dataclass(frozen=True, slots=True)
class _Put:
    """What is written where, and what was there when it was read."""

    key: str
    before: Entry | None
    record: NamespaceRecord | ServiceRecord


class Resources:
    """Registry namespaces and registry services."""

    def __init__(self, client: Client, layout: Layout, changes: Changes, tracks: Tracks) -> None:
        self._client = client
        self._layout = layout
        self._changes = changes
        self._tracks = tracks

    async def ensure_namespace(self, spec: NamespaceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make it, use it, or update what is its owner's; see the port."""
        about, key, wish = (
            f"making registry namespace {spec.ref}",
            self._layout.namespace(spec.ref),
            _Wish(creator, policy),
        )
        if spec.arn:
            raise NotFound(f"{about}: there is none of the ARN {spec.arn}, for etcd has no ARNs. Leave spec.arn out")
        self._client.check_fence(about)
        for _ in range(_TRIES):
            (entry,) = await self._read([key], about)
            if entry is None:
                _check_may_make(spec, policy)
                rules.check_namespace(spec)
                record = records.of_namespace(spec, f"ns-{secrets.token_hex(8)}", creator)
            else:
                there = records.read(entry, NamespaceRecord)
                if not _may_change(there.found(spec.ref), spec, wish):
                    return there.found(spec.ref)
                record = _updated_namespace(there, spec)
                if record == there:
                    return there.found(spec.ref)
            if await self._written(about, _Put(key, entry, record)):
                return record.found(spec.ref)
        raise _outpaced(about)

    async def ensure_service(self, spec: ServiceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make it, use it, or update what is its owner's; then what CoreDNS reads follows, before this returns."""
        about, wish = f"making registry service {spec.ref}", _Wish(creator, policy)
        key, parent_key = self._layout.service(spec.ref), self._layout.namespace(spec.ref.namespace)
        self._client.check_fence(about)
        for _ in range(_TRIES):
            parent, entry = await self._read([parent_key, key], about)
            if parent is None:
                raise NotFound(f"{about}: there is no registry namespace {spec.ref.namespace}. Create it first")
            if entry is None:
                _check_may_make(spec, policy)
                rules.check_service(spec, records.read(parent, NamespaceRecord).type)
                record = records.of_service(spec, f"srv-{secrets.token_hex(8)}", creator)
            else:
                there = records.read(entry, ServiceRecord)
                if not _may_change(there.found(spec.ref), spec, wish):
                    return there.found(spec.ref)
                record = _updated_service(there, spec)
                if record == there:
                    return await self._republished(record, spec.ref)
            if await self._written(about, _Put(key, entry, record), [wire.exists(parent_key)]):
                return await self._republished(record, spec.ref)
        raise _outpaced(about)

    async def _republished(self, record: ServiceRecord, ref: ServiceRef) -> Found:
        if record.unpublished:
            await self._changes.republish(ref)
        return record.found(ref)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it if it is empty; what is gone is done. Conflict."""
        about = f"removing {ref}"
        key, inside = (
            (self._layout.service(ref), self._layout.instances(ref))
            if isinstance(ref, ServiceRef)
            else (self._layout.namespace(ref), self._layout.services(ref))
        )
        self._client.check_fence(about)
        then, otherwise = [wire.delete(key)], [wire.get(wire.one(key)), wire.get(wire.below(inside, 1))]
        body = wire.transaction([wire.exists(key), wire.nothing_below(inside)], then, otherwise)
        answer = wire.answer(await self._write(body, about))
        if answer.succeeded:
            self._tracks.made(answer.revision)
            return
        _check_empty(ref, answer.pages)

    async def _read(self, keys: Sequence[str], about: str) -> Sequence[Entry | None]:
        body = wire.transaction((), [wire.get(wire.one(key)) for key in keys])
        pages = wire.answer(await self._client.read(wire.TRANSACTION, body, about)).pages
        return [page.entries[0] if page.entries else None for page in pages]

    async def _written(self, about: str, put: _Put, guards: Sequence[Guard] = ()) -> bool:
        """Write it if nobody wrote it since it was read; return whether that was so."""
        guard = wire.unchanged(put.key, put.before.modified if put.before else 0)
        body = wire.transaction([guard, *guards], [wire.put(put.key, records.written(put.record))])
        answer = wire.answer(await self._write(body, about))
        if answer.succeeded:
            self._tracks.made(answer.revision)
        return answer.succeeded

    async def _write(self, body: Mapping[str, object], about: str) -> Mapping[str, object]:
        try:
            return await self._client.write(wire.TRANSACTION, body, about)
        except Failed as failed:
            raise failed.fault.error from None


def _check_may_make(spec: NamespaceSpec | ServiceSpec, policy: CreationPolicy) -> None:
    if policy is CreationPolicy.ADOPT:
        raise NotFound(f"{spec.ref} is not there, and its creation policy is Adopt. Create it, or change the policy")


def _may_change(found: Found, spec: NamespaceSpec | ServiceSpec, wish: _Wish) -> bool:
    """Whether its settings are those of who asks. Raises Conflict where they keep it from being used, or made."""
    if difference := obstacle(found.spec, spec):
        raise Conflict(f"{spec.ref} exists and {difference}. Choose another name, or ask for the same", found=found)
    is_own = owns(found.spec.tags, spec.tags, made=found.created_by == wish.creator)
    if not is_own and wish.policy is CreationPolicy.CREATE:
        owner = owner_named(found.spec.tags, found.created_by)
        raise Conflict(f"{spec.ref} exists and is of {owner}, and the creation policy is Create", found=found)
    if is_own and isinstance(spec, ServiceSpec) and isinstance(found.spec, ServiceSpec):
        _check_fixed(found.spec, spec, found)
    return is_own


def _check_fixed(there: ServiceSpec, spec: ServiceSpec, found: Found) -> None:
    """Refuse to its owner what is fixed at creation. Somebody else's is used as it is."""
    if there.dns and spec.dns and there.dns.routing != spec.dns.routing:
        text = f"{spec.ref} exists with routing {there.dns.routing}, not {spec.dns.routing}"
        raise Conflict(f"{text}. Choose another name, or ask for the same", found=found)
    if (there.health_check is HealthCheckType.CUSTOM) != (spec.health_check is HealthCheckType.CUSTOM):
        text = f"{spec.ref} exists with health check {there.health_check}, not {spec.health_check}"
        raise Conflict(f"{text}. Choose another name, or ask for the same", found=found)


def _updated_namespace(there: NamespaceRecord, spec: NamespaceSpec) -> NamespaceRecord:
    soa = there.soa_ttl_seconds if spec.soa_ttl_seconds is None else spec.soa_ttl_seconds
    tags = {**there.tags, **spec.tags}
    return msgspec.structs.replace(there, description=spec.description, soa_ttl_seconds=soa, tags=tags)


def _updated_service(there: ServiceRecord, spec: ServiceSpec) -> ServiceRecord:
    tags = {**there.tags, **spec.tags}
    kept = records.records_of(spec)
    changed = dict(kept or ()) != dict(there.records or ())
    return msgspec.structs.replace(
        there,
        description=spec.description,
        records=kept if changed else there.records,
        tags=tags,
        unpublished=there.unpublished or changed,
    )


def _check_empty(ref: NamespaceRef | ServiceRef, pages: Sequence[Page]) -> None:
    own, inside = pages
    if own.entries and inside.entries:
        what = "instances" if isinstance(ref, ServiceRef) else "services"
        raise Conflict(f"{ref} is not empty: it holds {what}. Remove them first", found=inside.entries[0].key)


def _outpaced(about: str) -> RegistryError:
    return Retryable(f"{about}: others change the same, and were first {_TRIES} times", after=0.5)
