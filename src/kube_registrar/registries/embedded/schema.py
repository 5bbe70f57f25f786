"""The tables, and how a database of an earlier version becomes one of this version.

A migration and the number that records it are one transaction: a crash between the two cannot happen.
"""

import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x6B726567
"""`kreg`: tells our files from other SQLite files."""

MIGRATIONS: Final = (
    """
    CREATE TABLE namespaces (
        id TEXT PRIMARY KEY,
        record TEXT NOT NULL,
        tags TEXT NOT NULL
    );
    CREATE TABLE services (
        id TEXT PRIMARY KEY,
        namespace_id TEXT NOT NULL REFERENCES namespaces (id),
        record TEXT NOT NULL,
        tags TEXT NOT NULL,
        revision INTEGER NOT NULL
    );
    CREATE TABLE instances (
        service_id TEXT NOT NULL REFERENCES services (id),
        id TEXT NOT NULL,
        attributes TEXT NOT NULL,
        creator TEXT NOT NULL,
        health TEXT NOT NULL,
        next_health TEXT,
        next_health_ms INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (service_id, id)
    ) WITHOUT ROWID;
    CREATE TABLE operations (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        namespace_id TEXT NOT NULL,
        service_id TEXT NOT NULL,
        instance_id TEXT NOT NULL,
        request TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        error_code TEXT NOT NULL,
        error_message TEXT NOT NULL
    );
    CREATE TABLE counters (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    );
    INSERT INTO counters VALUES ('revision', 0);
    """,
    """
    ALTER TABLE services ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE transitions (
        sequence INTEGER PRIMARY KEY,
        service TEXT NOT NULL,
        instance_id TEXT NOT NULL,
        health TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms INTEGER NOT NULL
    );
    """,
)

VERSION: Final = len(MIGRATIONS)

COPIED: Final = "copied"
"""The counter that only a backup has: it was not opened as a registry yet."""


def version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0: there are none yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version."""
    for number, script in enumerate(MIGRATIONS[version(connection) :], version(connection) + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} "
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;"
        )
