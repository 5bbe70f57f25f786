"""A Lease in memory, on a clock that stands still, with a view of it for each candidate: each fails by itself."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from kube_registrar.cluster.election import Elector
from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiNotFound, ApiUnreachable
from kube_registrar.cluster.lease import Lease
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.clock import FakeClock


@dataclass
class Stored:
    """What the API server holds."""

    lease: Lease | None = None
    version: int = 0
    watchers: list[asyncio.Queue[Lease | None]] = field(default_factory=list)

    def put(self, lease: Lease | None) -> None:
        """Write as an administrator would."""
        self.version += 1
        self.lease = replace(lease, body={"version": self.version}) if lease else None
        for queue in self.watchers:
            queue.put_nowait(self.lease)


class View:
    """A `LeaseStore` of one candidate."""

    def __init__(self, stored: Stored, clock: FakeClock) -> None:
        self.stored = stored
        self.clock = clock
        self.seconds = 0.0
        """How long a read or write takes."""
        self.wrote_at = 0.0
        """When the last write was sent that was made."""
        self.calls: list[str] = []
        self.error: ApiError | None = None
        """Raised by reads and writes while it is set; the watch says nothing then."""
        self.hangs = False
        """Reads and writes have no answer while it is set."""
        self.loses_answers = False
        """Writes are made, and have no answer."""
        self.watches = True

    def __str__(self) -> str:
        return "Lease default/test"

    async def _call(self, verb: str) -> None:
        self.calls.append(verb)
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if self.seconds:
            await self.clock.sleep(self.seconds)
        if self.error:
            raise self.error

    async def read(self) -> Lease | None:
        await self._call("read")
        return self.stored.lease

    async def write(self, lease: Lease) -> Lease:
        began = self.clock.monotonic()
        await self._call("write")
        there = self.stored.lease
        if there is None and lease.body:
            raise ApiNotFound("it is gone")
        if there is not None and lease.body != there.body:
            raise ApiConflict("it has changed")
        self.stored.put(lease)
        self.wrote_at = began
        if self.loses_answers:
            raise ApiUnreachable("the answer was lost")
        assert self.stored.lease is not None
        return self.stored.lease

    async def watch(self) -> AsyncGenerator[Lease | None]:
        if not self.watches:
            raise ApiUnreachable("no watch")
        queue: asyncio.Queue[Lease | None] = asyncio.Queue()
        if self.stored.lease is not None:
            queue.put_nowait(self.stored.lease)
        self.stored.watchers.append(queue)
        try:
            while True:
                lease = await queue.get()
                if not self.hangs and not self.error:
                    yield lease
        finally:
            self.stored.watchers.remove(queue)


class Candidate:
    """An elector, its view, its fence, and whether its work runs."""

    def __init__(self, name: str, stored: Stored, clock: FakeClock, seed: int = 0) -> None:
        """`seed`: of the jitter between its attempts."""
        self.view = View(stored, clock)
        self.fence = Fence(clock)
        self.elector = Elector(self.view, name, self.fence, clock, draw=random.Random(f"{name} {seed}"))
        self.leads = False
        self.times = 0
        self.error: Exception | None = None
        self.fails = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def _lead(self) -> None:
        self.leads = True
        self.times += 1
        try:
            await self.fails.wait()
            raise RuntimeError("the work has failed")
        finally:
            self.leads = False

    def start(self) -> None:
        """Take part."""
        self._task = asyncio.create_task(self.elector.run(self._lead))

    async def stop(self) -> None:
        """Stop as a process does that was told to."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def ended(self) -> None:
        """Wait for its end by itself."""
        assert self._task is not None
        task, self._task = self._task, None
        await task

    def dies(self) -> None:
        """Go on unheard and hearing nothing, as one that was killed or cut off."""
        self.view.hangs = True
