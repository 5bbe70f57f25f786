"""All changes that wait are one commit (group commit), so many writers share one disk sync.

Statements are executed in the event loop: they take microseconds, and touch what is in memory. The commit, which waits
for the disk, has a thread of its own. Were the statements there too, each of them would let go of the interpreter's
lock and wait for it again, behind whatever the loop does meanwhile: under load that took longer than the disk.

What a change does to memory is done by a callback, in the event loop, in the order of the commits: memory and disk
cannot come apart, whether or not anybody still waits for the answer.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)

Statement = tuple[str, Sequence[object]]

_MOST_JOBS = 128  # a commit; a longer one would keep the loop and the first of them waiting, for no gain


@dataclass(frozen=True, slots=True)
class Job:
    """Statements that stand or fall together, and whom to tell, in the event loop."""

    statements: Sequence[Statement]
    committed: Callable[[], None]
    failed: Callable[[Exception], None]


Told = list[tuple[Job, Exception | None]]


class Writer:
    """Owns the connection from `start` to `close`: the loop has it between commits, the thread has it for a commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._commits: queue.SimpleQueue[tuple[list[Job], Exception | None] | None] = queue.SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._is_started = False
        self._is_busy = False
        self._rests = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="registry-writer", daemon=True)
        self.commits = 0

    def start(self) -> None:
        """Begin to write."""
        self._is_started = True
        self._thread.start()
        self._begin_soon()

    def submit(self, job: Job) -> None:
        """Write this job with the next commit, and with it all that is submitted in the same turn of the event loop."""
        self._waiting.append(job)
        if len(self._waiting) == 1:
            self._begin_soon()

    def _begin_soon(self) -> None:
        if self._is_started and not self._is_busy and self._waiting:
            self._is_busy = True
            self._rests.clear()
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Execute what waits, and have it committed."""
        jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_JOBS))]
        self._commits.put((jobs, self._executed(jobs)))

    async def write(self, statements: Sequence[Statement], apply: Callable[[], None]) -> None:
        """Write, do `apply` in the loop, and return. Raises what stood in the way if nothing was written."""
        done: asyncio.Future[None] = self._loop.create_future()

        def committed() -> None:
            apply()
            if not done.cancelled():
                done.set_result(None)

        def failed(error: Exception) -> None:
            if not done.cancelled():
                done.set_exception(error)

        self.submit(Job(statements, committed, failed))
        await done

    async def close(self) -> None:
        """Write what waits, tell everybody, and end the thread."""
        while self._is_busy:
            await self._rests.wait()
        self._commits.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (begun := self._commits.get()) is not None:
            jobs, failed = begun
            error = failed or self._committed()
            told = self._each_alone(jobs, error) if error else [(job, error) for job in jobs]
            self._loop.call_soon_threadsafe(self._told, told)
        with contextlib.suppress(sqlite3.Error):  # All is committed; a full disk only keeps the WAL long.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _each_alone(self, jobs: Sequence[Job], error: Exception) -> Told:
        """Commit each of them alone after all together failed, so that no job fails for another's sake."""
        if len(jobs) == 1:
            return [(jobs[0], error)]
        return [(job, self._executed([job]) or self._committed()) for job in jobs]

    def _executed(self, jobs: Sequence[Job]) -> Exception | None:
        """Begin a transaction with the statements of all jobs; there is none if it failed."""
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            for job in jobs:
                for sql, parameters in job.statements:
                    execute(sql, parameters)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            return self._rolled_back(error)
        return None

    def _committed(self) -> Exception | None:
        try:
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told; this thread must live
            return self._rolled_back(error)
        self.commits += 1
        return None

    def _rolled_back(self, error: Exception) -> Exception:
        with contextlib.suppress(sqlite3.Error):  # The next BEGIN tells what is wrong.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return error

    def _told(self, told: Told) -> None:
        """Tell of each job how it ended, and go on with what has come meanwhile."""
        for job, error in told:
            try:
                job.committed() if error is None else job.failed(error)
            except Exception:  # noqa: BLE001 - a bug in one must not keep the others from being told
                _log.exception("a change was stored, but not taken over into memory; this is a bug")
        self._is_busy = False
        self._begin_soon()
        if not self._is_busy:
            self._rests.set()
