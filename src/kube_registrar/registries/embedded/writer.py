"""One thread that writes: all changes that wait are one commit (group commit), so many writers share one disk sync.

What a change does to memory is done by a callback, in the event loop, in the order of the commits: memory and disk
cannot come apart, whether or not anybody still waits for the answer.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)

Statement = tuple[str, Sequence[object]]

_MOST_JOBS = 512  # a commit; a longer one would keep the first of them waiting for no gain (measured: flat from 128)


@dataclass(frozen=True, slots=True)
class Job:
    """Statements that stand or fall together, and whom to tell, in the event loop."""

    statements: Sequence[Statement]
    committed: Callable[[], None]
    failed: Callable[[Exception], None]


class Writer:
    """Owns the connection from `start` to `close`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._batches: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._next: list[Job] = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="registry-writer", daemon=True)
        self.commits = 0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Write this job with the next commit.

        All that is submitted in one turn of the event loop is handed over at once: the thread, woken by the first,
        would commit that alone.
        """
        self._next.append(job)
        if len(self._next) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._next:
            self._batches.put(self._next)
            self._next = []

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
        self._hand_over()
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)
        # The last commit's callbacks were handed to the loop before the thread ended: let them run.
        await asyncio.sleep(0)

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._waiting()
            if jobs:
                self._tell(self._commit(jobs))
        with contextlib.suppress(sqlite3.Error):  # All is committed; a full disk only keeps the WAL long.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _waiting(self) -> tuple[list[Job], bool]:
        """Return the jobs that wait, one at least, and whether the end was among them."""
        jobs: list[Job] = []
        batch = self._batches.get()
        while batch is not None:
            jobs += batch
            if len(jobs) >= _MOST_JOBS:
                return jobs, False
            try:
                batch = self._batches.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _commit(self, jobs: Sequence[Job]) -> list[tuple[Job, Exception | None]]:
        """Commit all; when that fails, each alone, so that no job fails for another's sake."""
        error = self._attempt(jobs)
        if error is None:
            return [(job, None) for job in jobs]
        if len(jobs) == 1:
            return [(jobs[0], error)]
        return [(job, self._attempt([job])) for job in jobs]

    def _attempt(self, jobs: Sequence[Job]) -> Exception | None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                for sql, parameters in job.statements:
                    self._connection.execute(sql, parameters)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told; this thread must live
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return error
        self.commits += 1
        return None

    def _tell(self, told: Sequence[tuple[Job, Exception | None]]) -> None:
        def tell() -> None:
            for job, error in told:
                try:
                    job.committed() if error is None else job.failed(error)
                except Exception:  # noqa: BLE001 - a bug in one must not keep the others from being told
                    _log.exception("a change was stored, but not taken over into memory; this is a bug")

        self._loop.call_soon_threadsafe(tell)
