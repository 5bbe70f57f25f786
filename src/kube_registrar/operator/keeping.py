"""Keeps what our objects declared as they declared it, once kopf's handlers are done with them.

The lists that the engine reads anyway tell what is gone, what was made anew by others, and which descriptions, times to
live and health checks differ: so looking costs nothing, and only what differs is written. Tags are in no list; they are
read every six hours.

Kopf's timers would do it too, but they put a finalizer on every object.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kube_registrar.cluster.errors import ApiNotFound
from kube_registrar.declared import specs
from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.model.reasons import REPAIRED, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import Uid, registry_of
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.operator import lifecycle
from kube_registrar.operator.context import Context
from kube_registrar.operator.differences import drift
from kube_registrar.operator.standing import Statuses
from kube_registrar.operator.telling import ensured, record
from kube_registrar.operator.verdicts import LATER_SECONDS, status_of
from kube_registrar.registries.port import Found

INTERVAL_SECONDS = 5.0
TAGS_SECONDS = 6 * 3600.0
_AT_ONCE = 4
"""Objects that are looked after at the same time, so that one whose registry is slow delays no other."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """What is remembered of one object."""

    generation: int
    tags_at: float
    """When tags are looked at next, monotonic seconds."""
    seen: Found | None = None
    """What was there after it was looked after last: what cannot be changed is not tried again and again."""
    attempt: int = 0
    retry_at: float | None = None
    """When it is tried again; None: it is as it should be."""


@dataclass(slots=True)
class Keeper:
    """Looks at every object every five seconds, and looks after those that need it."""

    context: Context
    statuses: Statuses
    draw: random.Random = field(default_factory=random.Random)
    _kept: dict[Uid, _Kept] = field(default_factory=dict)
    _busy: set[Uid] = field(default_factory=set)

    async def run(self) -> None:
        """Keep until cancelled."""
        limit = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.context.clock.sleep(INTERVAL_SECONDS)
                for thing, why in self.due():
                    self._busy.add(thing.uid)
                    tasks.create_task(self._look_after(thing, why, limit), name=f"keeping {thing.kind} {thing.name}")

    async def round(self) -> None:
        """Look once, and wait for what comes of it."""
        limit = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._look_after(thing, why, limit) for thing, why in self.due()))

    def due(self) -> list[tuple[CustomObject, str]]:
        """Return the objects that need something now, each with what is not as it should be (empty: who knows)."""
        objects = list(self.context.catalog.objects())
        present = {thing.uid for thing in objects}
        self._kept = {uid: kept for uid, kept in self._kept.items() if uid in present}
        found = [(thing, self._why(thing)) for thing in objects if thing.uid not in self._busy]
        return [(thing, why) for thing, why in found if why is not None]

    def _why(self, thing: CustomObject) -> str | None:
        """Say why an object is due; None if it is not."""
        kept, now = self._kept.get(thing.uid), self.context.clock.monotonic()
        if thing.terminating:
            return None
        if kept is None or kept.generation != thing.generation:
            if not _is_settled(thing):
                return None  # kopf's handlers see to it
            kept = self._kept[thing.uid] = _Kept(thing.generation, now + TAGS_SECONDS * self.draw.uniform(0.9, 1.1))
        if kept.retry_at is not None:
            return "" if kept.retry_at <= now else None
        wanted = wanted_settings(self.context, thing)
        if wanted is None:
            return None
        policy = self.context.withholding.policy(registry_of(wanted.ref))
        there = self.context.catalog.found(wanted.ref)
        if there is None:
            is_gone = policy.makes and self.context.catalog.is_listed(wanted.ref)
            return "it was gone" if is_gone else None
        if kept.seen is not None and _is_same(kept.seen, there):
            return "" if self._tags_are_due(thing, kept, now) and policy.updates else None
        if there.id != thing.status.get("id"):
            return "it was made anew"
        if not policy.updates or not _is_owner(thing):
            return None
        return drift(wanted, there.spec) or ("" if self._tags_are_due(thing, kept, now) else None)

    def _tags_are_due(self, thing: CustomObject, kept: _Kept, now: float) -> bool:
        return kept.tags_at <= now and _is_owner(thing)

    async def _look_after(self, thing: CustomObject, why: str, limit: asyncio.Semaphore) -> None:
        try:
            async with limit:
                await self._ensure(thing, why)
        except ApiNotFound:
            pass  # the object is gone
        except KubeRegistrarError as error:
            self._later(thing)
            _log.debug("the status of %s %s could not be written: %s", thing.kind, thing.name, error)
        except Exception:  # noqa: BLE001 - a mistake of ours in one object costs the others nothing
            self._later(thing)
            _log.exception("looking after %s %s failed; this is a mistake in kube-registrar", thing.kind, thing.name)
        finally:
            self._busy.discard(thing.uid)

    def _later(self, thing: CustomObject) -> None:
        kept = self._kept.get(thing.uid)
        if kept is not None:
            kept.retry_at = self.context.clock.monotonic() + LATER_SECONDS

    async def _ensure(self, thing: CustomObject, why: str) -> None:
        context, kept = self.context, self._kept[thing.uid]
        verdict = await ensured(context, thing, kept.attempt)
        now = context.clock.monotonic()
        kept.attempt = 0 if verdict.ready else kept.attempt + 1
        kept.retry_at = None if verdict.ready else now + (verdict.retry_after or LATER_SECONDS)
        if verdict.found is not None:
            kept.seen = context.catalog.found(verdict.found.spec.ref)
            kept.tags_at = now + TAGS_SECONDS * self.draw.uniform(0.9, 1.1)
        if verdict.ready and verdict.synced is None and verdict.owned_elsewhere is None and why:
            ref = verdict.found.spec.ref if verdict.found else None
            what = lifecycle.described(ref) if ref else thing.name
            record(context, thing, "Normal", Problem.of(REPAIRED, what=what, error=why))
        if not context.writes_statuses:
            return
        read = await self.statuses.read(thing.kind, thing.namespace, thing.name)
        if read.uid != thing.uid:
            return
        status = status_of(verdict, f"{thing.kind} {thing.name}", read.status, thing.generation, context.clock.time())
        if any(read.status.get(name) != value for name, value in status.items()):
            version = read.resource_version
            await self.statuses.patch(thing.kind, thing.namespace, thing.name, status, resource_version=version)


def wanted_settings(context: Context, thing: CustomObject) -> NamespaceSpec | ServiceSpec | None:
    """Return the settings that an object declares, without the tags of its owner; None if it cannot be told."""
    try:
        if thing.kind == "RegistryNamespace":
            spec = specs.registry_namespace(thing)
            return specs.namespace_settings(specs.namespace_ref(spec, thing.name, context.default_registry), spec)
        service = specs.registry_service(thing)
    except specs.InvalidSpec:
        return None
    namespace = context.catalog.namespace_of(service.namespace_ref.name)
    return specs.service_settings(namespace.ref, service, thing.name) if namespace else None


def _is_settled(thing: CustomObject) -> bool:
    ready = _condition(thing, "Ready")
    return thing.status.get("observedGeneration") == thing.generation and ready.get("status") == "True"


def _is_owner(thing: CustomObject) -> bool:
    return _condition(thing, "SettingsOwned").get("status") == "True"


def _condition(thing: CustomObject, type_: str) -> Mapping[str, Any]:
    conditions: Sequence[Mapping[str, Any]] = thing.status.get("conditions") or []  # type: ignore[assignment]
    return next((one for one in conditions if one.get("type") == type_), {})


def _is_same(one: Found, other: Found) -> bool:
    """Whether lists tell the same of both; they tell neither tags nor, some of them, VPCs."""
    return one.id == other.id and not drift(one.spec, other.spec) and not drift(other.spec, one.spec)
