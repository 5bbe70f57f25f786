"""Changes what was shown and agreed to, service by service, each looked at once more just before it is written."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.cli.upkeep.selection import Entry, instances, looked_again
from kube_registrar.model.changes import Change
from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError, Retryable
from kube_registrar.model.refs import InstanceId, RegistryName, ServiceRef, registry_of
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock

BATCH = 100
"""So many of one service are written between two looks at it."""
SERVICES_AT_ONCE = 8
TRIES = 4
"""How often a change is sent that the registry was too busy for."""

ChangeOf = Callable[[Entry], Change]
"""Raises Refused where there can be none."""
Told = Callable[[int], None]
"""Hears how many more instances are dealt with."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance that is as it was, or of which nobody knows; `why` is a sentence for people."""

    entry: Entry
    why: str


@dataclass(slots=True)
class Result:
    """What came of it."""

    done: int = 0
    gone: int = 0
    """They were gone before their turn came."""
    moved: list[Entry] = field(default_factory=list)
    """They were another cluster's by then, and were left."""
    failures: list[Failure] = field(default_factory=list)


async def carry_out(
    registries: Mapping[RegistryName, Registry], entries: Iterable[Entry], change_of: ChangeOf, clock: Clock, told: Told
) -> Result:
    """Make the change of each instance that still is as it was shown. One that fails stops no other."""
    result = Result()
    at_once = asyncio.Semaphore(SERVICES_AT_ONCE)
    by_service: dict[ServiceRef, list[Entry]] = {}
    for entry in entries:
        by_service.setdefault(entry.service, []).append(entry)

    async def work(service: ServiceRef, shown: Sequence[Entry]) -> None:
        async with at_once:
            one = _Service(registries[registry_of(service)], service, change_of, clock, result)
            known = frozenset(entry.instance.id for entry in shown)
            for batch in _batches(shown):
                await one.batch(batch, known)
                told(len(batch))

    async with asyncio.TaskGroup() as group:
        for service, shown in by_service.items():
            group.create_task(work(service, shown))
    result.failures.sort(key=lambda each: (each.entry.service, each.entry.instance.id))
    return result


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), BATCH):
        yield entries[start : start + BATCH]


@dataclass(frozen=True, slots=True)
class _Service:
    """One registry service while it is worked on."""

    registry: Registry
    service: ServiceRef
    change_of: ChangeOf
    clock: Clock
    result: Result

    async def batch(self, shown: Sequence[Entry], known: frozenset[InstanceId]) -> None:
        """Look, write what is as it was shown, and try again what the registry was too busy for."""
        for attempt in range(1, TRIES + 1):
            ready = await self._look(shown, known)
            busy = await self._write(ready, is_last=attempt == TRIES) if ready else {}
            if not busy:
                return
            await self.clock.sleep(max(float(2**attempt) / 2, *busy.values()))
            shown = [entry for entry in shown if entry.instance.id in busy]

    async def _look(self, shown: Sequence[Entry], known: frozenset[InstanceId]) -> Sequence[Entry]:
        try:
            listed = await self.registry.instances(self.service)
        except NotFound:  # the service is gone, and with it all that was in it
            self.result.gone += len(shown)
            return []
        except RegistryError as error:
            self._fail(shown, str(error))
            return []
        found = looked_again(shown, known, listed)
        self.result.gone += len(found.gone)
        self.result.moved += found.moved
        self._fail(found.changed, "it has changed since it was shown: run this again and look")
        if found.newcomers:
            count = instances(len(found.newcomers))
            self._fail(
                found.same, f"{count} of its cluster came to {self.service} meanwhile: make sure that it is dead"
            )
            return []
        return found.same

    async def _write(self, ready: Sequence[Entry], *, is_last: bool) -> Mapping[InstanceId, float]:
        """Return those that the registry was too busy for, or that others write, and how long to wait at least."""
        waiting = {entry.instance.id: entry for entry in ready}
        busy: dict[InstanceId, float] = {}
        async for outcome in self.registry.apply(self.service, self._changes(ready)):
            entry = waiting.pop(outcome.change.instance_id)
            if outcome.error is None:
                self.result.done += 1
            elif isinstance(outcome.error, Retryable | Conflict) and not is_last:
                busy[entry.instance.id] = getattr(outcome.error, "after", 0.0)
            else:
                self._fail([entry], str(outcome.error))
        return busy

    def _changes(self, ready: Sequence[Entry]) -> Sequence[Change]:
        changes = []
        for entry in ready:
            try:
                changes.append(self.change_of(entry))
            except Refused as error:
                self._fail([entry], str(error))
        return changes

    def _fail(self, entries: Iterable[Entry], why: str) -> None:
        self.result.failures += [Failure(entry, why) for entry in entries]
