"""The writer: many changes in one commit, each on its own when one cannot be made, told in their order."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from kube_registrar.registries.embedded.writer import Job, Writer


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "file", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    return connection


def stored(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def put(number: object) -> list[tuple[str, tuple[object, ...]]]:
    return [("INSERT INTO numbers VALUES (?)", (number,))]


async def test_what_waits_is_one_commit(connection: sqlite3.Connection) -> None:
    writer, told = Writer(connection), list[int]()
    waiting = [asyncio.ensure_future(writer.write(put(n), lambda n=n: told.append(n))) for n in range(100)]  # type: ignore[misc]
    await asyncio.sleep(0)
    writer.start()
    await asyncio.gather(*waiting)
    assert (writer.commits, told, stored(connection)) == (1, list(range(100)), list(range(100)))
    await writer.close()
    connection.close()


async def test_a_change_that_cannot_be_made_hurts_no_other(connection: sqlite3.Connection) -> None:
    writer, applied = Writer(connection), list[object]()
    numbers: list[object] = [1, 2, 2, "three", 4, "\ud800", 2**64, 5]
    waiting = [asyncio.ensure_future(writer.write(put(n), lambda n=n: applied.append(n))) for n in numbers]  # type: ignore[misc]
    await asyncio.sleep(0)
    writer.start()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "NoneType",
        "NoneType",
        "IntegrityError",
        "IntegrityError",
        "NoneType",
        "UnicodeEncodeError",
        "OverflowError",
        "NoneType",
    ]
    assert (applied, stored(connection)) == ([1, 2, 4, 5], [1, 2, 4, 5])
    await writer.close()
    connection.close()


async def test_statements_of_one_change_stand_or_fall_together(connection: sqlite3.Connection) -> None:
    writer = Writer(connection)
    writer.start()
    with pytest.raises(sqlite3.IntegrityError):
        await writer.write([*put(1), *put(1)], lambda: None)
    assert stored(connection) == []
    await writer.close()
    connection.close()


async def test_whoever_stops_waiting_stops_nothing(connection: sqlite3.Connection) -> None:
    writer, applied = Writer(connection), list[int]()
    waiting = asyncio.ensure_future(writer.write(put(1), lambda: applied.append(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    writer.start()
    await writer.write(put(2), lambda: applied.append(2))
    assert (applied, stored(connection)) == ([1, 2], [1, 2])
    await writer.close()
    connection.close()


async def test_closing_writes_what_waits_and_tells(connection: sqlite3.Connection) -> None:
    writer, told = Writer(connection), list[int]()
    for number in range(1000):
        writer.submit(Job(put(number), lambda number=number: told.append(number), told.clear))  # type: ignore[misc, arg-type]
    writer.start()
    await writer.close()
    assert (told, stored(connection)) == (list(range(1000)), list(range(1000)))
    connection.close()


async def test_a_bug_in_one_callback_keeps_no_other_from_being_told(
    connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    writer, told = Writer(connection), list[int]()
    writer.submit(Job(put(1), lambda: told.append(1 // 0), lambda _: None))
    writer.submit(Job(put(2), lambda: told.append(2), lambda _: None))
    writer.start()
    await writer.close()
    assert (told, stored(connection)) == ([2], [1, 2])
    assert "this is a bug" in caplog.text
    connection.close()
