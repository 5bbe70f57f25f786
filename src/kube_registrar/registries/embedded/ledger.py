"""Asynchronous operations: submitted, made durable, carried out after the simulated delay, ended, kept for a day.

    begin ── SUBMITTED ──(stored: answered)── PENDING ──(its time comes; stored with its effect)── SUCCESS | FAIL

Without a delay the two stores are one commit, so an operation has ended when its answer names it. With a delay, which
only a simulation gives, a process that ends in between goes on with the operation at its next start.

What keeps two operations apart is the mark on their target, `Rules.reserve`. It is set before anything is awaited, in
the same turn of the event loop as the checks, and taken off in the turn in which the end is stored. So a check that
passed still holds when its effect is made, though a commit and other requests lie between.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.simulation import Simulation
from kube_registrar.registries.embedded import ids, storage
from kube_registrar.registries.embedded.state import FAIL, PENDING, SUCCESS, End, Operation, State, Submission
from kube_registrar.registries.embedded.writer import Job, Statement, Writer
from kube_registrar.runtime.clock import Clock

_log = logging.getLogger(__name__)

_PRUNE_EVERY = 1000
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation does when it succeeds: on the disk, then in memory.

    `statements` go into the same commit as the operation's end; `apply` is called once they are durable, in the event
    loop, and must not fail.
    """

    statements: Sequence[Statement]
    apply: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation ends in FAIL: one of the ErrorCodes of Cloud Map's Operation, and a sentence."""

    code: str
    message: str


class Rules(Protocol):
    """What the operations mean; `effects` is it. The ledger knows when something happens, this knows what."""

    def effect(self, state: State, operation: Operation, request: Mapping[str, Any], now_ms: int) -> Effect | Failure:
        """Return what the operation does, were it carried out now."""

    def reserve(self, state: State, submission: Submission) -> None:
        """Mark its target as busy."""

    def release(self, state: State, submission: Submission) -> None:
        """Take the mark off."""


def storage_failed(error: Exception) -> CloudMapError:
    """Return the error for a change that could not be written; it was not made, and asking again is safe.

    The cause (a full disk, most often) is logged too: whoever runs the registry must act, not whoever asked.
    """
    _log.error("the embedded registry could not write: %s", error)
    return CloudMapError("InternalFailure", f"The registry could not store this ({error}); nothing was changed")


class Ledger:
    """All operations, and those under way. Times are milliseconds since 1970, as revisions and ids need them."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        clock: Clock,
        *,
        simulation: Simulation,
        dice: random.Random,
        rules: Rules,
    ) -> None:
        self._state = state
        self._writer = writer
        self._clock = clock
        self._simulation = simulation
        self._dice = dice
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._later: set[asyncio.Task[None]] = set()
        self._ended = 0
        self._closed = False

    def now_ms(self) -> int:
        """Return the time in milliseconds."""
        return int(self._clock.time() * 1000)

    def begin(self, operation_type: str, request: Mapping[str, Any], **targets: str) -> Submission:
        """Submit an operation; `targets` are its namespace_id, service_id, instance_id. All checks are the caller's.

        Returns at once; wait for `accepted` before answering, or for `finished`. Either raises CloudMapError
        InternalFailure if the operation could not be stored; then it never was.
        """
        now = self.now_ms()
        operation = Operation(
            self._state.sequence + 1, ids.operation_id(now), operation_type, now, updated_ms=now, **targets
        )
        submission = self._submission(operation, request)
        self._state.add_operation(operation)
        self._rules.reserve(self._state, submission)
        delay = self._simulation.operation_delay.draw(self._dice)
        try:
            if delay > 0:
                self._accept(submission, delay)
            else:
                self._end(submission, is_new=True)
        except BaseException:
            self._forget(submission)
            raise
        return submission

    def resume(self, unfinished: Sequence[storage.Unfinished]) -> None:
        """Go on with what was under way when the last process ended, each at its own time; what is overdue ends now.

        All targets are marked before the first operation ends: an end may look at the others that are under way.
        """
        submissions = [(self._submission(item.operation, item.request), item.due_ms) for item in unfinished]
        for submission, _ in submissions:
            submission.accepted.set_result(None)
            self._rules.reserve(self._state, submission)
        for submission, due_ms in submissions:
            self._end_later(submission, max(0.0, due_ms / 1000 - self._clock.time()))

    async def close(self) -> None:
        """Wait for nothing: what is under way is stored, and is gone on with at the next start."""
        self._closed = True
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    def _submission(self, operation: Operation, request: Mapping[str, Any]) -> Submission:
        return Submission(operation, request, self._loop.create_future(), self._loop.create_future())

    def _accept(self, submission: Submission, delay: float) -> None:
        """Store that the operation was accepted; its end comes after `delay` seconds."""
        operation = submission.operation
        due_ms = operation.created_ms + int(delay * 1000)

        def committed() -> None:
            operation.status = PENDING
            submission.accepted.set_result(None)
            self._end_later(submission, delay)

        statement = storage.put_operation(operation, End(PENDING, operation.updated_ms), submission.request, due_ms)
        self._writer.submit(Job([statement], committed, lambda error: self._refuse(submission, error)))

    def _end_later(self, submission: Submission, delay: float) -> None:
        if self._closed:
            return

        async def end() -> None:
            await self._clock.sleep(delay)
            self._end(submission, is_new=False)

        task = self._loop.create_task(end())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _end(self, submission: Submission, *, is_new: bool) -> None:
        """Carry the operation out and store how it ended, in one commit.

        An operation that was answered must end: when its end cannot be stored it is tried again, for as long as it
        takes. One that is new is refused instead, and nobody has heard of it.
        """
        operation, now = submission.operation, self.now_ms()
        outcome = self._outcome(submission, now)
        end = End(SUCCESS, now)
        if isinstance(outcome, Failure):
            end = End(FAIL, now, outcome.code, outcome.message)
        if is_new:
            statements = [storage.put_operation(operation, end, submission.request, now)]
        else:
            statements = [storage.end_operation(operation, end)]
        if isinstance(outcome, Effect):
            statements += outcome.statements

        def committed() -> None:
            operation.status, operation.updated_ms, operation.error_code, operation.error_message = end
            if isinstance(outcome, Effect):
                outcome.apply()
            self._settle(submission)

        def failed(error: Exception) -> None:
            if is_new:
                self._refuse(submission, error)
            else:
                storage_failed(error)
                self._end_later(submission, _RETRY_SECONDS)

        self._writer.submit(Job(statements, committed, failed))

    def _outcome(self, submission: Submission, now: int) -> Effect | Failure:
        if self._simulation.late_failure and self._dice.random() < self._simulation.late_failure:
            return Failure("INTERNAL_FAILURE", "This failure was simulated, as `simulate` asks with late-failure")
        return self._rules.effect(self._state, submission.operation, submission.request, now)

    def _settle(self, submission: Submission) -> None:
        self._rules.release(self._state, submission)
        if not submission.accepted.done():
            submission.accepted.set_result(None)
        submission.finished.set_result(None)
        self._ended += 1
        if self._ended % _PRUNE_EVERY == 0:
            self._prune()

    def _refuse(self, submission: Submission, error: Exception) -> None:
        """Undo a submission that could not be stored."""
        self._forget(submission)
        failure = storage_failed(error)
        for future in (submission.accepted, submission.finished):
            future.set_exception(failure)
            future.exception()  # Looked at here: that nobody waits for one of the two is no mistake.

    def _forget(self, submission: Submission) -> None:
        self._rules.release(self._state, submission)
        del self._state.operations[submission.operation.id]
        self._state.log.remove(submission.operation)

    def _prune(self) -> None:
        """Forget old operations, but none that is under way and none after such a one."""
        log, oldest_ms = self._state.log, self.now_ms() - storage.OPERATION_SECONDS * 1000
        surplus = len(log) - storage.OPERATIONS_KEPT
        count = 0
        while count < len(log) and log[count].is_terminal and (count < surplus or log[count].created_ms < oldest_ms):
            count += 1
        if not count:
            return
        statement = storage.forget_operations(log[count - 1].sequence)
        for operation in log[:count]:
            del self._state.operations[operation.id]
        del log[:count]
        self._writer.submit(Job([statement], lambda: None, lambda error: _log.warning("could not prune: %s", error)))
