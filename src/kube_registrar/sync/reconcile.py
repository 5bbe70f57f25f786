"""Keeps one registry true: workers take its services from a queue, look, plan and apply.

A worker sends and goes on. What becomes of a change comes back as an outcome, so a slow operation keeps only its own
instance waiting; at most one change an instance is in flight, and a newer wish replaces one that waits.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import NotFound, RegistryError, Unreachable
from kube_registrar.model.identity import origin_of
from kube_registrar.model.refs import ServiceRef, Uid
from kube_registrar.planning.compare import is_true_to
from kube_registrar.planning.plan import Plan, plan, unaccounted
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.evidence import EvidenceOfPods
from kube_registrar.sync.observed import ObservedService, ObservedState
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.wanted import WantedState

WORKERS = 32
GATHER_SECONDS = 0.2
"""Next tries and answers that fall due within this time are planned together: a plan looks at the whole service."""
LOOK_FOR_FOREIGN_SECONDS = 60.0
"""Somebody else's instance under an id of ours is looked for again after this long: nobody tells when it goes."""

_log = logging.getLogger(__name__)


class Hears(Protocol):
    """Who follows what becomes of services: the engine. Nothing of it blocks."""

    def is_moving(self, origin: Uid, leaving: ServiceRef) -> bool:
        """Whether what a pod wants instead of its instance in `leaving` is not confirmed yet."""

    def planned(self, service: ServiceRef, made: Plan) -> None:
        """Hear of a plan, also of an empty one."""

    def looked(self, service: ServiceRef) -> None:
        """Hear that a service was read in full."""

    def changed(self, service: ServiceRef, outcome: Outcome) -> None:
        """Hear what became of a change."""

    def vanished(self, service: ServiceRef) -> None:
        """Hear that the registry does not have this service."""


@dataclass(slots=True)
class RegistrySync:
    """One registry, its queue of services and the workers on it."""

    registry: Registry
    cluster_uid: Uid
    wanted: WantedState
    evidence: EvidenceOfPods
    reporter: Reporter
    clock: Clock
    hears: Hears
    draw: random.Random
    observed: ObservedState = field(init=False)
    queue: KeyedQueue[ServiceRef] = field(init=False)
    _surprises: dict[ServiceRef, Backoff] = field(default_factory=dict)
    _blocked: set[ServiceRef] = field(default_factory=set)
    """Services in which a registration waits for an address."""
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.observed = ObservedState(self.cluster_uid, self.draw)
        self.queue = KeyedQueue(self.clock)

    async def run(self) -> None:
        """Work until cancelled. Changes that are on their way then are left to the registry; nothing is undone."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(WORKERS):
                    workers.create_task(self._work())
        finally:
            await self.queue.close()
            sending = list(self._sending)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is queued, worked on or in flight; what waits for its next try does not count."""
        return self.queue.is_idle and not self._sending

    async def _work(self) -> None:
        while True:
            async with self.queue.take() as service:
                try:
                    await self._reconcile(service)
                    self._surprises.pop(service, None)
                except Exception:  # noqa: BLE001 - one service's surprise must not stop the others
                    _log.exception("reconciling %s failed unexpectedly; it is tried again", service)
                    backoff = self._surprises.setdefault(service, Backoff(draw=self.draw))
                    self.queue.add_after(service, backoff.failed())

    async def _reconcile(self, service: ServiceRef) -> None:
        state = self.observed.of(service)
        if state.look_at <= self.clock.monotonic() and not await self._look(state):
            return
        if state.is_readable:
            self._plan(state)
        else:
            self.queue.add_after(service, state.look_at - self.clock.monotonic())

    async def _look(self, state: ObservedService) -> bool:
        """Read the service in full; return whether the registry has it, as far as is known."""
        service, asked_at = state.service, self.clock.monotonic()
        state.begin_list()
        error: RegistryError | None = None
        try:
            listed = await self.registry.instances(service)
        except NotFound:
            self.observed.forget(service)
            self.hears.vanished(service)
            return False
        except RegistryError as failure:
            state.fail_list(failure, self.clock.monotonic())
            self.reporter.unreadable(service, failure)
            return True
        except BaseException:
            state.fail_list(error, self.clock.monotonic())
            raise
        state.end_list(listed, asked_at, self.clock.monotonic())
        self.reporter.readable(service)
        self.hears.looked(service)
        return True

    def _plan(self, state: ObservedService) -> None:
        # Nothing is awaited here: what is planned on must still be so when it is sent.
        service, now = state.service, self.clock.monotonic()
        wanted = self.wanted.of(service)
        suspects = [origin_of(i.attributes) for i in unaccounted(wanted, state.instances.values(), self.cluster_uid)]
        made = plan(
            wanted,
            state.instances,
            self.evidence.of(suspects),
            cluster_uid=self.cluster_uid,
            busy=state.busy(wanted.registrations, now),
            moving={origin.uid for origin in suspects if self.hears.is_moving(origin.uid, service)},
        )
        state.forget_attempts(wanted.registrations)
        self._blocked.discard(service)
        if made.waiting:
            self._blocked.add(service)
        if made.changes:
            self._send(state, made.changes)
        if made.conflicts:
            state.look_by(now + LOOK_FOR_FOREIGN_SECONDS)
        again_at = min(state.next_try(wanted.registrations, now), state.look_at, self.evidence.again_at(suspects))
        if again_at != float("inf"):
            self.queue.add_after(service, max(again_at - now, GATHER_SECONDS))
        self.hears.planned(service, made)
        self.reporter.planned(service, made)

    def _send(self, state: ObservedService, changes: Sequence[Change]) -> None:
        state.send(changes)
        task = asyncio.create_task(self._apply(state, changes))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _apply(self, state: ObservedService, changes: Sequence[Change]) -> None:
        in_flight = {change.instance_id: change for change in changes}
        lost = Unreachable("the registry's backend gave no outcome", doubtful=True)
        try:
            async for outcome in self.registry.apply(state.service, changes):
                change = in_flight.pop(outcome.change.instance_id, None)
                if change is not None:
                    self._take(state, Outcome(change, outcome.error))
        except Exception as error:  # noqa: BLE001 - a backend's mistake costs its own service only
            _log.exception("registry %s broke its contract while changing %s", self.registry.name, state.service)
            lost = Unreachable(f"the registry's backend failed: {error}", doubtful=True)
        for change in in_flight.values():
            self._take(state, Outcome(change, lost))

    def _take(self, state: ObservedService, outcome: Outcome) -> None:
        service, now = state.service, self.clock.monotonic()
        state.take(outcome, now)
        if outcome.error is not None:
            attempt = state.failed[outcome.change.instance_id]
            self.queue.add_after(service, max(attempt.not_before - now, GATHER_SECONDS))
        if self._is_outdated(service, outcome):
            self.queue.add(service)
        self.hears.changed(service, outcome)
        self.reporter.outcome(service, outcome)

    def _is_outdated(self, service: ServiceRef, outcome: Outcome) -> bool:
        """Whether something else can be done now than before: a plan looks at the whole service, so not for nothing."""
        change = outcome.change
        wish = self.wanted.registration(service, change.instance_id)
        match change:
            case Register():
                return wish is None or not is_true_to(change.instance, wish.instance)
            case Deregister():
                return wish is not None or (outcome.error is None and service in self._blocked)
            case _:
                return True
