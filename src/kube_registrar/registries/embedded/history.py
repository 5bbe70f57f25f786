"""The registry's own history, from its file: who judges what happened need not ask the one who did it.

It reads beside a process that has the registry open, and changes nothing.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kube_registrar.registries.embedded.database import FILE


@dataclass(frozen=True, slots=True)
class Entry:
    """One asynchronous operation as it was asked for, and how it ended."""

    sequence: int
    operation: str
    """Cloud Map's type of it, such as REGISTER_INSTANCE."""
    status: str
    service: str
    """`namespace/service`; the name of the namespace or service itself where that is the target."""
    instance_id: str
    attributes: dict[str, str]
    """What a register asked for; empty for all else."""
    created: float
    """Unix seconds."""
    updated: float


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an instance's health."""

    sequence: int
    service: str
    """`namespace/service`."""
    instance_id: str
    health: str
    reason: str
    """What was found, or who said it."""
    at: float
    """Unix seconds."""


def history(folder: Path) -> list[Entry]:
    """Return the operations that a registry with its data in `folder` keeps, in the order they were asked for."""
    columns = "sequence, type, status, instance_id, request, created_ms, updated_ms"
    return [_entry(row) for row in _rows(folder, f"SELECT {columns} FROM operations ORDER BY sequence")]  # noqa: S608


def transitions(folder: Path) -> list[Transition]:
    """Return the changes of health that it keeps, in their order; what a registration begins with is none."""
    columns = "sequence, service, instance_id, health, reason, at_ms / 1000.0"
    rows = _rows(folder, f"SELECT {columns} FROM transitions ORDER BY sequence")  # noqa: S608
    return [Transition(*row) for row in rows]


def _rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _entry(row: tuple[Any, ...]) -> Entry:
    sequence, operation, status, instance_id, stored, created_ms, updated_ms = row
    request = msgspec.json.decode(stored)
    attributes = request.get("attributes", {})
    return Entry(
        sequence, operation, status, request["name"], instance_id, attributes, created_ms / 1000, updated_ms / 1000
    )
