"""The registry's own history, from its file: who judges what happened need not ask the one who did it."""

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


def history(folder: Path) -> list[Entry]:
    """Return the operations that a registry with its data in `folder` keeps, in the order they were asked for.

    It reads beside a process that has the registry open, and changes nothing.
    """
    columns = "sequence, type, status, instance_id, request, created_ms, updated_ms"
    with closing(sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM operations ORDER BY sequence").fetchall()  # noqa: S608
    return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> Entry:
    sequence, operation, status, instance_id, stored, created_ms, updated_ms = row
    request = msgspec.json.decode(stored)
    attributes = request.get("attributes", {})
    return Entry(
        sequence, operation, status, request["name"], instance_id, attributes, created_ms / 1000, updated_ms / 1000
    )
