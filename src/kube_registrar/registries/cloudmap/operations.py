"""Operations that Cloud Map accepts and carries out later: looked at until they are terminal.

Of many at a time a sweep tells the end; few, and whatever no sweep tells of, are looked at one by one. Each of those
is looked at first when operations have taken their time of late, and then in growing intervals.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from kube_registrar.model.changes import Urgency
from kube_registrar.model.errors import NotFound, RegistryError, Retryable, Unreachable
from kube_registrar.registries.cloudmap import faults
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.sweep import LEAST_SECONDS, Followed, Sweep, has_failed, is_terminal
from kube_registrar.registries.versions import overtaken
from kube_registrar.runtime.clock import Clock

LONGEST_POLL_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 300.0
"""After this long without a terminal state an operation's outcome is unknown."""

_GROWTH: Final = 1.35  # an outcome is seen at most a third later than it came
_MOST_TRIES: Final = 5
_LEARNS: Final = 0.3  # how much the latest operation counts for how long one takes

_log = logging.getLogger(__name__)


class Operations:
    """Tells what became of operations."""

    def __init__(self, client: Client, clock: Clock, sweep: Sweep, first_poll_seconds: float) -> None:
        self._client = client
        self._clock = clock
        self._sweep = sweep
        self._first_poll_seconds = first_poll_seconds
        self._takes_seconds = first_poll_seconds

    async def submit(
        self,
        send: Callable[[], Awaitable[Mapping[str, Any]]],
        operation: str,
        about: str,
        urgency: Urgency = Urgency.REGISTER,
        repeats: Callable[[str], bool] | None = None,
    ) -> str:
        """Return the id of the operation that `send` had accepted.

        One operation on a thing is under way at a time: a `DuplicateRequest` that `send` raises as Answered names
        the other one, which is waited for, however it ends, before `send` is called again; not so after an operation
        for which `repeats` is False: that raises Conflict, for what it has written is to be looked at first. Other
        Answered errors pass. Raises Retryable if others keep coming first.
        """
        for _ in range(_MOST_TRIES):
            try:
                answer = await send()
            except faults.Answered as refusal:
                other = refusal.fields.get("DuplicateOperationId")
                if refusal.code != "DuplicateRequest":
                    raise
                if other is None:
                    raise refusal.as_error(operation, about) from None
                # Now: of an operation that has ended nobody knows whose it was.
                may_repeat = repeats is None or repeats(other)
                await self._wait_for_the_other(other, about, urgency)
                if not may_repeat:
                    raise overtaken(about, other) from None
            else:
                operation_id: str = answer["OperationId"]
                return operation_id
        raise Retryable(f"{about}: somebody else keeps changing the same thing. Look who", after=1.0)

    async def _wait_for_the_other(self, operation_id: str, about: str, urgency: Urgency) -> None:
        try:
            await self.wait(operation_id, f"{about}: waiting for the operation before it", urgency)
        except Unreachable as error:
            # Doubtful is what came of the other operation; ours was not begun.
            raise Retryable(str(error), after=1.0) from None

    async def confirm(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> Mapping[str, Any]:
        """Return the operation, with its targets, once it succeeded.

        Raises Retryable or Refused by its error code if it failed, Unreachable(doubtful=True) if nobody can tell.
        """
        return _succeeded(await self._until_terminal(operation_id, about, urgency, None), about)

    async def settle(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> None:
        """Return once the operation succeeded, which a sweep may tell. Raises as `confirm` does."""
        _succeeded(await self.wait(operation_id, about, urgency), about)

    async def wait(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> Mapping[str, Any]:
        """Return the operation once it is terminal; else raise Unreachable(doubtful=True).

        Of one that succeeded nothing but its status may be known; one that failed says why, if that can be had.
        """
        with self._sweep.following(operation_id) as followed:
            return await self._until_terminal(operation_id, about, urgency, followed)

    async def _until_terminal(
        self, operation_id: str, about: str, urgency: Urgency, followed: Followed | None
    ) -> Mapping[str, Any]:
        """Look until it is terminal; while a sweep watches one that is followed, wait for its word."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        pause = max(self._first_poll_seconds, self._takes_seconds)
        again = max(self._first_poll_seconds, self._takes_seconds / 3)
        while True:
            if followed is None:
                await self._clock.sleep(pause)
            else:
                await self._sweep.told(followed, pause)
                if followed.summary is not None:
                    return await self._details(followed.summary, operation_id, about, urgency)
            if followed is not None and self._sweep.watches(followed):
                pause = LEAST_SECONDS
            else:
                if operation := await self._ended(operation_id, about, urgency):
                    return operation
                pause, again = again, min(again * _GROWTH, LONGEST_POLL_SECONDS)
            if self._clock.monotonic() >= until:
                text = f"{about}: operation {operation_id} is not terminal after {PATIENCE_SECONDS:g} seconds"
                raise Unreachable(text, doubtful=True)

    async def _ended(self, operation_id: str, about: str, urgency: Urgency) -> Mapping[str, Any] | None:
        """Return the operation if it can be seen to be terminal."""
        try:
            operation = await self.look(operation_id, about, urgency)
        except NotFound:
            text = f"{about}: Cloud Map no longer knows operation {operation_id}, so what came of it is unknown"
            raise Unreachable(text, doubtful=True) from None
        except RegistryError as error:
            # It goes on whether or not it can be looked at: losing sight of it is no reason to give up early.
            _log.warning("cannot look at operation %s: %s", operation_id, error)
            return None
        if not is_terminal(operation):
            return None
        self._learn(operation)
        return operation

    async def _details(
        self, summary: Mapping[str, Any], operation_id: str, about: str, urgency: Urgency
    ) -> Mapping[str, Any]:
        """Return what is known of an operation that a sweep has seen the end of: for a failure more than its status."""
        if not has_failed(summary):
            return summary
        try:
            return await self.look(operation_id, about, urgency)
        except RegistryError as error:
            return {**summary, "ErrorMessage": f"why cannot be looked up: {error}"}

    def _learn(self, operation: Mapping[str, Any]) -> None:
        """Learn how long operations take, by Cloud Map's own clock."""
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            took: float = (operation["UpdateDate"] - operation["CreateDate"]).total_seconds()
            usual = self._takes_seconds + _LEARNS * (took - self._takes_seconds)
            self._takes_seconds = min(max(usual, 0.0), LONGEST_POLL_SECONDS)

    async def look(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> Mapping[str, Any]:
        """Return the operation as it is now."""
        answer = await self._client.call("GetOperation", {"OperationId": operation_id}, about, urgency=urgency)
        operation: Mapping[str, Any] = answer["Operation"]
        return operation


def _succeeded(operation: Mapping[str, Any], about: str) -> Mapping[str, Any]:
    """Return it. Raises Retryable or Refused, by its error code, if it failed."""
    if has_failed(operation):
        raise faults.of_operation(operation.get("ErrorCode", ""), operation.get("ErrorMessage", ""), about)
    return operation
