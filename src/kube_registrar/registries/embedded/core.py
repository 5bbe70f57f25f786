"""What every operation works with: the state, the writer, the ledger, and look-ups by id or ARN.

How operations are written, in the modules beside this one:

- A handler `(core, request, region) -> answer` is what the wire asks for (`api.HANDLERS`). Its request was checked
  against the table of shapes; what depends on the state it checks itself, and raises CloudMapError.
- `begin_…` checks and submits an asynchronous operation without awaiting anything in between, so nothing can change
  between the check and the mark that it leaves. The port uses the same functions.
- Synchronous changes (services, tags) check, write and only then are visible; `Core.exclusive` lets in one at a time.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.registries.embedded.ledger import Ledger, storage_failed
from kube_registrar.registries.embedded.options import Options
from kube_registrar.registries.embedded.state import Namespace, Service, State, Submission
from kube_registrar.registries.embedded.writer import Statement, Writer
from kube_registrar.runtime.clock import Clock

Result = TypeVar("Result")


@dataclass(slots=True)
class Core:
    """One open registry. `dice` orders discoveries; tests give their own."""

    options: Options
    state: State
    writer: Writer
    ledger: Ledger
    clock: Clock
    dice: random.Random
    structure: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    checks_made: Counter[str] = field(default_factory=Counter)
    """How many health checks passed, and how many failed."""

    def namespace(self, field_name: str, value: str) -> Namespace:
        """Return a namespace by id or ARN. Raises CloudMapError NamespaceNotFound."""
        identifier = arns.plain_id(field_name, value, "namespace", self.options.account)
        namespace = self.state.namespaces.get(identifier or "")
        if namespace is None:
            raise CloudMapError("NamespaceNotFound", f"There is no namespace {value!r}")
        return namespace

    def service(self, field_name: str, value: str) -> Service:
        """Return a service by id or ARN. Raises CloudMapError ServiceNotFound."""
        identifier = arns.plain_id(field_name, value, "service", self.options.account)
        service = self.state.services.get(identifier or "")
        if service is None or service.closing:
            raise CloudMapError("ServiceNotFound", f"There is no service {value!r}")
        return service

    async def exclusive(self, change: Callable[[], Awaitable[Result]]) -> Result:
        """Make a change of namespaces, services or tags; one at a time, whether or not the caller still waits.

        A caller that is cancelled must not let the next one in before the change is stored and visible: the change
        runs in a task of its own. Instances do not come here: they are the many, and their marks suffice.
        """

        async def locked() -> Result:
            async with self.structure:
                return await change()

        return await asyncio.shield(self.spawn(locked()))

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run work that outlives its caller."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Looked at here: that its caller has gone is no mistake.

    async def write(self, statements: Sequence[Statement], apply: Callable[[], None]) -> None:
        """Store and do `apply`. Raises CloudMapError InternalFailure if nothing was stored."""
        try:
            await self.writer.write(statements, apply)
        except Exception as error:
            raise storage_failed(error) from error

    async def accepted(self, submission: Submission) -> dict[str, Any]:
        """Wait until the operation is durable; return the answer that names it."""
        await asyncio.shield(submission.accepted)
        return {"OperationId": submission.operation.id}


class Duplicate(CloudMapError):
    """DuplicateRequest: an operation is under way for this target. `submission` is what to wait for."""

    def __init__(self, submission: Submission) -> None:
        operation = submission.operation
        super().__init__(
            "DuplicateRequest",
            f"Operation {operation.id} of type {operation.type} is in progress: wait for it, then look again",
            DuplicateOperationId=operation.id,
        )
        self.submission = submission
