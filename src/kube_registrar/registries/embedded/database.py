"""Opening the file: who may, what is in it, and a sentence for each way it can go wrong. Nothing is repaired."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from kube_registrar.model.errors import InUse, UserError
from kube_registrar.registries.embedded import schema

FILE = "registry.sqlite3"
LOCK = "registry.lock"
_WAL_PAGES: Final = 8000
"""How long the log grows (32 MB) before it is taken into the file: writers wait for that, and with SQLite's 1,000 pages
one write in a hundred did (measured: 3,600 to 4,400 a second of sixteen clients, 4,800 to 5,100 with this)."""


@contextlib.contextmanager
def opened(folder: Path, now_ms: int) -> Iterator[sqlite3.Connection]:
    """Open the database in `folder`, which is made if it is missing; hold it against other processes meanwhile.

    One that is a backup put back gets revisions above all that it holds, and above `now_ms`: clients may have seen
    what came after it, and must look again. The connection may be used by one thread at a time, whichever. Raises
    UserError, one sentence with the next step.
    """
    lock = _locked(folder)
    try:
        connection = _connected(folder / FILE, now_ms)
        try:
            yield connection
        finally:
            connection.close()
    finally:
        lock.close()


def _locked(folder: Path) -> IO[str]:
    """Take the folder for this process. The kernel lets go of the lock when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The embedded registry cannot use the folder {folder} ({error.strerror}): "
            "give it one that this user may write to, with --data or its option `data`"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise InUse(
            f"The folder {folder} is in use by another process{f' ({holder})' if holder else ''}: "
            "stop that one, or give this registry a folder of its own with --data"
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}")
    lock.flush()
    return lock


def _connected(path: Path, now_ms: int) -> sqlite3.Connection:
    try:
        # Transactions are ours: begun and committed by the writer, many changes in one.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise UserError(f"The database {path} cannot be opened ({error}): make it readable and writable") from None
    try:
        check(connection, path)
        # FULL: a commit is on the disk, not only with the operating system, before anybody is told.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        connection.execute("PRAGMA foreign_keys = ON")
        schema.migrate(connection)
        _raise_revisions(connection, now_ms)
    except sqlite3.OperationalError as error:
        connection.close()
        raise UserError(
            f"The database {path} cannot be used ({error}): "
            "make it and its folder writable, with space left on the disk"
        ) from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise UserError(_damaged(path, str(error))) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _raise_revisions(connection: sqlite3.Connection, now_ms: int) -> None:
    """Raise all revisions of a backup that was put back, once."""
    if not connection.execute("SELECT 1 FROM counters WHERE name = ?", (schema.COPIED,)).fetchone():
        return
    connection.execute("BEGIN IMMEDIATE")
    highest = "(SELECT max(value) FROM (SELECT revision AS value FROM services UNION SELECT value FROM counters))"
    connection.execute(f"UPDATE counters SET value = max({highest} + 1, ?) WHERE name = 'revision'", (now_ms,))  # noqa: S608
    connection.execute("UPDATE services SET revision = (SELECT value FROM counters WHERE name = 'revision')")
    connection.execute("DELETE FROM counters WHERE name = ?", (schema.COPIED,))
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse, unchanged, what is damaged, of a newer version, or not ours. Raises UserError or sqlite3.Error."""
    problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if problems != ["ok"]:
        raise UserError(_damaged(path, str(problems[0]).partition("\n")[0]))
    found = schema.version(connection)
    if found > schema.VERSION:
        raise UserError(
            f"The database {path} was written by a newer version (its format is {found}, this one "
            f"knows {schema.VERSION}): run that version, or give this one a folder of its own with --data"
        )
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != schema.APPLICATION_ID and not (is_empty and found == 0):
        raise UserError(
            f"The file {path} is a database of something else: "
            "give the embedded registry a folder of its own with --data"
        )


def _damaged(path: Path, detail: str) -> str:
    return (
        f"The database {path} is damaged ({detail}) and was left as it is: "
        "put back a copy of it, or move it aside to begin with an empty registry"
    )
