"""Opens the readiness gates of pods that are registered, or that have nothing to register.

A pod is looked at when what it wants changes, when one of its changes is confirmed, and when a service of it was read.
What is decided then is `planning.gate`'s; here it is sent, and sent again if that fails.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound
from kube_registrar.model.instances import Registration
from kube_registrar.model.reasons import GATE_NOT_OPENED, Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import ServiceRef, Uid
from kube_registrar.planning.gate import Closed, Open, Seen, decide, is_waiting
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.wanted import WantedState

WORKERS = 16
"""As many gates are opened at once."""
GRACE_SECONDS = 2.0
"""What `planning.gate.Open.must_last` must have lasted so long: what asks for a pod may be told a moment after it."""
AGAIN_SECONDS = 30.0
"""A gate is looked at again after this long: by then the watch has told that it is open, if it was opened. One that is
closed could wait for something that nobody tells, and a roll-out with it."""
FORBIDDEN = Backoff(first=30.0, most=300.0)
"""How often it is tried while the right is missing: somebody must grant it."""
TELL_AFTER = 4
"""A failure that goes on is told on the pod at its so-manieth time."""

_RIGHT = (
    "Grant the operator the right to patch pods/status, as the ClusterRole kube-registrar-readiness-gate of "
    "deploy/base/rbac.yaml does; it is tried again by itself"
)
_AGAIN = "It is tried again by itself"

_log = logging.getLogger(__name__)


class GateWriter(Protocol):
    """Opens gates; `cluster.gate.PodGates`."""

    async def open(self, pod: Pod, reason: str, message: str) -> None:
        """Set the gate's condition True on this very pod. Raises ApiError."""


@dataclass(slots=True)
class _Gate:
    """One gate that is being opened. Times are monotonic seconds."""

    backoff: Backoff
    not_before: float = 0.0
    lasts_since: float | None = None
    """Since when that is so which must last."""
    is_told: bool = False


@dataclass(slots=True)
class Gates:
    """The gates of all pods. Without a writer nothing is done.

    `see`: what is known of the instance of a registration. `observes_all`: see `planning.gate.decide`; it is
    false while a registry was not tried to be read. `is_reading`: whether something that is asked for in a Kubernetes
    namespace has not been read yet, so that it cannot be told that a pod there wants nothing.
    """

    wanted: WantedState
    see: Callable[[Registration], Seen]
    writer: GateWriter | None
    reporter: Reporter
    clock: Clock
    draw: random.Random
    observes_all: Callable[[], bool] = lambda: False
    is_reading: Callable[[str], bool] = lambda _namespace: False
    _queue: KeyedQueue[Uid] = field(init=False)
    _waiting: set[Uid] = field(default_factory=set)
    _gates: dict[Uid, _Gate] = field(default_factory=dict)
    _runs: bool = False
    _forbidden: bool = False

    def __post_init__(self) -> None:
        self._queue = KeyedQueue(self.clock)

    async def run(self) -> None:
        """Open gates until cancelled."""
        self._runs = self.writer is not None
        for pod in self.wanted.pods.values():
            self.saw(pod)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(WORKERS):
                    tasks.create_task(self._work(), name=f"gates {number}")
        finally:
            self._runs = False
            await self._queue.close()

    @property
    def is_quiet(self) -> bool:
        """Whether no gate is being looked at; one that waits for its next try does not count."""
        return self._queue.is_idle

    # What is told.

    def saw(self, pod: Pod) -> None:
        """Look at a pod that is as it was, or otherwise, or wants something else."""
        if not self._runs:
            return
        if is_waiting(pod):
            self._waiting.add(pod.uid)
            self._queue.add(pod.uid)
        else:
            self.forget(pod.uid)

    def look(self, uid: Uid) -> None:
        """Look at a pod, for something became of one of its registrations."""
        if uid in self._waiting:
            self._queue.add(uid)

    def looked(self, service: ServiceRef) -> None:
        """Look at the pods that want something of a service that was read."""
        if self._waiting:
            for registration in self.wanted.of(service).registrations.values():
                self.look(registration.origin.uid)

    def forget(self, uid: Uid) -> None:
        """Forget a pod that is gone, or whose gate is open."""
        self._waiting.discard(uid)
        self._gates.pop(uid, None)

    # The work.

    async def _work(self) -> None:
        while True:
            async with self._queue.take() as uid:
                try:
                    await self._open(uid)
                except Exception:  # noqa: BLE001 - whatever becomes of one gate, the others are opened
                    _log.exception("opening the readiness gate of pod %s failed unexpectedly; it is tried again", uid)
                    self._queue.add_after(uid, AGAIN_SECONDS)

    def _verdict(self, uid: Uid) -> Open | Closed | None:
        pod = self.wanted.pods.get(uid)
        if pod is None:
            return None
        return decide(pod, self.wanted.wishes.get(uid), self.see, observes_all=self.observes_all())

    async def _open(self, uid: Uid) -> None:
        verdict = self._verdict(uid)
        if verdict is None or self.writer is None:
            return
        if uid not in self._gates:
            self._gates[uid] = _Gate(Backoff(draw=self.draw))
        gate = self._gates[uid]
        wait = self._wait(gate, verdict, self.wanted.pods[uid].namespace)
        if isinstance(verdict, Closed):
            self._queue.add_after(uid, AGAIN_SECONDS)
            return
        if wait > 0.0:
            self._queue.add_after(uid, wait)
            return
        pod = self.wanted.pods[uid]
        try:
            await self.writer.open(pod, verdict.reason, verdict.message)
        except ApiError as error:
            self._failed(pod, gate, error)
        else:
            _log.info("%s: its readiness gate is open (%s): %s", pod.origin, verdict.reason, verdict.message)
            self._forbidden = False
            gate.not_before = self.clock.monotonic() + AGAIN_SECONDS
        if uid in self._waiting:
            self._queue.add_after(uid, gate.not_before - self.clock.monotonic())

    def _wait(self, gate: _Gate, verdict: Open | Closed, namespace: str) -> float:
        """Return the seconds until the gate may be opened."""
        now = self.clock.monotonic()
        wait = gate.not_before - now
        if isinstance(verdict, Closed) or not verdict.must_last:
            gate.lasts_since = None
            return wait
        if gate.lasts_since is None or self.is_reading(namespace):
            gate.lasts_since = now
        return max(wait, gate.lasts_since + GRACE_SECONDS - now)

    def _failed(self, pod: Pod, gate: _Gate, error: ApiError) -> None:
        is_forbidden = isinstance(error, ApiForbidden)
        if is_forbidden and gate.backoff.most != FORBIDDEN.most:
            gate.backoff = Backoff(FORBIDDEN.first, FORBIDDEN.most, draw=self.draw)
        gate.not_before = self.clock.monotonic() + gate.backoff.failed(getattr(error, "after", 0.0))
        if isinstance(error, ApiConflict | ApiNotFound):
            # It is another pod's name by now, or it changed at the same moment: the watch tells which.
            _log.debug("%s: its readiness gate was not opened: %s", pod.origin, error)
            return
        problem = Problem.of(GATE_NOT_OPENED, error=error, next_step=_RIGHT if is_forbidden else _AGAIN)
        if not is_forbidden or not self._forbidden:
            _log.log(logging.WARNING if gate.backoff.failures == 1 else logging.DEBUG, "%s: %s", pod.origin, problem)
        self._forbidden |= is_forbidden
        if not gate.is_told and (is_forbidden or gate.backoff.failures >= TELL_AFTER):
            gate.is_told = True
            self.reporter.gate_not_opened(pod, problem)
