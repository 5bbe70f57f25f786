"""Keeps true what each RegistryService and RegistryNamespace says of itself: the one loop that writes statuses.

Every five seconds what should be there is compared with what the watch last told, and only a difference is written. So
whatever erases it, it is there again. Conditions are one list, in which kopf's handlers have theirs: they are merged
into the object as it is now, and written only if it is still that one.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kube_registrar.cluster.errors import ApiConflict, ApiForbidden, ApiNotFound, ApiThrottled, ApiUnreachable
from kube_registrar.cluster.status import Condition, StatusAsRead, with_condition
from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import Uid
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog

INTERVAL_SECONDS = 5.0
LONGEST_SECONDS = 60.0
"""An object whose status cannot be written is tried again after this long at the latest."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stand:
    """A condition that an object should have; `status` None: unknown.

    `is_quiet`: it is said only where the object has a condition of this type already. What never held is not denied.
    """

    type: str
    status: bool | None
    problem: Problem
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What an object should say: conditions, and other fields of its status with their whole values (None: absent)."""

    stands: Sequence[Stand] = ()
    fields: Mapping[str, object] = field(default_factory=dict)


Look = Callable[[CustomObject], Said]
"""What was seen in one round: what each object should say, conditions of the provider's `types` only."""


class Standing(Protocol):
    """A provider of what objects should say. An object has those types of it that are given, and no others."""

    @property
    def types(self) -> frozenset[str]:
        """The conditions of which it decides."""

    def look(self) -> Look:
        """Look at how things stand; done once a round."""


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
        """Merge fields into the status: null takes one out."""


@dataclass(frozen=True, slots=True)
class _Desired:
    """What a status should hold. `types`: the conditions that are ours."""

    generation: int
    said: Said
    types: frozenset[str]

    def fields(self, status: Mapping[str, Any]) -> dict[str, object]:
        """Return the fields but conditions to merge into a status; nothing if they are there."""
        wanted = self.said.fields
        return {name: _over(status.get(name), wanted[name]) for name in wanted if status.get(name) != wanted[name]}

    def conditions(self, status: Mapping[str, Any], now: float) -> Sequence[Condition] | None:
        """Return the whole list of conditions to write into a status; None if it is as it should be."""
        there: Sequence[Condition] = status.get("conditions") or []
        types = {each.get("type") for each in there}
        stands = [stand for stand in self.said.stands if not stand.is_quiet or stand.type in types]
        gone = self.types - {stand.type for stand in stands}
        merged: Sequence[Condition] = [each for each in there if each.get("type") not in gone]
        for stand in stands:
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

    catalog: Catalog
    statuses: Statuses
    clock: Clock
    standings: Sequence[Standing]
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
        looks = [standing.look() for standing in self.standings]
        types = frozenset[str]().union(*(standing.types for standing in self.standings))
        objects = list(self.catalog.objects())
        present = {thing.uid for thing in objects}
        self._failed = {uid: tried for uid, tried in self._failed.items() if uid in present}
        for thing in objects:
            desired = _Desired(thing.generation, _all_of([look(thing) for look in looks]), types)
            if not await self._look_after(thing, desired):
                return

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
            fields = desired.fields(thing.status)
            if fields:
                await self.statuses.patch(*where, fields)
            return
        read = await self.statuses.read(*where)
        if read.uid != thing.uid:
            return  # another object of that name, which the watch has yet to tell
        fields = desired.fields(read.status)
        conditions = desired.conditions(read.status, self.clock.time())
        if conditions is not None:
            fields["conditions"] = conditions
        if fields:
            await self.statuses.patch(*where, fields, resource_version=read.resource_version)

    def _say(self, thing: CustomObject, error: KubeRegistrarError) -> None:
        if isinstance(error, ApiForbidden) and not self._is_forbidden:
            self._is_forbidden = True
            _log.warning(
                "not allowed to patch the status of %s %s: grant %ss/status to the service account or user; it is "
                "tried again: %s",
                thing.kind,
                thing.name,
                thing.kind.lower(),
                error,
            )
            return
        _log.debug("the status of %s %s could not be written: %s", thing.kind, thing.name, error)


def _all_of(said: Sequence[Said]) -> Said:
    fields = {name: value for each in said for name, value in each.fields.items()}
    return Said([stand for each in said for stand in each.stands], fields)


def _over(there: object, wanted: object) -> object:
    """Return what to merge so that `wanted` stands where `there` is: a merge patch takes keys out by null only."""
    if not isinstance(there, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    return {**dict.fromkeys(there), **{key: _over(there.get(key), value) for key, value in wanted.items()}}
