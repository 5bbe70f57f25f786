"""Hints that somebody else has changed something: blocking queries, and what they find compared with what they found.

A blocking query comes back when an index has risen, or when its time is over; that it comes back promises no change,
and an index that has fallen (a restored snapshot) begins anew. Three are open: for what is declared, for the entries
on this registry's node, and for their checks. Consul's agents repair only what is on their own nodes, and this one has
none, so nothing here is put back behind anybody's back. What this process wrote itself is no hint.

Source: "Blocking queries", Consul HTTP API.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import msgspec

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.registries.consul.client import Client, Operation
from kube_registrar.registries.consul.names import Names, last_of, path_of
from kube_registrar.registries.consul.options import Options
from kube_registrar.registries.consul.shelf import Shelf
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock

WAIT_SECONDS: Final = 55
_GRACE_SECONDS: Final = 10.0
_JITTER: Final = 1 / 16  # what Consul adds to the wait
_PAUSE_SECONDS: Final = 0.5
"""Between two queries, with jitter: a thousand changes in a row are seen in few answers, each of which holds all."""
_HEAR_SECONDS: Final = 0.05
"""What we wrote ourselves may be in the answer to a query before the answer to the write is here."""

Seen = Mapping[str, tuple[str, int]]
"""By id or key: what it is of, and the index at which it was last written."""


class _Service(msgspec.Struct, rename="pascal"):
    id: str = msgspec.field(name="ID")
    service: str
    modify_index: int = 0


class _Services(msgspec.Struct, rename="pascal"):
    services: list[_Service] | None = None


class _Check(msgspec.Struct, rename="pascal"):
    check_id: str = msgspec.field(name="CheckID")
    service_name: str = ""
    modify_index: int = 0


class _Key(msgspec.Struct, rename="pascal"):
    key: str
    modify_index: int = 0


@dataclass(slots=True)
class _Followed:
    """One blocking query: where, how its answer is read, and what this process wrote of it since."""

    path: str
    parameters: Mapping[str, str]
    kind: Any
    seen_in: Callable[[Any], Seen]
    written: dict[str, int] = field(default_factory=dict)
    """The index at which this process wrote it; 0: it removed it."""


class Watch:
    """The hints of one registry. Several may listen; each has queries of its own."""

    def __init__(self, client: Client, options: Options, shelf: Shelf, registry: RegistryName, clock: Clock) -> None:
        self._client = client
        self._shelf = shelf
        self._clock = clock
        self._registry = registry
        self._names = Names(options)
        node = quote(options.node, safe="")
        self._declared = _Followed(path_of(options.prefix), {"recurse": ""}, list[_Key] | None, _seen_keys)
        self._entries = _Followed(f"/v1/catalog/node-services/{node}", {}, _Services | None, _seen_services)
        self._checks = _Followed(f"/v1/health/node/{node}", {}, list[_Check] | None, _seen_checks)
        self._listeners = 0
        self.answered = 0
        """How many queries have had their first answer: what is changed from then on is hinted at."""
        client.on_written = self._wrote

    async def hints(self) -> AsyncIterator[ServiceRef | None]:
        """Yield hints until closed. Errors are waited out: the next answer is compared with the last one."""
        hints: asyncio.Queue[ServiceRef | None] = asyncio.Queue()
        followed = (self._declared, self._entries, self._checks)
        tasks = [
            asyncio.create_task(self._follow(each, hints), name=f"blocking query {each.path}") for each in followed
        ]
        self._listeners += 1
        try:
            while True:
                yield await hints.get()
        finally:
            self._listeners -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, followed: _Followed, hints: "asyncio.Queue[ServiceRef | None]") -> None:
        index, before, backoff = 0, None, Backoff()
        while True:
            try:
                at, now = await self._ask(followed, index)
            except RegistryError:  # what is wrong is said by those who ask for something
                # It may be another server, or another past: an index of before would wait for what never comes.
                index = 0
                await self._clock.sleep(backoff.failed())
                continue
            backoff.succeeded()
            await self._clock.sleep(_HEAR_SECONDS)
            if before is None:
                self.answered += 1
            else:
                for hint in self._hints(followed, before, now, at):
                    hints.put_nowait(hint)
            before, index = now, 0 if at < index else max(at, 1)
            await self._clock.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))

    async def _ask(self, followed: _Followed, index: int) -> tuple[int, Seen]:
        """Return what is there once it is of another index than that, or after a while, and of which."""
        parameters = {**followed.parameters, "index": str(index), "wait": f"{WAIT_SECONDS}s"}
        seconds = WAIT_SECONDS * (1 + _JITTER) + _GRACE_SECONDS
        about = f"watching registry {self._registry}"
        answer = await self._client.read(followed.path, about, parameters, seconds=seconds, kind=followed.kind, tries=1)
        return answer.index, followed.seen_in(answer.json)

    def _hints(self, followed: _Followed, before: Seen, now: Seen, index: int) -> set[ServiceRef | None]:
        """Return what to look at again; `now` is of that index, and what we wrote later is not in it yet."""
        hints = set[ServiceRef | None]()
        names = self._shelf.all_known()
        different = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
        gone = {key for key, own in followed.written.items() if 0 < own <= index and key not in now}
        for key in [key for key, own in followed.written.items() if not own and key not in before.keys() | now.keys()]:
            del followed.written[key]  # it came and went between two answers
        for key in different | gone:
            own = followed.written.get(key)
            name, written = now.get(key) or before.get(key, ("", 0))
            written = written if key in now else 0
            if own is not None and own <= index:
                del followed.written[key]
            if own == written:
                continue
            if followed is self._declared:
                hints |= self._declared_by(key)
            elif followed is self._entries:
                hints |= {names[each] for each in (name or key.partition("/")[0],) if each in names}
            elif name in names:
                hints.add(names[name])
        return {None} if None in hints else hints

    def _declared_by(self, key: str) -> set[ServiceRef | None]:
        """Return the registry service that a key is of; None if it is of a namespace, nothing if it is a name."""
        folder, _, _ = key.rpartition("/")
        namespace = NamespaceRef(self._registry, last_of(folder))
        if f"{folder}/" == self._names.services(namespace.name):
            return {ServiceRef(namespace, last_of(key))}
        return {None} if f"{folder}/" == self._names.namespaces() else set()

    def _wrote(self, operations: Sequence[Operation], results: Sequence[Mapping[str, Any]]) -> None:
        """Note what this process wrote itself, if anybody listens."""
        if not self._listeners:
            return
        for operation in operations:
            if _is_removal(operation.get("KV")):
                self._declared.written[operation["KV"]["Key"]] = 0
            elif _is_removal(operation.get("Service")):
                self._entries.written[operation["Service"]["Service"]["ID"]] = 0
        for result in results:
            if "KV" in result:
                self._declared.written[result["KV"]["Key"]] = result["KV"]["ModifyIndex"]
            elif "Service" in result:
                self._entries.written[result["Service"]["ID"]] = result["Service"]["ModifyIndex"]
            elif "Check" in result:
                self._checks.written[result["Check"]["CheckID"]] = result["Check"]["ModifyIndex"]


def _is_removal(operation: Mapping[str, Any] | None) -> bool:
    return operation is not None and operation["Verb"].startswith("delete")


def _seen_keys(found: Sequence[_Key] | None) -> Seen:
    return {each.key: (each.key, each.modify_index) for each in found or ()}


def _seen_services(found: _Services | None) -> Seen:
    return {each.id: (each.service, each.modify_index) for each in (found.services if found else None) or ()}


def _seen_checks(found: Sequence[_Check] | None) -> Seen:
    return {each.check_id: (each.service_name, each.modify_index) for each in found or ()}
