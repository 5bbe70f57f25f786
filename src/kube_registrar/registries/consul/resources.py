"""Registry namespaces and registry services: made, adopted, updated and removed, each by check-and-set.

Making a service names the index of its namespace's record, and registering an instance that of its service's. So
whoever removes one of these first writes `removing` into its record: nothing can be put into it after that, and what
is in it by then is seen.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from kube_registrar.model.errors import Conflict, NotFound, Retryable
from kube_registrar.model.ownership import owns
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, HealthCheckType, NamespaceSpec, ServiceSpec
from kube_registrar.registries.consul import rules
from kube_registrar.registries.consul.client import Client, RolledBack
from kube_registrar.registries.consul.names import Names
from kube_registrar.registries.consul.reading import Reading
from kube_registrar.registries.consul.records import (
    Claim,
    JsonObject,
    NamespaceRecord,
    ServiceRecord,
    Stored,
    drop,
    put,
    unchanged,
)
from kube_registrar.registries.consul.shelf import Shelf
from kube_registrar.registries.port import Found

_TRIES: Final = 10
"""So often somebody else may write at the same moment."""


class Resources:
    """What `ensure` and `remove` do."""

    def __init__(self, client: Client, names: Names, shelf: Shelf, reading: Reading, registry: RegistryName) -> None:
        self._client = client
        self._names = names
        self._shelf = shelf
        self._reading = reading
        self._registry = registry

    # Registry namespaces.

    async def ensure_namespace(self, spec: NamespaceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make, adopt or update a registry namespace."""
        about = f"making registry namespace {spec.ref}"
        if spec.arn:
            raise NotFound(f"{about}: there is none of the ARN {spec.arn}, for Consul has no ARNs. Leave spec.arn out")
        rules.check_namespace(spec)
        key = self._names.namespace(spec.ref.name)
        for _ in range(_TRIES):
            there = await self._shelf.namespace(spec.ref)
            if there is None:
                _check_may_make(policy, spec)
                record = NamespaceRecord(uuid.uuid4().hex, creator, spec.description, dict(spec.tags))
                if await self._write([put(key, record, 0)], about):
                    return record.found(spec.ref)
                continue
            wanted = _wanted_namespace(there.record, spec, creator, policy)
            if wanted == there.record or await self._write([put(key, wanted, there.index)], about):
                return wanted.found(spec.ref)
        raise _contended(about)

    async def remove_namespace(self, ref: NamespaceRef) -> None:
        """Remove a registry namespace; what is gone is done. Conflict while it holds services."""
        about = f"removing registry namespace {ref}"
        key = self._names.namespace(ref.name)
        for _ in range(_TRIES):
            there = await self._shelf.namespace(ref)
            if there is None:
                return
            marked = msgspec.structs.replace(there.record, removing=True, epoch=there.record.epoch + 1)
            if not await self._write([put(key, marked, there.index)], about):
                continue
            there = await self._shelf.namespace(ref)
            if there is None or there.record != marked:
                continue
            if services := await self._shelf.services(ref):
                await self._write([put(key, _kept(marked), there.index)], about)
                raise Conflict(f"{about}: it holds {len(services)} services. Remove these first", found=len(services))
            if await self._write([drop(key, there.index)], about):
                return
        raise _contended(about)

    # Registry services.

    async def ensure_service(self, spec: ServiceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make, adopt or update a registry service."""
        about = f"making registry service {spec.ref}"
        rules.check_service(spec)
        for _ in range(_TRIES):
            there = await self._shelf.service(spec.ref)
            if there is None:
                made = await self._make_service(spec, creator, policy, about)
                if made is not None:
                    return made.found(spec.ref)
                continue
            wanted = _wanted_service(there.record, spec, creator, policy)
            if wanted == there.record or await self._write([put(there.key, wanted, there.index)], about):
                return wanted.found(spec.ref)
        raise _contended(about)

    async def _make_service(
        self, spec: ServiceSpec, creator: str, policy: CreationPolicy, about: str
    ) -> ServiceRecord | None:
        """Make a service under the first of its names that is free; None where somebody else wrote meanwhile."""
        namespace = await self._shelf.namespace(spec.ref.namespace)
        if namespace is None:
            raise self._shelf.no_namespace(spec.ref.namespace)
        _check_may_make(policy, spec)
        if namespace.record.removing:
            raise Retryable(f"{about}: its namespace is about to be removed", after=1.0)
        name = await self._free_name(spec.ref, about)
        is_checked = spec.health_check is HealthCheckType.CUSTOM
        record = ServiceRecord(uuid.uuid4().hex, creator, name, spec.description, is_checked, dict(spec.tags))
        claim = Claim(spec.ref.namespace.name, spec.ref.name)
        key = self._names.service(spec.ref)
        operations = [
            unchanged(namespace.key, namespace.index),
            put(key, record, 0),
            put(self._names.claim(name), claim, 0),
        ]
        return record if await self._write(operations, about) else None

    async def _free_name(self, ref: ServiceRef, about: str) -> str:
        for name in self._names.wished(ref):
            if await self._shelf.claim(name, about) is None:
                return name
        text = f"{about}: its names in Consul are those of other services. Set the option serviceName, or rename it"
        raise Conflict(text, found=name)

    async def remove_service(self, ref: ServiceRef) -> None:
        """Remove a registry service; what is gone is done. Conflict while it holds instances, whoever's."""
        about = f"removing registry service {ref}"
        for _ in range(_TRIES):
            there = await self._shelf.service(ref)
            if there is None:
                return
            marked = msgspec.structs.replace(there.record, removing=True, epoch=there.record.epoch + 1)
            if not await self._write([put(there.key, marked, there.index)], about):
                continue
            there = await self._shelf.service(ref)
            if there is None or there.record != marked:
                continue
            if entries := await self._reading.entries(ref, marked):
                await self._write([put(there.key, _kept(marked), there.index)], about)
                text = f"{about}: it holds {len(entries)} instances. Have these deregistered first"
                raise Conflict(text, found=len(entries))
            if await self._drop_service(there, about):
                self._shelf.forget(ref)
                self._reading.forget(ref)
                return
        raise _contended(about)

    async def _drop_service(self, there: Stored[ServiceRecord], about: str) -> bool:
        """Remove a service's record, and let its name go."""
        claim: JsonObject = {"KV": {"Verb": "delete", "Key": self._names.claim(there.record.name)}}
        return await self._write([drop(there.key, there.index), claim], about)

    async def renew(self, ref: ServiceRef, about: str) -> Stored[ServiceRecord]:
        """End the validity of every write of instances that may be under way, and return the service. NotFound."""
        for _ in range(_TRIES):
            there = await self._shelf.service(ref)
            if there is None:
                raise self._shelf.no_service(ref)
            record = msgspec.structs.replace(there.record, epoch=there.record.epoch + 1)
            if await self._write([put(there.key, record, there.index)], about):
                found = await self._shelf.service(ref)
                if found is not None:
                    return found
        raise _contended(about)

    async def _write(self, operations: list[JsonObject], about: str) -> bool:
        """Make a transaction; False where somebody else was faster."""
        try:
            await self._client.transact(operations, about)
        except RolledBack as failure:
            stale = [
                what for what in failure.errors.values() if "index is stale" in what or "current modify index" in what
            ]
            gone = [what for what in failure.errors.values() if "doesn't exist" in what]
            if len(stale) + len(gone) < len(failure.errors):
                other = next(what for what in failure.errors.values() if what not in {*stale, *gone})
                raise self._client.faults.of_operation(other, about) from None
            return False
        return True


def _kept(record: NamespaceRecord | ServiceRecord) -> NamespaceRecord | ServiceRecord:
    return msgspec.structs.replace(record, removing=False)


def _contended(about: str) -> Retryable:
    return Retryable(f"{about}: others write there all the time", after=0.5)


def _check_may_make(policy: CreationPolicy, spec: NamespaceSpec | ServiceSpec) -> None:
    if policy is CreationPolicy.ADOPT:
        raise NotFound(f"There is no {spec.ref}, and the creation policy Adopt makes none. Create it, or allow that")


def _wanted_namespace(
    there: NamespaceRecord, spec: NamespaceSpec, creator: str, policy: CreationPolicy
) -> NamespaceRecord:
    """Return what the record is to be. A removal that was never finished is taken back by whoever wants the thing."""
    kept = msgspec.structs.replace(there, removing=False)
    if not _is_own(there.tags, there.found(spec.ref), spec, creator, policy):
        return kept
    return msgspec.structs.replace(kept, description=spec.description, tags=_tagged(there.tags, spec))


def _wanted_service(there: ServiceRecord, spec: ServiceSpec, creator: str, policy: CreationPolicy) -> ServiceRecord:
    found = there.found(spec.ref)
    kept = msgspec.structs.replace(there, removing=False)
    if not _is_own(there.tags, found, spec, creator, policy):
        return kept
    if there.custom_health is not (spec.health_check is HealthCheckType.CUSTOM):
        has = found.spec.health_check if isinstance(found.spec, ServiceSpec) else ""
        text = f"{spec.ref} exists and has the health check {has}, not {spec.health_check}"
        raise Conflict(f"{text}. Ask for the same, or choose another name", found=found)
    return msgspec.structs.replace(kept, description=spec.description, tags=_tagged(there.tags, spec))


def _tagged(there: Mapping[str, str], spec: NamespaceSpec | ServiceSpec) -> dict[str, str]:
    tags = {**there, **spec.tags}
    rules.check_tags(tags, str(spec.ref))
    return tags


def _is_own(
    tags: Mapping[str, str], found: Found, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy
) -> bool:
    """Whether its settings are the creator's to change. Raises Conflict where it had to make it."""
    own = owns(tags, spec.tags, made=found.created_by == creator)
    if not own and policy is CreationPolicy.CREATE:
        text = f"{spec.ref} exists and was made by {found.created_by or 'somebody else'}. Allow adoption, or rename it"
        raise Conflict(text, found=replace(found))
    return own
