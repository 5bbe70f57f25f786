"""Names to ids, remembered: ids are Cloud Map's own, and can recur after a removal."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kube_registrar.model.errors import Conflict, NotFound
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.registries.cloudmap import shapes
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.port import Found


@dataclass(frozen=True, slots=True)
class KnownNamespace:
    """A registry namespace, and the name by which DiscoverInstances knows it."""

    found: Found
    http_name: str


class _Listing:
    """One listing at a time, whose answer counts for all who asked before it began."""

    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0

    async def renew(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Read; but not if, once it is our turn, `is_enough` says that what is known by then will do."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered < mine and not is_enough():
                covered = self._asked
                await self._read()
                self._answered = covered


class Names:
    """The registry namespaces and services that were seen. `forget` what turned out not to be so any more."""

    def __init__(self, client: Client, registry: RegistryName) -> None:
        self._client = client
        self._registry = registry
        self._namespaces: dict[str, list[KnownNamespace]] = {}
        self._pinned: dict[str, KnownNamespace] = {}
        """Those that are meant by their ARN, by name: whatever else has that name."""
        self._services: dict[ServiceRef, Found] = {}
        self._all_namespaces = _Listing(self._list_namespaces)
        self._listings: dict[NamespaceRef, _Listing] = {}
        self._forgotten: set[NamespaceRef | ServiceRef] = set()
        """Since the last list: whoever waited for that list looks again, and does not take what it lacks for gone."""

    async def namespaces(self) -> Sequence[Found]:
        """List all registry namespaces."""
        await self._all_namespaces.renew()
        return tuple(known.found for same_name in self._namespaces.values() for known in same_name)

    async def services(self, parent: NamespaceRef) -> Sequence[Found]:
        """List all services of a registry namespace. NotFound."""
        await self.namespace(parent)
        await self._listing(parent).renew()
        return tuple(found for ref, found in self._services.items() if ref.namespace == parent)

    async def namespace(self, ref: NamespaceRef, *, fresh: bool = False) -> KnownNamespace:
        """Return a registry namespace; `fresh`: as a list begun from now on says. NotFound, Conflict."""
        if fresh or ref.name not in self._namespaces:
            await self._all_namespaces.renew(lambda: not fresh and ref.name in self._namespaces)
        while ref.name not in self._namespaces and ref in self._forgotten:
            await self._all_namespaces.renew(lambda: ref.name in self._namespaces)
        match self._namespaces.get(ref.name, []):
            case []:
                raise NotFound(f"registry namespace {ref} is not there. Create it, or correct the name")
            case [known]:
                return known
            case several:
                ids = ", ".join(sorted(known.found.id for known in several))
                raise Conflict(
                    f"{len(several)} registry namespaces are called {ref}: {ids}. Remove all but one, or use another",
                    found=tuple(known.found for known in several),
                )

    async def service(self, ref: ServiceRef, *, fresh: bool = False) -> Found:
        """Return a registry service; `fresh`: as a list begun from now on says. NotFound, Conflict."""
        if fresh or ref not in self._services:
            await self.namespace(ref.namespace)
            await self._listing(ref.namespace).renew(lambda: not fresh and ref in self._services)
        while ref not in self._services and ref in self._forgotten:
            await self.namespace(ref.namespace)
            await self._listing(ref.namespace).renew(lambda: ref in self._services)
        if ref not in self._services:
            raise NotFound(f"registry service {ref} is not there. Create it, or correct the name")
        return self._services[ref]

    def http_name(self, ref: NamespaceRef) -> str:
        """Return the name by which DiscoverInstances knows a registry namespace, as far as is known: mostly its own."""
        known = self._namespaces.get(ref.name, [])
        return known[0].http_name if len(known) == 1 else ref.name

    def pin(self, found: Found, http_name: str) -> Found:
        """Mean this one, by its ARN, whenever its name is given; return it with its ARN for its id."""
        pinned = _by_arn(found)
        ref = pinned.spec.ref
        before = self._pinned.get(ref.name)
        if before is None or before.found.id != pinned.id:
            self.forget(NamespaceRef(self._registry, ref.name))
        self._pinned[ref.name] = KnownNamespace(pinned, http_name)
        self.learn_namespace(self._pinned[ref.name])
        return pinned

    def owner_account(self, ref: NamespaceRef) -> str | None:
        """Return the account of a namespace that is meant by its ARN."""
        pinned = self._pinned.get(ref.name)
        return account_of(pinned.found.id) if pinned else None

    def service_found(self, parent: NamespaceRef, json: Mapping[str, Any], created_by: str | None = None) -> Found:
        """Return what a Service says; with its ARN for its id where its namespace is meant by its ARN."""
        found = shapes.service_found(parent, json, created_by)
        return _by_arn(found) if parent.name in self._pinned else found

    def learn_namespace(self, known: KnownNamespace) -> None:
        """Remember a registry namespace in place of what was known under its name."""
        self._namespaces[known.found.spec.ref.name] = [known]

    def learn_service(self, found: Found, ref: ServiceRef) -> None:
        """Remember a registry service."""
        self._services[ref] = found

    def forget(self, ref: NamespaceRef | ServiceRef) -> None:
        """Look it up again when it is next needed; with a namespace go its services."""
        self._forgotten.add(ref)
        if isinstance(ref, ServiceRef):
            self._services.pop(ref, None)
        else:
            self._namespaces.pop(ref.name, None)
            self._forget_services(ref)

    def _forget_services(self, parent: NamespaceRef) -> None:
        for ref in [each for each in self._services if each.namespace == parent]:
            del self._services[ref]
            self._forgotten.add(ref)

    def _listing(self, parent: NamespaceRef) -> _Listing:
        return self._listings.setdefault(parent, _Listing(lambda: self._list_services(parent)))

    async def _list_namespaces(self) -> None:
        about = f"listing the registry namespaces of {self._registry}"
        namespaces: dict[str, list[KnownNamespace]] = {}
        for json in await self._client.pages("ListNamespaces", {}, "Namespaces", about):
            known = KnownNamespace(shapes.namespace_found(self._registry, json), shapes.http_name(json))
            namespaces.setdefault(json["Name"], []).append(known)
            pinned = self._pinned.get(json["Name"])
            if pinned is not None and pinned.found.id == known.found.arn:
                self._pinned[json["Name"]] = KnownNamespace(_by_arn(known.found), known.http_name)
        namespaces |= {name: [known] for name, known in self._pinned.items()}
        for name, before in self._namespaces.items():
            after = {known.found.id for known in namespaces.get(name, [])}
            if after != {known.found.id for known in before}:
                # Another one under the same name: its services are others, too.
                self._forget_services(NamespaceRef(self._registry, name))
        self._namespaces = namespaces
        self._forgotten = {ref for ref in self._forgotten if isinstance(ref, ServiceRef)}

    async def _list_services(self, parent: NamespaceRef) -> None:
        listed = await self._services_of(await self.namespace(parent))
        if not listed and await self._is_gone(parent):
            # A list filtered by an id that is gone is empty, not an error; the name may have another id by now.
            self.forget(parent)
            listed = await self._services_of(await self.namespace(parent))
        others = {ref: found for ref, found in self._services.items() if ref.namespace != parent}
        there = {ServiceRef(parent, json["Name"]): self.service_found(parent, json) for json in listed}
        self._services = {**others, **there}
        self._forgotten = {
            ref for ref in self._forgotten if not (isinstance(ref, ServiceRef) and ref.namespace == parent)
        }

    async def _services_of(self, namespace: KnownNamespace) -> Sequence[Mapping[str, Any]]:
        about = f"listing the registry services of {namespace.found.spec.ref}"
        by_namespace = {"Name": "NAMESPACE_ID", "Values": [namespace.found.id], "Condition": "EQ"}
        return await self._client.pages("ListServices", {"Filters": [by_namespace]}, "Services", about)

    async def _is_gone(self, ref: NamespaceRef) -> bool:
        known = await self.namespace(ref)
        try:
            await self._client.call("GetNamespace", {"Id": known.found.id}, f"looking at registry namespace {ref}")
        except NotFound:
            return True
        return False


def account_of(arn: str) -> str | None:
    """Return the account that an ARN names; None for what is no ARN."""
    parts = arn.split(":")
    return parts[4] if arn.startswith("arn:") and len(parts) > 5 else None  # noqa: PLR2004 - arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE


def _by_arn(found: Found) -> Found:
    return replace(found, id=found.arn) if found.arn else found
