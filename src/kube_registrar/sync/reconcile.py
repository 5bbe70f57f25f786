"""Keeps one registry true: takes its services from a queue, looks, plans and applies.

Nothing waits for the registry. What a look finds, and what becomes of a change, puts the service back on the queue, so
a slow operation keeps only its own instance waiting, and a slow list nothing that is known already. At most one change
an instance is in flight, and a newer wish replaces one that waits.
"""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import NotFound, RegistryError, Unreachable, Withdrawn
from kube_registrar.model.identity import is_own, origin_of
from kube_registrar.model.instances import Registration, Wanted
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.planning.brake import held_back
from kube_registrar.planning.evidence import ASKED, Cause
from kube_registrar.planning.plan import Plan, is_met, plan, unaccounted
from kube_registrar.planning.policy import restrained
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.brake import Brake
from kube_registrar.sync.circuit import Circuit
from kube_registrar.sync.evidence import EvidenceOfPods
from kube_registrar.sync.guarded import Guarded
from kube_registrar.sync.latency import Latency
from kube_registrar.sync.lateness import Lateness
from kube_registrar.sync.measuring import UNMEASURED, Measures
from kube_registrar.sync.observed import DOUBT_SECONDS, ObservedService, ObservedState
from kube_registrar.sync.outage import Outage
from kube_registrar.sync.outdated import is_outdated, unwished
from kube_registrar.sync.overwriting import without_unseen
from kube_registrar.sync.pushes import LaterLooks
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.second_list import SecondLists
from kube_registrar.sync.wanted import WantedState

KIND = "service"
"""What metrics call the things that are planned here: registry services."""
LOOKS_AT_ONCE = 32
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
    """One registry, its queue of services and the workers on it.

    While its circuit is open nothing is looked at, planned or sent; when it closes, every service is.
    """

    registry: Guarded
    cluster_uid: Uid
    wanted: WantedState
    evidence: EvidenceOfPods
    reporter: Reporter
    clock: Clock
    hears: Hears
    draw: random.Random
    second: SecondLists
    policy: Policy = Policy.SYNC
    straggler_seconds: float = 0.0
    """Services that are first read sooner than this are read once more so long after that: a write of who led before
    may have been on its way."""
    cluster_name: str = ""
    is_unsettled: Callable[[], bool] = lambda: False
    """Whether what is configured has changed and has not reached every pod yet."""
    is_reading: Callable[[str], bool] = lambda _namespace: False
    """Whether something that is newly selected in a Kubernetes namespace has not been read yet."""
    is_checked: Callable[[ServiceRef], bool] = lambda _service: False
    """Whether the registry makes health checks of its own for the instances of a service."""
    is_custom: Callable[[ServiceRef], bool] = lambda _service: False
    """Whether the health of a service's instances is set by us."""
    latency: Latency = field(default_factory=lambda: Latency(lambda: 0.0, lambda *_: None))
    measures: Measures = UNMEASURED
    observed: ObservedState = field(init=False)
    brake: Brake = field(init=False)
    queue: KeyedQueue[ServiceRef] = field(init=False)
    last_look: float | None = None
    """When a service was last read in full, seconds since 1970."""
    _outage: Outage = field(init=False)
    _lateness: Lateness = field(init=False)
    _running_since: float | None = None
    _surprises: dict[ServiceRef, Backoff] = field(default_factory=dict)
    _blocked: set[ServiceRef] = field(default_factory=set)
    """Services in which a registration waits for an address."""
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _looking: dict[ServiceRef, asyncio.Task[None]] = field(default_factory=dict)
    _later: LaterLooks = field(init=False)
    _began: float = math.inf
    _settled: set[ServiceRef] = field(default_factory=set)
    _looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOOKS_AT_ONCE))

    def __post_init__(self) -> None:
        self.observed = ObservedState(self.cluster_uid, self.draw, self.cluster_name)
        self.queue = KeyedQueue(self.clock, lambda seconds: self.measures.waited(KIND, seconds))
        self.brake = Brake(
            self.registry.name,
            self.observed,
            self.evidence,
            self.second,
            self.reporter,
            self.clock,
            self.is_unsettled,
            self.is_reading,
        )
        self._outage = Outage(self.registry.name, self.reporter)
        self._lateness = Lateness(self.is_checked)
        self._later = LaterLooks(self.straggler_seconds, self.is_custom)

    @property
    def circuit(self) -> Circuit:
        """Whether the registry is asked at all."""
        return self.registry.circuit

    async def run(self) -> None:
        """Work until cancelled. Changes that are on their way then are left to the registry; nothing is undone."""
        self._began = self._running_since = self._later.began = self.clock.monotonic()
        self.circuit.begin(self._opened, self._closed)
        try:
            while True:
                async with self.queue.take() as service:
                    self._work(service)
                await asyncio.sleep(0)  # a plan takes milliseconds, and there may be hundreds: others want to run too
        finally:
            self._running_since = None
            self.circuit.end()
            await self.queue.close()
            tasks = [*self._sending, *self._looking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is queued, worked on or in flight; what waits for its next try does not count."""
        return self.queue.is_idle and not self._sending and not self._looking

    @property
    def is_looking(self) -> bool:
        """Whether a service waits for being read in full, or for its plan."""
        return bool(self._looking or not self.queue.is_idle)

    @property
    def stuck_seconds(self) -> float:
        """How long a service has waited for the worker, which takes them in no time; 0 while there is no worker."""
        if self._running_since is None or self.circuit.is_open:
            return 0.0
        return min(self.queue.oldest_seconds, self.clock.monotonic() - self._running_since)

    def _opened(self) -> None:
        """The registry does not answer: have those told who wait."""
        for service in self._wanted_services():
            self.queue.add(service)

    def _closed(self) -> None:
        """The registry answers again: nothing waits for its next try any more, and what it holds is looked up."""
        self._outage.over()
        now = self.clock.monotonic()
        for service in self.observed.services():
            self.observed.of(service).retry(now)
            self.queue.add(service)
        for service in self._wanted_services():
            self.queue.add(service)

    def _wanted_services(self) -> Sequence[ServiceRef]:
        return [each for each in self.wanted.services() if each.namespace.registry == self.registry.name]

    def _work(self, service: ServiceRef) -> None:
        began, result = self.clock.monotonic(), "ok"
        try:
            self._reconcile(self.observed.of(service))
            self._surprises.pop(service, None)
        except Exception:  # noqa: BLE001 - one service's surprise must not stop the others
            _log.exception("reconciling %s failed unexpectedly; it is tried again", service)
            result = "error"
            backoff = self._surprises.setdefault(service, Backoff(draw=self.draw))
            self.queue.add_after(service, backoff.failed())
        self.measures.reconciled(KIND, result, self.clock.monotonic() - began)

    def _reconcile(self, state: ObservedService) -> None:
        service, now = state.service, self.clock.monotonic()
        if self.circuit.is_open:
            self._outage.waits(self._missing(state), self.circuit.error)
            return  # it comes again when the circuit closes
        if state.look_at <= now:
            self._begin_look(state)
        if state.is_readable:
            self._plan(state)
        elif service not in self._looking:
            self.queue.add_after(service, state.look_at - now)

    def _begin_look(self, state: ObservedService) -> None:
        service = state.service
        if service not in self._looking:
            state.begin_list()
            self._looking[service] = asyncio.create_task(self._look(state), name=f"look at {service}")

    def _missing(self, state: ObservedService) -> Sequence[Registration]:
        """Return what is wanted of a service and is not known to be there."""
        wanted = self.wanted.of(state.service).registrations
        there = state.instances
        return [r for i, r in wanted.items() if not is_met(r, there.get(i))]

    async def _look(self, state: ObservedService) -> None:
        """Read the service in full, and have it planned anew."""
        service, asked_at = state.service, self.clock.monotonic()
        try:
            async with self._looks:
                if self.circuit.is_open:
                    state.abandon_list(asked_at)
                    return
                asked_at = self.clock.monotonic()
                listed = await self.registry.instances(service)
        except NotFound:
            self.observed.forget(service)
            self.hears.vanished(service)
            return
        except Exception as error:  # noqa: BLE001 - a backend's mistake costs its own service only
            self._not_read(state, error)
        else:
            self._looked_at(state, asked_at, state.end_list(listed, asked_at, self.clock.monotonic()))
        finally:
            del self._looking[service]
        self.queue.add(service)

    def _looked_at(self, state: ObservedService, asked_at: float, made: Sequence[Change]) -> None:
        service = state.service
        self.last_look = self.clock.time()
        state.look_by(self._later.after(service, asked_at))
        self._note_strangers(state, asked_at)
        self.reporter.readable(service)
        self.hears.looked(service)
        if state.drift:
            self.measures.drifted(self.registry.name, state.drift)
            self.reporter.drifted(service, state.drift)
        for change in made:
            self._confirmed(service, change)
            self.reporter.outcome(service, Outcome(change))

    def _note_strangers(self, state: ObservedService, asked_at: float) -> None:
        """Note who appeared since a list that was read when nothing that a predecessor sent could land any more."""
        if asked_at > self._began + DOUBT_SECONDS:
            if state.service in self._settled:
                self.brake.strangers |= {(state.service, each) for each in state.appeared}
            self._settled.add(state.service)

    def _confirmed(self, service: ServiceRef, change: Change) -> None:
        if isinstance(change, Register):
            self.latency.confirmed(service, change.instance_id)

    def _not_read(self, state: ObservedService, error: Exception) -> None:
        if isinstance(error, RegistryError):
            state.fail_list(error, self.clock.monotonic())
            self.reporter.unreadable(state.service, error)
        else:
            _log.error("registry %s broke its contract", self.registry.name, exc_info=error)
            state.fail_list(None, self.clock.monotonic())

    def _plan(self, state: ObservedService) -> None:
        # Nothing is awaited here: what is planned on must still be so when it is sent.
        service, now = state.service, self.clock.monotonic()
        wanted = self.wanted.of(service)
        self._withdraw(state, wanted)
        orphans = unaccounted(wanted, state.instances.values(), self.cluster_uid)
        suspects = [origin_of(instance.attributes) for instance in orphans]
        busy = state.busy(wanted.registrations, now)
        self.latency.planned(service, lambda each: each not in busy and self._is_there(state, each))
        made = plan(
            wanted,
            state.instances,
            self.evidence.of(suspects, service),
            closer=self.evidence.closer(orphans, wanted),
            cluster_uid=self.cluster_uid,
            busy=busy,
            moving={origin.uid for origin in suspects if self.hears.is_moving(origin.uid, service)},
            removes=self.policy.removes,
        )
        made = restrained(made, state.instances, self.policy)
        made, braked_until = self.brake.restrain(made, state)
        made = held_back(made, dict.fromkeys(self._resting_on_old_answers(made), ASKED.why))
        made, late_until = self._lateness.restrain(made, service, now)
        made, must_look = without_unseen(made, state)
        state.forget_attempts(wanted.registrations)
        self._blocked.discard(service)
        if made.waiting:
            self._blocked.add(service)
        if made.changes:
            self._send(state, made.changes)
        if must_look and not state.is_look_failed:  # else the next look is due already
            self._begin_look(state)
        if made.conflicts:
            state.look_by(now + LOOK_FOR_FOREIGN_SECONDS)
        look_at = math.inf if service in self._looking else state.look_at  # what a look finds is planned anyway
        # What is withheld stays so, whatever is found out: nothing is asked about it again.
        withheld = {change.origin.uid for change in made.withheld}
        open_questions = [origin for origin in suspects if origin.uid not in withheld]
        asked_until = self.evidence.again_at(open_questions)
        again_at = min(state.next_try(wanted.registrations, now), look_at, asked_until, braked_until, late_until)
        if again_at != math.inf:
            self.queue.add_after(service, max(again_at - now, GATHER_SECONDS))
        self.hears.planned(service, made)
        self.reporter.planned(service, made, state.estranged if made.conflicts else frozenset())
        self.reporter.withheld(service, made, self.policy)

    def _withdraw(self, state: ObservedService, wanted: Wanted) -> None:
        """Take back registers that nobody wishes any more, as far as they were not sent: they would be undone."""
        if taken_back := unwished(state.in_flight, wanted):
            self.registry.withdraw(state.service, taken_back)

    def _resting_on_old_answers(self, made: Plan) -> Iterator[InstanceId]:
        """Yield what would go for what was answered of its pod some time ago; it is asked anew, and planned then."""
        for change in made.changes:
            if not isinstance(change, Deregister) or made.causes[change.instance_id] is Cause.ADDRESS:
                continue
            if self.evidence.refresh(change.origin):
                yield change.instance_id

    def _is_there(self, state: ObservedService, instance_id: InstanceId) -> bool:
        found = state.instances.get(instance_id)
        return found is not None and is_own(found.attributes, self.cluster_uid)

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
        if isinstance(outcome.error, Withdrawn):
            state.withdrawn(outcome.change)
            self.queue.add(service)
            return
        attempt = state.take(outcome, now)
        if attempt is not None:
            self.queue.add_after(service, max(attempt.not_before - now, GATHER_SECONDS))
        instance_id = outcome.change.instance_id
        wish, there = self.wanted.registration(service, instance_id), state.instances.get(instance_id)
        if is_outdated(outcome, wish, there, is_blocked=service in self._blocked):
            self.queue.add(service)
        self.hears.changed(service, outcome)
        if outcome.error is None:
            self._confirmed(service, outcome.change)
        if attempt is not None and attempt.is_unclear and attempt.backoff.failures == 1:
            self.reporter.unclear(service, outcome)
        else:
            self.reporter.outcome(service, outcome)
