"""A copy of the database at one moment, made beside a process that has it open, or of one that nobody has open.

The copy is one file. It says of itself that it is a copy: whoever opens it as a registry raises all revisions, since
clients may have seen later ones than it holds (`database.opened`).
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kube_registrar.model.errors import UserError
from kube_registrar.registries.embedded import schema
from kube_registrar.registries.embedded.database import FILE, check

_PAGES: Final = 2000
"""Copied at a time: 8 MiB, between which progress is told."""

Progress = Callable[[int, int], None]
"""Told of pages that are copied, and of how many there are."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds."""

    size: int
    """In bytes."""
    namespaces: int
    services: int
    instances: int


def backup(data: Path, target: Path, *, replaces: bool, progress: Progress) -> Contents:
    """Copy the registry in the folder `data` to the file `target`, and return what the copy holds once it is checked.

    The copy is whole or not there: it gets its name at the end, when it is on the disk. Raises UserError, one sentence
    with the next step: there is no registry, it is damaged or newer, the target is there already or cannot be written.
    """
    source = data / FILE
    if not source.is_file():
        raise UserError(f"There is no registry in the folder {data}: give the folder of its data with --data")
    if not replaces and target.exists():
        raise _exists(target)
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error.strerror) from None
    os.close(number)
    partial = Path(name)
    try:
        _copy(source, partial, target, progress)
        contents = _checked(partial)
        _name(partial, target, replaces=replaces)
    finally:
        partial.unlink(missing_ok=True)
    return contents


def _copy(source: Path, partial: Path, target: Path, progress: Progress) -> None:
    # Not read-only: a registry that nobody has open needs its index of the log made. Nothing is written but that.
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)) as reader,
        closing(sqlite3.connect(partial, isolation_level=None)) as writer,
    ):
        try:
            reader.execute("BEGIN")
            check(reader, source)  # reads, so from here on it is one moment that is seen, however long the copy takes
        except sqlite3.Error as error:
            raise UserError(f"The database {source} cannot be read ({error}): make it readable") from None
        try:
            reader.backup(
                writer, pages=_PAGES, progress=lambda _, left, pages: progress(pages - left, pages), sleep=0.01
            )
            writer.execute("PRAGMA journal_mode = DELETE")
            writer.execute("INSERT OR REPLACE INTO counters VALUES (?, 1)", (schema.COPIED,))
        except sqlite3.Error as error:
            raise _unwritable(target, str(error)) from None


def _checked(partial: Path) -> Contents:
    with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
        check(connection, partial)
        counted = [
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - constants
            for table in ("namespaces", "services", "instances")
        ]
    return Contents(partial.stat().st_size, *counted)


def _name(partial: Path, target: Path, *, replaces: bool) -> None:
    """Give the copy its name; a file that has come there meanwhile stays as well."""
    try:
        _sync(partial)
        if replaces:
            partial.replace(target)
        else:
            os.link(partial, target)
        _sync(target.parent)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise _unwritable(target, error.strerror) from None


def _sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _exists(target: Path) -> UserError:
    return UserError(f"{target} is there already: give another file, or replace it with --force")


def _unwritable(target: Path, why: object) -> UserError:
    return UserError(f"{target} cannot be written ({why}): give a file in a folder with space that is yours")
