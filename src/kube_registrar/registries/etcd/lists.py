"""Lists, page by page, all pages as of one revision."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kube_registrar.model.errors import NotFound, Retryable
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.registries.etcd import drift, records, wire
from kube_registrar.registries.etcd.client import Client
from kube_registrar.registries.etcd.faults import Failed, Kind
from kube_registrar.registries.etcd.layout import Layout, name_in
from kube_registrar.registries.etcd.records import ServiceRecord
from kube_registrar.registries.etcd.wire import Entry, Page
from kube_registrar.registries.port import Found
from kube_registrar.registries.versions import Versions

PAGE: Final = 500
"""Keys of a page: instances have about a kilobyte each, so a page is far below any limit."""
_TRIES: Final = 3

_Read = tuple[int, Sequence[Sequence[Entry]]]
"""Keys, and the revision at which they were so."""


class Lists:
    """Reads, by etcd's strongest kind of read: linearizable, so through its leader and a majority."""

    def __init__(self, client: Client, layout: Layout) -> None:
        self._client = client
        self._layout = layout
        self.versions = Versions()
        """By which revision each instance was last written, as far as was listed."""
        self.domains: dict[str, ServiceRef] = {}
        """Where CoreDNS reads the services whose instances were listed."""

    async def namespaces(self) -> Sequence[Found]:
        """Return all registry namespaces."""
        _, (entries,) = await self._all(None, [self._layout.namespaces], "listing the registry namespaces")
        return [records.found_namespace(each, self._client.name) for each in entries]

    async def services(self, parent: NamespaceRef) -> Sequence[Found]:
        """Return all services of a registry namespace. NotFound."""
        about = f"listing the services of {parent}"
        _, (_, entries) = await self._all(self._layout.namespace(parent), [self._layout.services(parent)], about)
        return [records.found_service(each, parent) for each in entries]

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances of a registry service, and of each whether CoreDNS reads the same. NotFound."""
        domain, about = self._layout.domain(service), f"listing the instances of {service}"
        self.domains.pop(domain, None)
        key, prefixes = self._layout.service(service), (self._layout.instances(service), domain)
        try:
            revision, ((own,), entries, shown) = await self._all(key, prefixes, about)
        except NotFound:
            self.versions.forget(service)
            raise
        modified = {InstanceId(name_in(each.key)): each.modified for each in entries}
        self.versions.listed(service, modified, revision)
        record = records.read(own, ServiceRecord)
        if record.records is not None:
            self.domains[domain] = service
        return drift.instances(self._layout, service, record, entries, {each.key: each for each in shown})

    async def registered(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances of a registry service as they are registered. NotFound."""
        return [records.instance_of(each) for each in await self.entries(service)]

    async def entries(self, service: ServiceRef) -> Sequence[Entry]:
        """Return the keys of all instances of a registry service. NotFound."""
        about = f"listing the instances of {service}"
        _, (_, entries) = await self._all(self._layout.service(service), [self._layout.instances(service)], about)
        return entries

    async def _all(self, parent: str | None, prefixes: Sequence[str], about: str) -> _Read:
        """Return what begins with each prefix, at one revision; before that the key `parent`, NotFound without it."""
        for _ in range(_TRIES):
            try:
                return await self._pages(parent, prefixes, about)
            except Failed as failed:
                if failed.fault.kind is not Kind.COMPACTED:
                    raise failed.fault.error from None
        raise Retryable(f"{about}: etcd was compacted during each of {_TRIES} tries. Compact less often", after=1.0)

    async def _pages(self, parent: str | None, prefixes: Sequence[str], about: str) -> _Read:
        own = [] if parent is None else [wire.one(parent)]
        asked = [wire.get(each) for each in (*own, *(wire.below(prefix, PAGE) for prefix in prefixes))]
        answer = wire.answer(await self._client.read(wire.TRANSACTION, wire.transaction((), asked), about))
        if parent is not None and not answer.pages[0].entries:
            raise NotFound(f"{about}: there is no such thing in registry {self._client.name}. Create it first")
        found = [page.entries for page in answer.pages[: len(own)]]
        for prefix, page in zip(prefixes, answer.pages[len(own) :], strict=True):
            found.append(await self._rest(prefix, page, answer.revision, about))
        return answer.revision, found

    async def _rest(self, prefix: str, page: Page, revision: int, about: str) -> Sequence[Entry]:
        """Return a page and all that follow it, as of this revision."""
        found = list(page.entries)
        while page.more:
            following = wire.below(prefix, PAGE, after=found[-1].key, revision=revision)
            page = wire.page(await self._range(following, about))
            found += page.entries
        return found

    async def _range(self, asked: Mapping[str, Any], about: str) -> Mapping[str, Any]:
        return await self._client.read(wire.RANGE, asked, about)
