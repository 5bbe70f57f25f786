"""What is declared, read from the key-value store; services that were read are remembered."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from kube_registrar.model.errors import Conflict, NotFound
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.registries.consul.client import Client
from kube_registrar.registries.consul.names import Names, path_of
from kube_registrar.registries.consul.records import (
    Claim,
    NamespaceRecord,
    Record,
    ServiceRecord,
    Stored,
    stored,
)
from kube_registrar.registries.port import Found

CONSISTENT = {"consistent": ""}
"""The mode in which the leader asks the other servers whether it still leads before it answers."""

_log = logging.getLogger(__name__)


class Shelf:
    """The records of one registry."""

    def __init__(self, client: Client, names: Names, registry: RegistryName) -> None:
        self._client = client
        self._names = names
        self._registry = registry
        self._services: dict[ServiceRef, Stored[ServiceRecord]] = {}

    # All.

    async def find_namespaces(self) -> Sequence[Found]:
        """Return all registry namespaces."""
        about = f"listing the namespaces of registry {self._registry}"
        records = await self._under(self._names.namespaces(), NamespaceRecord, about)
        return [each.record.found(each.namespace_ref(self._registry)) for each in records]

    async def find_services(self, namespace: NamespaceRef) -> Sequence[Found]:
        """Return all services of one. NotFound if there is no such namespace."""
        there, records = await asyncio.gather(self.namespace(namespace), self.services(namespace))
        if there is None:
            raise self.no_namespace(namespace)
        return [each.record.found(each.service_ref(namespace)) for each in records]

    async def services(self, namespace: NamespaceRef) -> Sequence[Stored[ServiceRecord]]:
        """Return what is under the key of a namespace, whether or not there is such a one."""
        about = f"listing the services of {namespace}"
        records = await self._under(self._names.services(namespace.name), ServiceRecord, about)
        for each in records:
            self._services[each.service_ref(namespace)] = each
        return records

    # One.

    async def namespace(self, ref: NamespaceRef) -> Stored[NamespaceRecord] | None:
        """Return what is declared of a namespace; None if there is none."""
        return await self._one(self._names.namespace(ref.name), NamespaceRecord, f"looking for {ref}")

    async def service(self, ref: ServiceRef) -> Stored[ServiceRecord] | None:
        """Return what is declared of a service; None if there is none."""
        found = await self._one(self._names.service(ref), ServiceRecord, f"looking for {ref}")
        if found is None:
            self.forget(ref)
        else:
            self._services[ref] = found
        return found

    async def claim(self, name: str, about: str) -> Claim | None:
        """Return whose a name of Consul's catalog is; None if it is nobody's of ours."""
        found = await self._one(self._names.claim(name), Claim, about)
        return found.record if found else None

    def known(self, ref: ServiceRef) -> Stored[ServiceRecord] | None:
        """Return what was last read of a service."""
        return self._services.get(ref)

    def all_known(self) -> dict[str, ServiceRef]:
        """Return the services that were read, by their names in Consul."""
        return {each.record.name: ref for ref, each in self._services.items()}

    def forget(self, ref: ServiceRef) -> None:
        """Forget what was read of a service: it is another one by now."""
        self._services.pop(ref, None)

    def no_namespace(self, ref: NamespaceRef) -> NotFound:
        """Return the error for a namespace that is not there."""
        return NotFound(f"Registry {self._registry} has no namespace {ref.name!r}. Create it first")

    def no_service(self, ref: ServiceRef) -> NotFound:
        """Return the error for a service that is not there."""
        return NotFound(f"Namespace {ref.namespace} has no service {ref.name!r}. Create it first")

    async def _one(self, key: str, kind: type[Record], about: str) -> Stored[Record] | None:
        answer = await self._client.read(path_of(key), about, CONSISTENT)
        if not answer.json:
            return None
        try:
            return stored(answer.json[0], kind)
        except ValueError as error:
            raise Conflict(f"{about}: {error}. Restore or delete it") from None

    async def _under(self, prefix: str, kind: type[Record], about: str) -> Sequence[Stored[Record]]:
        """Return all records under a prefix; one that somebody spoilt is left out, and said."""
        answer = await self._client.read(path_of(prefix), about, {**CONSISTENT, "recurse": ""})
        found = list[Stored[Record]]()
        items: Sequence[dict[str, Any]] = answer.json or ()
        for each in items:
            if each["Key"].count("/") > prefix.count("/") or each["Key"].endswith("/"):
                continue  # a folder, or something within one that is not ours
            try:
                found.append(stored(each, kind))
            except ValueError as error:
                _log.warning("%s: %s; it is left out. Restore or delete it", about, error)
        return found
