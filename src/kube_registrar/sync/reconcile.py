"""Keeps one registry true: workers take its services from a queue, look, plan and apply.

A worker sends and goes on. What becomes of a change comes back as an outcome, so a slow operation keeps only its own
instance waiting; at most one change an instance is in flight, and a newer wish replaces one that waits.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from kube_registrar.model.changes import Change, Outcome, Register
from kube_registrar.model.errors import NotFound, RegistryError, Unreachable
from kube_registrar.model.identity import origin_of
from kube_registrar.model.refs import ServiceRef, Uid
from kube_registrar.planning.compare import is_true_to
from kube_registrar.planning.evidence import Standing
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
UNKNOWN_AGAIN_SECONDS = 30.0
"""An instance without evidence is looked into again after this long."""

_log = logging.getLogger(__name__)


class RegistrySync:
    """One registry, its queue of services and the workers on it."""

    def __init__(
        self,
        registry: Registry,
        *,
        cluster_uid: Uid,
        wanted: WantedState,
        evidence: EvidenceOfPods,
        reporter: Reporter,
        clock: Clock,
    ) -> None:
        self.registry = registry
        self.observed = ObservedState(cluster_uid)
        self.queue: KeyedQueue[ServiceRef] = KeyedQueue(clock)
        self.on_gone: Callable[[ServiceRef], None] = lambda _service: None
        self.on_registered: Callable[[Uid], None] = lambda _origin: None
        self.on_planned: Callable[[ServiceRef, Plan], None] = lambda _service, _plan: None
        self.is_moving: Callable[[Uid], bool] = lambda _origin: False
        self._cluster_uid = cluster_uid
        self._wanted = wanted
        self._evidence = evidence
        self._reporter = reporter
        self._clock = clock
        self._list_backoffs: dict[ServiceRef, Backoff] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled. Changes that are on their way then are left to the registry; nothing is undone."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(WORKERS):
                    workers.create_task(self._work())
        finally:
            self.queue.close()
            for task in self._sending:
                task.cancel()

    async def _work(self) -> None:
        while True:
            async with self.queue.take() as service:
                try:
                    await self._reconcile(service)
                except Exception:  # noqa: BLE001 - one service's surprise must not stop the others
                    _log.exception("reconciling %s failed unexpectedly; it is tried again", service)
                    self._again(service)

    def is_quiet(self) -> bool:
        """Whether nothing is queued, worked on or in flight."""
        return self.queue.is_idle and not self._sending

    async def _reconcile(self, service: ServiceRef) -> None:
        state = self.observed.of(service)
        if state.is_stale and not await self._look(state):
            return
        wanted = self._wanted.of(service)
        suspects = [origin_of(i.attributes) for i in unaccounted(wanted, state.instances.values(), self._cluster_uid)]
        evidence = await self._evidence.of(suspects)
        # No await from here to the sending: what is planned on must still be so when it is sent.
        now = self._clock.monotonic()
        wanted = self._wanted.of(service)
        made = plan(
            wanted,
            state.instances,
            evidence,
            cluster_uid=self._cluster_uid,
            busy=state.busy(wanted.registrations, now),
            moving={origin.uid for origin in suspects if self.is_moving(origin.uid)},
        )
        state.forget_attempts(wanted.registrations)
        self._reporter.planned(service, made)
        if made.changes:
            self._send(state, made.changes)
        self.on_planned(service, made)
        if any(known.standing is Standing.UNKNOWN for known in evidence.values()):
            self.queue.add_after(service, UNKNOWN_AGAIN_SECONDS)
        if state.doubtful:
            state.is_stale = True
            self._again(service)

    async def _look(self, state: ObservedService) -> bool:
        """Read the service in full; return whether it could be read."""
        service = state.service
        state.begin_list()
        started = self._clock.monotonic()
        try:
            listed = await self.registry.instances(service)
        except NotFound:
            state.fail_list()
            self._list_backoffs.pop(service, None)
            self.observed.forget(service)
            self.on_gone(service)
            return False
        except RegistryError as error:
            state.fail_list()
            self._reporter.unreadable(service, error)
            self._again(service, getattr(error, "after", 0.0))
            return False
        state.end_list(listed)
        if not state.doubtful:
            self._list_backoffs.pop(service, None)
        state.settle_doubts(started)
        self._reporter.readable(service)
        return True

    def _again(self, service: ServiceRef, at_least: float = 0.0) -> None:
        backoff = self._list_backoffs.setdefault(service, Backoff())
        self.queue.add_after(service, backoff.failed(at_least))

    def _send(self, state: ObservedService, changes: Sequence[Change]) -> None:
        state.send(changes)
        task = asyncio.create_task(self._apply(state, changes))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _apply(self, state: ObservedService, changes: Sequence[Change]) -> None:
        open_changes = {change.instance_id: change for change in changes}
        try:
            async for outcome in self.registry.apply(state.service, changes):
                open_changes.pop(outcome.change.instance_id, None)
                self._take(state, outcome)
        except Exception as error:  # noqa: BLE001 - a backend that breaks the contract costs its own service only
            _log.exception("registry %s broke its contract while changing %s", self.registry.name, state.service)
            broken = Unreachable(f"the registry's backend failed: {error}", doubtful=True)
            for change in open_changes.values():
                self._take(state, Outcome(change, broken))
            return
        lost = Unreachable("the registry's backend gave no outcome", doubtful=True)
        for change in open_changes.values():
            self._take(state, Outcome(change, lost))

    def _take(self, state: ObservedService, outcome: Outcome) -> None:
        change, service = outcome.change, state.service
        delay = state.take(outcome, self._clock.monotonic())
        self._reporter.outcome(service, outcome)
        if isinstance(outcome.error, NotFound):
            state.is_stale = True  # the service itself may be gone: look before the next try
        if delay is not None:
            self.queue.add_after(service, delay)
        elif not isinstance(change, Register) or self._is_outdated(change, service):
            self.queue.add(service)
        if outcome.error is None and isinstance(change, Register):
            self.on_registered(change.origin.uid)

    def _is_outdated(self, change: Register, service: ServiceRef) -> bool:
        wish = self._wanted.of(service).registrations.get(change.instance_id)
        return wish is None or not is_true_to(change.instance, wish.instance)
