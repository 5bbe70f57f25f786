"""Operations that Cloud Map accepts and carries out later: looked at until they are terminal."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from kube_registrar.model.changes import Urgency
from kube_registrar.model.errors import NotFound, RegistryError, Retryable, Unreachable
from kube_registrar.registries.cloudmap import faults
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.runtime.clock import Clock

LONGEST_POLL_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 300.0
"""After this long without a terminal state an operation's outcome is unknown."""

_GROWTH: Final = 1.35  # an outcome is seen at most a third later than it came
_MOST_TRIES: Final = 5

_log = logging.getLogger(__name__)


class Operations:
    """Looks at operations one by one with GetOperation, in growing intervals."""

    def __init__(self, client: Client, clock: Clock, first_poll_seconds: float) -> None:
        self._client = client
        self._clock = clock
        self._first_poll_seconds = first_poll_seconds

    async def submit(
        self,
        send: Callable[[], Awaitable[Mapping[str, Any]]],
        operation: str,
        about: str,
        urgency: Urgency = Urgency.REGISTER,
    ) -> str:
        """Return the id of the operation that `send` had accepted.

        One operation on a thing is under way at a time: a `DuplicateRequest` that `send` raises as Answered names
        the other one, which is waited for, however it ends, before `send` is called again. Other Answered errors
        pass. Raises Retryable if others keep coming first.
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
                await self._wait_for_the_other(other, about, urgency)
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
        """Return the operation once it succeeded.

        Raises Retryable or Refused by its error code if it failed, Unreachable(doubtful=True) if nobody can tell.
        """
        operation = await self.wait(operation_id, about, urgency)
        if operation["Status"] == "FAIL":
            code, message = operation.get("ErrorCode", ""), operation.get("ErrorMessage", "")
            raise faults.of_operation(code, message, about)
        return operation

    async def wait(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> Mapping[str, Any]:
        """Return the operation once it is terminal, SUCCESS or FAIL; else raise Unreachable(doubtful=True)."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        pause = self._first_poll_seconds
        while True:
            try:
                operation = await self.look(operation_id, about, urgency)
            except NotFound:
                text = f"{about}: Cloud Map no longer knows operation {operation_id}, so what came of it is unknown"
                raise Unreachable(text, doubtful=True) from None
            except RegistryError as error:
                # It goes on whether or not it can be looked at: losing sight of it is no reason to give up early.
                _log.warning("cannot look at operation %s: %s", operation_id, error)
            else:
                if is_terminal(operation):
                    return operation
            if self._clock.monotonic() >= until:
                text = f"{about}: operation {operation_id} is not terminal after {PATIENCE_SECONDS:g} seconds"
                raise Unreachable(text, doubtful=True)
            await self._clock.sleep(pause)
            pause = min(pause * _GROWTH, LONGEST_POLL_SECONDS)

    async def look(self, operation_id: str, about: str, urgency: Urgency = Urgency.REGISTER) -> Mapping[str, Any]:
        """Return the operation as it is now."""
        answer = await self._client.call("GetOperation", {"OperationId": operation_id}, about, urgency=urgency)
        operation: Mapping[str, Any] = answer["Operation"]
        return operation


def is_terminal(operation: Mapping[str, Any]) -> bool:
    """Whether nothing more will come of it."""
    return operation.get("Status") in {"SUCCESS", "FAIL"}
