"""Keeps true what each RegistryService and RegistryNamespace says of itself: counts, and conditions of the engine's.

Every five seconds what should be there is compared with what the watch last told, and only a difference is written. So
whatever erases it, it is there again. Conditions are one list, in which kopf's handlers have theirs: they are merged
into the object as it is now, and written only if it is still that one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kube_registrar.cluster.errors import ApiConflict, ApiForbidden, ApiNotFound, ApiThrottled, ApiUnreachable
from kube_registrar.cluster.status import Condition, StatusAsRead, with_condition
from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import NamespaceRef, ServiceRef, Uid
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Counts, Engine

INTERVAL_SECONDS = 5.0
LONGEST_SECONDS = 60.0
"""An object whose status cannot be written is tried again after this long at the latest."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stand:
    """A condition that an object should have; `status` None: unknown."""

    type: str
    status: bool | None
    problem: Problem


class Standing(Protocol):
    """Says which conditions objects should have. An object has those types of it that are given, and no others."""

    types: frozenset[str]

    def stands(self, thing: CustomObject) -> Sequence[Stand]:
        """Return the conditions of one object, of `types` only."""


class Statuses(Protocol):
    """Where statuses are read and written. Raises KubeRegistrarError; ApiConflict if the object is another one now."""

    async def read(self, kind: str, namespace: str, name: str) -> StatusAsRead:
        """Return the status as it is."""

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        status: Mapping[str, object],
        *,
        resource_version: str | None = None,
    ) -> None:
        """Merge fields into the status."""


@dataclass(frozen=True, slots=True)
class _Desired:
    """What a status should hold. `instances` None: that cannot be told. `types`: the conditions that are ours."""

    generation: int
    instances: Mapping[str, int] | None
    stands: Sequence[Stand]
    types: frozenset[str]

    def counts(self, status: Mapping[str, Any]) -> Mapping[str, object]:
        """Return the fields of counts to write into a status; nothing if they are there."""
        is_there = self.instances is None or status.get("instances") == self.instances
        return {} if is_there else {"instances": self.instances}

    def conditions(self, status: Mapping[str, Any], now: float) -> Sequence[Condition] | None:
        """Return the whole list of conditions to write into a status; None if it is as it should be."""
        there: Sequence[Condition] = status.get("conditions") or []
        gone = self.types - {stand.type for stand in self.stands}
        merged: Sequence[Condition] = [each for each in there if each.get("type") not in gone]
        for stand in self.stands:
            merged = with_condition(
                merged,
                stand.type,
                stand.status,
                reason=stand.problem.reason,
                message=stand.problem.message,
                generation=self.generation,
                now=now,
            )
        return None if merged == there else merged


@dataclass(slots=True)
class StatusWriter:
    """Writes the statuses of all our objects, one after the other."""

    engine: Engine
    catalog: Catalog
    statuses: Statuses
    clock: Clock
    standings: Sequence[Standing] = ()
    _failed: dict[Uid, tuple[Backoff, float]] = field(default_factory=dict)
    """Objects whose status could not be written, and when it is tried again (monotonic seconds)."""
    _is_forbidden: bool = False

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self.clock.sleep(INTERVAL_SECONDS)
            await self.round()

    async def round(self) -> None:
        """Look at every object once, and write where there is something to write."""
        counts = dict(self._counts())
        objects = list(self.catalog.objects())
        present = {thing.uid for thing in objects}
        self._failed = {uid: tried for uid, tried in self._failed.items() if uid in present}
        for thing in objects:
            if not await self._look_after(thing, self._desired(thing, counts)):
                return

    def _desired(self, thing: CustomObject, counts: Mapping[tuple[str, str, str], Counts]) -> _Desired:
        found = counts.get((thing.kind, thing.namespace, thing.name))
        instances = (
            {"wanted": found.wanted, "registered": found.registered, "held": found.held} if found is not None else None
        )
        stands = [stand for standing in self.standings for stand in standing.stands(thing)]
        types = frozenset[str]().union(*(standing.types for standing in self.standings))
        return _Desired(thing.generation, instances, stands, types)

    async def _look_after(self, thing: CustomObject, desired: _Desired) -> bool:
        """Write one object's status, if need be; return False if the others need not be tried now either."""
        now = self.clock.monotonic()
        tried = self._failed.get(thing.uid)
        if tried is not None and tried[1] > now:
            return True
        try:
            await self._write(thing, desired)
        except (ApiConflict, ApiNotFound):
            return True  # somebody else was faster; what came of it is looked at in the next round
        except KubeRegistrarError as error:
            backoff = tried[0] if tried else Backoff(first=INTERVAL_SECONDS, most=LONGEST_SECONDS)
            self._failed[thing.uid] = (backoff, now + backoff.failed())
            self._say(thing, error)
            # It may be this object alone, so in the next round the others come first.
            return not isinstance(error, ApiUnreachable | ApiThrottled)
        self._failed.pop(thing.uid, None)
        return True

    async def _write(self, thing: CustomObject, desired: _Desired) -> None:
        where = (thing.kind, thing.namespace, thing.name)
        if desired.conditions(thing.status, self.clock.time()) is None:
            fields = desired.counts(thing.status)
            if fields:
                await self.statuses.patch(*where, fields)
            return
        read = await self.statuses.read(*where)
        if read.uid != thing.uid:
            return  # another object of that name, which the watch has yet to tell
        fields = dict(desired.counts(read.status))
        conditions = desired.conditions(read.status, self.clock.time())
        if conditions is not None:
            fields["conditions"] = conditions
        if fields:
            await self.statuses.patch(*where, fields, resource_version=read.resource_version)

    def _say(self, thing: CustomObject, error: KubeRegistrarError) -> None:
        level = logging.DEBUG
        if isinstance(error, ApiForbidden) and not self._is_forbidden:
            self._is_forbidden, level = True, logging.WARNING
        _log.log(level, "the status of %s %s could not be written: %s", thing.kind, thing.name, error)

    def _counts(self) -> Iterator[tuple[tuple[str, str, str], Counts]]:
        world = self.catalog.world
        of_services: dict[ServiceRef, Counts] = {service: self.engine.counts(service) for service in world.services}
        of_namespaces: dict[NamespaceRef, list[Counts]] = {}
        for service, counts in of_services.items():
            of_namespaces.setdefault(service.namespace, []).append(counts)
        for (namespace, name), declared in world.declared_services.items():
            if declared.ref is not None:
                yield ("RegistryService", namespace, name), of_services.get(declared.ref, Counts(0, 0, 0))
        for ref, objects in world.declared_namespaces.items():
            for declared_namespace in objects:
                yield ("RegistryNamespace", "", declared_namespace.object_name), _sum(of_namespaces.get(ref, []))


def _sum(members: Sequence[Counts]) -> Counts:
    return Counts(sum(c.wanted for c in members), sum(c.registered for c in members), sum(c.held for c in members))
