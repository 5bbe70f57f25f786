"""Making changes: each batch one transaction, guarded by what was read, and never in doubt for longer than need be.

A register is guarded by what was listed, too: it was planned on that.

A transaction whose answer is lost may have been made, or be made yet: its request may wait in a member that is stopped.
Every transaction of ours is guarded by the revision of its service's key. So that key is written anew, as it is, by
another transaction: after that no older one can be made any more, and what is read then is the truth. Only where that
cannot be done in time is the outcome doubtful; then it is done before the next change of the service.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import RegistryError, Retryable, Unreachable
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.etcd import records, steps, wire
from kube_registrar.registries.etcd.client import Client
from kube_registrar.registries.etcd.faults import Failed, Kind
from kube_registrar.registries.etcd.layout import Layout, name_in
from kube_registrar.registries.etcd.leases import Lease
from kube_registrar.registries.etcd.lists import Lists
from kube_registrar.registries.etcd.records import InstanceRecord, ServiceRecord
from kube_registrar.registries.etcd.steps import Seen, Step, Steps
from kube_registrar.registries.etcd.tracks import Tracks
from kube_registrar.registries.etcd.wire import Entry, Guard, Op, Page
from kube_registrar.registries.versions import overtaken

_TRIES: Final = 10
"""How often a transaction is tried whose guards did not hold, because somebody else wrote in between."""


class Changes:
    """Changes instances."""

    def __init__(self, client: Client, layout: Layout, lists: Lists, lease: Lease, tracks: Tracks) -> None:
        self._client = client
        self._layout = layout
        self._lists = lists
        self._lease = lease
        self._tracks = tracks
        self._versions = lists.versions
        self._doubts: dict[ServiceRef, int] = {}
        """Services in which a transaction of ours may be made yet, and the number of the last such."""
        self._numbers = itertools.count()

    async def made(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncGenerator[Outcome]:
        """Make them, batch by batch, and yield the outcomes."""
        fit = []
        for change in changes:
            if error := steps.refused(change):
                yield Outcome(change, error)
            else:
                fit.append(change)
        for batch in steps.batches(fit):
            try:
                errors = await self._batch(service, batch)
            except RegistryError as error:
                errors = {change.instance_id: error for change in batch}
            for change in batch:
                yield Outcome(change, errors.get(change.instance_id))

    async def republish(self, service: ServiceRef) -> None:
        """Bring what CoreDNS reads to the service's settings, which have changed. RegistryError."""
        about = f"publishing the instances of {service}"
        for _ in range(_TRIES):
            seen = await self._seen(service, (), about)
            if seen.service is None or seen.entry is None or not seen.service.unpublished:
                return
            if await self._republished(service, seen, about):
                done = records.written(msgspec.structs.replace(seen.service, unpublished=False))
                guards = [wire.unchanged(seen.entry.key, seen.service_modified)]
                if await self._committed(service, guards, [wire.put(seen.entry.key, done)], about):
                    return
        raise _outpaced(about)

    async def _republished(self, service: ServiceRef, seen: Seen, about: str) -> bool:
        assert seen.service is not None  # noqa: S101 - the caller looked
        deciding = Steps(self._layout, service, await self._lease.id())
        spec = seen.service.spec(service)
        entries = await self._lists.entries(service)
        for first in range(0, len(entries), steps.MOST_CHANGES):
            some = entries[first : first + steps.MOST_CHANGES]
            guards = [self._guard(service, seen), *(wire.unchanged(each.key, each.modified) for each in some)]
            ops = [
                op
                for each in some
                for op in deciding.published(spec, InstanceId(name_in(each.key)), records.read(each, InstanceRecord))
            ]
            if ops and not await self._committed(service, guards, ops, about):
                return False
        return True

    async def _batch(self, service: ServiceRef, batch: Sequence[Change]) -> Mapping[InstanceId, RegistryError]:
        """Make changes in one transaction; return the errors of those that cannot be made. RegistryError for all."""
        about = f"changing {_named(batch)} in {service}"
        self._client.check_fence(about)
        for _ in range(_TRIES):
            try:
                await self._resolved(service)
                seen = await self._seen(service, [change.instance_id for change in batch], about)
                deciding = Steps(self._layout, service, await self._lease.id())
                overtaken = self._overtaken(service, batch, seen)
                made = _decided(deciding, [each for each in batch if each.instance_id not in overtaken], seen)
                errors = {**made.errors, **overtaken}
                if not made.ops:
                    return errors
                guards = [self._guard(service, seen), *made.guards]
                if revision := await self._committed(service, guards, made.ops, about):
                    self._wrote(service, made.written, seen, revision)
                    return errors
            except Unreachable as error:
                if not error.doubtful:
                    raise
                await self._resolved(service)  # then the next round finds what became of it
        raise _outpaced(about)

    def _overtaken(
        self, service: ServiceRef, batch: Sequence[Change], seen: Seen
    ) -> Mapping[InstanceId, RegistryError]:
        """Return the errors of registers that would replace what somebody has written since the service was listed."""
        if seen.service is None:
            self._versions.forget(service)
        if not self._versions.is_listed(service):
            return {}
        errors: dict[InstanceId, RegistryError] = {}
        for change in batch:
            held = seen.instances.get(change.instance_id)
            if held is None or not isinstance(change, Register):
                continue
            if _holds(held, change):  # nothing is lost, whoever wrote it
                self._versions.wrote(service, change.instance_id, held.modified)
            elif held.modified != self._versions.of(service, change.instance_id):
                errors[change.instance_id] = overtaken(f"registering {change.instance_id} in {service}")
        return errors

    def _wrote(self, service: ServiceRef, written: Sequence[Change], seen: Seen, revision: int) -> None:
        """Note what is known now; a status alone says nothing of attributes that somebody else has written."""
        for change in written:
            instance_id = change.instance_id
            known = seen.modified(instance_id) == self._versions.of(service, instance_id)
            if known or not isinstance(change, SetHealth):
                self._versions.wrote(service, instance_id, 0 if isinstance(change, Deregister) else revision)

    async def _resolved(self, service: ServiceRef) -> None:
        """Make sure that no transaction of ours is made any more whose answer did not come. Else raise Unreachable."""
        doubt = self._doubts.get(service)
        if doubt is None:
            return
        about, key = f"looking what became of changes in {service}", self._layout.service(service)
        try:
            await self._commit(service, [wire.exists(key)], [wire.touch(key)], about)
        except RegistryError as error:
            raise Unreachable(str(error), doubtful=True) from None
        if self._doubts.get(service) == doubt:  # else another one came up, and may have been sent after this
            del self._doubts[service]

    async def _committed(self, service: ServiceRef, guards: Sequence[Guard], ops: Sequence[Op], about: str) -> int:
        """Try a transaction; return its revision, 0 if its guards did not hold. One that may land is remembered."""
        try:
            return await self._commit(service, guards, ops, about)
        except Failed as failed:
            if failed.fault.kind is not Kind.NO_LEASE:
                raise failed.fault.error from None
            self._lease.is_lost()
            return 0
        except Unreachable as error:
            if error.doubtful:
                self._doubts[service] = next(self._numbers)
            raise
        except asyncio.CancelledError:  # whoever waited for it went away, and it may have been sent
            self._doubts[service] = next(self._numbers)
            raise

    async def _commit(self, service: ServiceRef, guards: Sequence[Guard], ops: Sequence[Op], about: str) -> int:
        with self._tracks.writing(service):
            body = wire.transaction(guards, ops)
            answer = wire.answer(await self._client.write(wire.TRANSACTION, body, about))
            if answer.succeeded:
                self._tracks.made(answer.revision)
        return answer.revision if answer.succeeded else 0

    async def _seen(self, service: ServiceRef, ids: Sequence[InstanceId], about: str) -> Seen:
        asked = [
            wire.one(self._layout.service(service)),
            *(wire.one(self._layout.instance(service, each)) for each in ids),
        ]
        asked += [wire.below(self._layout.shown(service, each), wire.ALL) for each in ids]
        body = wire.transaction((), [wire.get(each) for each in asked])
        pages = wire.answer(await self._client.read(wire.TRANSACTION, body, about)).pages
        return _seen(pages, ids)

    def _guard(self, service: ServiceRef, seen: Seen) -> Guard:
        return wire.unchanged(self._layout.service(service), seen.service_modified)


def _seen(pages: Sequence[Page], ids: Sequence[InstanceId]) -> Seen:
    entry, own, beside = pages[0].first, pages[1 : 1 + len(ids)], pages[1 + len(ids) :]
    found = {each: page.first for each, page in zip(ids, own, strict=True) if page.first}
    shown = {each.key: each for page in beside for each in page.entries}
    return Seen(entry, records.read(entry, ServiceRecord) if entry else None, found, shown)


class _Decided(NamedTuple):
    """What becomes of a batch: errors, what to send, and the changes that write an instance's own key."""

    errors: Mapping[InstanceId, RegistryError]
    ops: Sequence[Op]
    guards: Sequence[Guard]
    written: Sequence[Change]


def _decided(deciding: Steps, batch: Sequence[Change], seen: Seen) -> _Decided:
    errors: dict[InstanceId, RegistryError] = {}
    ops: list[Op] = []
    guards: list[Guard] = []
    written: list[Change] = []
    for change in batch:
        step = _step(deciding, change, seen)
        if isinstance(step, RegistryError):
            errors[change.instance_id] = step
            continue
        ops += step.ops
        guards += step.guards
        if step.writes:
            written.append(change)
    return _Decided(errors, ops, guards, written)


def _holds(held: Entry, change: Register) -> bool:
    """Whether an instance has the attributes that it is to get; what cannot be read is another matter."""
    try:
        return records.read(held, InstanceRecord).attributes == dict(change.instance.attributes)
    except RegistryError:
        return True


def _step(deciding: Steps, change: Change, seen: Seen) -> Step | RegistryError:
    try:
        return deciding.of(change, seen)
    except RegistryError as error:  # what somebody wrote there cannot be read
        return error


def _named(batch: Sequence[Change]) -> str:
    return str(batch[0].instance_id) if len(batch) == 1 else f"{len(batch)} instances"


def _outpaced(about: str) -> RegistryError:
    return Retryable(f"{about}: others change the same, and were first {_TRIES} times", after=0.5)
