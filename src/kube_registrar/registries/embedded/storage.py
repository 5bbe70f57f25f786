"""Statements that store what the state holds, and the way back: the state from the tables, at the start.

Settings are one JSON text a row: they are read whole, at the start only, and a member that a later version adds has a
default and needs no migration. What changes on its own (tags, revisions, health) has a column of its own, so that two
changes of one thing that are in the same commit never overwrite each other.
"""

import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.embedded.state import (
    FAIL,
    SUCCESS,
    End,
    Instance,
    NamespaceRecord,
    Operation,
    ServiceRecord,
    State,
    Status,
)
from kube_registrar.registries.embedded.writer import Statement

OPERATIONS_KEPT: Final = 20_000
OPERATION_SECONDS: Final = 24 * 3600
"""Ended operations are forgotten when they are this old, or when so many newer ones are there."""
TRANSITIONS_KEPT: Final = 20_000
"""Changes of health are forgotten when so many newer ones are there."""

_OPERATION_COLUMNS = (
    "sequence, id, type, created_ms, namespace_id, service_id, instance_id, status, updated_ms, "
    "error_code, error_message"
)
_PUT_NAMESPACE = (
    "INSERT INTO namespaces (id, record, tags) VALUES (?, ?, '{}') "
    "ON CONFLICT (id) DO UPDATE SET record = excluded.record"
)
_PUT_SERVICE = (
    "INSERT INTO services (id, namespace_id, record, tags, revision) VALUES (?, ?, ?, '{}', ?) "
    "ON CONFLICT (id) DO UPDATE SET record = excluded.record"
)
_PUT_OPERATION = (
    f"INSERT INTO operations ({_OPERATION_COLUMNS}, request, due_ms) "  # noqa: S608 - constants
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An operation that was under way when the last process ended, to be gone on with."""

    operation: Operation
    request: Mapping[str, Any]
    due_ms: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the database held."""

    state: State
    unfinished: list[Unfinished] = field(default_factory=list)


def put_namespace(record: NamespaceRecord) -> Statement:
    """Store the settings of a namespace, new or changed; its tags stay."""
    return _PUT_NAMESPACE, (record.id, _json(record))


def put_service(record: ServiceRecord, revision: int) -> Statement:
    """Store the settings of a service, new or changed; its tags, attributes and revision stay."""
    return _PUT_SERVICE, (record.id, record.namespace_id, _json(record), revision)


def put_tags(kind: str, identifier: str, tags: Mapping[str, str]) -> Statement:
    """Store all tags of a namespace or service; `kind` is `namespace` or `service`."""
    table = {"namespace": "namespaces", "service": "services"}[kind]
    return f"UPDATE {table} SET tags = ? WHERE id = ?", (_json(tags), identifier)  # noqa: S608 - one of two constants


def put_service_attributes(identifier: str, attributes: Mapping[str, str]) -> Statement:
    """Store all attributes of a service."""
    return "UPDATE services SET attributes = ? WHERE id = ?", (_json(attributes), identifier)


def remove_namespace(identifier: str) -> Statement:
    """Remove a namespace, which must be empty."""
    return "DELETE FROM namespaces WHERE id = ?", (identifier,)


def remove_service(identifier: str, revision: int) -> tuple[Statement, Statement]:
    """Remove a service, which must be empty, and keep the highest revision beyond it."""
    return (
        ("DELETE FROM services WHERE id = ?", (identifier,)),
        ("UPDATE counters SET value = max(value, ?) WHERE name = 'revision'", (revision,)),
    )


def put_instance(service_id: str, instance: Instance) -> Statement:
    """Store an instance, new or replaced."""
    return (
        "INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            service_id,
            instance.id,
            _json(instance.attributes),
            instance.creator,
            instance.health,
            instance.next_health,
            instance.next_health_ms,
        ),
    )


def put_health(service_id: str, instance_id: str, status: Status) -> Statement:
    """Store the health of an instance, if it is still there."""
    return (
        "UPDATE instances SET health = ?, next_health = ?, next_health_ms = ? WHERE service_id = ? AND id = ?",
        (*status, service_id, instance_id),
    )


def renew_health(service_id: str) -> Statement:
    """Store that nothing is known any more of the health of a service's instances."""
    sql = "UPDATE instances SET health = 'HEALTHY', next_health = NULL, next_health_ms = 0 WHERE service_id = ?"
    return sql, (service_id,)


def put_transition(service: str, instance_id: str, health: str, reason: str, at_ms: int) -> tuple[Statement, Statement]:
    """Store for the history that an instance is of another health, and forget what is too old for it.

    `service` is `namespace/service`.
    """
    columns = "service, instance_id, health, reason, at_ms"
    return (
        (f"INSERT INTO transitions ({columns}) VALUES (?, ?, ?, ?, ?)", (service, instance_id, health, reason, at_ms)),  # noqa: S608 - constants
        (
            "DELETE FROM transitions WHERE sequence <= (SELECT max(sequence) FROM transitions) - ?",
            (TRANSITIONS_KEPT,),
        ),
    )


def remove_instance(service_id: str, instance_id: str) -> Statement:
    """Remove an instance."""
    return "DELETE FROM instances WHERE service_id = ? AND id = ?", (service_id, instance_id)


def put_revision(service_id: str, revision: int) -> Statement:
    """Store the revision of a service."""
    return "UPDATE services SET revision = ? WHERE id = ?", (revision, service_id)


def put_operation(operation: Operation, end: End, request: Mapping[str, Any], due_ms: int) -> Statement:
    """Store a new operation, that stands as `end` says."""
    return (
        _PUT_OPERATION,
        (
            operation.sequence,
            operation.id,
            operation.type,
            operation.created_ms,
            operation.namespace_id,
            operation.service_id,
            operation.instance_id,
            *end,
            _json(request),
            due_ms,
        ),
    )


def end_operation(operation: Operation, end: End) -> Statement:
    """Store how an operation ended."""
    return (
        "UPDATE operations SET status = ?, updated_ms = ?, error_code = ?, error_message = ? WHERE sequence = ?",
        (*end, operation.sequence),
    )


def forget_operations(last_sequence: int) -> Statement:
    """Remove ended operations up to this one."""
    return "DELETE FROM operations WHERE sequence <= ? AND status IN (?, ?)", (last_sequence, SUCCESS, FAIL)


def load(connection: sqlite3.Connection) -> Loaded:
    """Read everything."""
    loaded = Loaded(State())
    state = loaded.state
    for record, tags in connection.execute("SELECT record, tags FROM namespaces ORDER BY rowid"):
        state.add_namespace(msgspec.json.decode(record, type=NamespaceRecord), msgspec.json.decode(tags))
    for record, tags, revision, attributes in connection.execute(
        "SELECT record, tags, revision, attributes FROM services ORDER BY rowid"
    ):
        settings = msgspec.json.decode(record, type=ServiceRecord)
        state.add_service(settings, msgspec.json.decode(tags), revision, msgspec.json.decode(attributes))
    for service_id, instance_id, attributes, *rest in connection.execute("SELECT * FROM instances"):
        instance = Instance(InstanceId(instance_id), interned(msgspec.json.decode(attributes)), *rest)
        state.services[service_id].instances[instance_id] = instance
    (revision,) = connection.execute("SELECT value FROM counters WHERE name = 'revision'").fetchone()
    state.revision = max(state.revision, revision)
    columns = f"SELECT {_OPERATION_COLUMNS}, request, due_ms FROM operations ORDER BY sequence"  # noqa: S608 - constants
    for *values, request, due_ms in connection.execute(columns):
        operation = Operation(*values)
        state.add_operation(operation)
        if not operation.is_terminal:
            loaded.unfinished.append(Unfinished(operation, msgspec.json.decode(request), due_ms))
    return loaded


def interned(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes with each text once in memory: most of them are the same on many instances."""
    # str: a member of a StrEnum is a string too, but not one that can be interned.
    return {sys.intern(str(key)): sys.intern(str(value)) for key, value in attributes.items()}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
