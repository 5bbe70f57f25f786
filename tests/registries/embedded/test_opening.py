"""Opening a registry: what is wrong is one sentence, and nothing that is stored is touched."""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef
from kube_registrar.model.specs import NamespaceSpec
from kube_registrar.registries.embedded import open_registry, schema
from kube_registrar.registries.embedded.database import FILE
from kube_registrar.runtime.clock import SystemClock

NAMESPACE = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "test-namespace"))


async def refused(config: Mapping[str, object]) -> str:
    """Return what opening says, which must fail."""
    with pytest.raises(UserError) as caught:
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()):
            pass
    return str(caught.value)


async def fill(folder: Path) -> None:
    async with open_registry({"data": folder}, DEFAULT_REGISTRY, SystemClock()) as registry:
        await registry.ensure(NAMESPACE, "me")


async def names(folder: Path) -> list[str]:
    async with open_registry({"data": str(folder)}, DEFAULT_REGISTRY, SystemClock()) as registry:
        return [found.spec.ref.name for found in await registry.find(None) if isinstance(found.spec, NamespaceSpec)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Registry default: the embedded registry needs a folder for its data: give it with --data or `data`"),
        ({"data": 5}, "Registry default: option data is 5: the path of a folder is needed"),
        (
            {"data": "x", "dta": "y"},
            (
                "Registry default: unknown option 'dta'; known are data, accountId, region, quotas, "
                "customHealthDelaySeconds, checkIntervalSeconds, checkAddresses, simulate; did you mean data?"
            ),
        ),
        (
            {"data": "x", "accountId": 123456789012},
            "Registry default: option accountId is 123456789012: 12 digits in quotes are needed",
        ),
        (
            {"data": "x", "region": "Frankfurt"},
            "Registry default: option region is 'Frankfurt': a Region such as eu-west-1 is needed",
        ),
        (
            {"data": "x", "customHealthDelaySeconds": "30s"},
            "Registry default: option customHealthDelaySeconds is '30s': a number of seconds from 0 to 3,600 is needed",
        ),
        (
            {"data": "x", "customHealthDelaySeconds": True},
            "Registry default: option customHealthDelaySeconds is True: a number of seconds from 0 to 3,600 is needed",
        ),
        (
            {"data": "x", "checkIntervalSeconds": 0.5},
            "Registry default: option checkIntervalSeconds is 0.5: a number of seconds from 1 to 3,600 is needed",
        ),
        (
            {"data": "x", "quotas": "all"},
            "Registry default: option quotas is 'all': cloud-map or none is allowed",
        ),
        *(
            (
                {"data": "x", "checkAddresses": wrong},
                (
                    f"Registry default: option checkAddresses is {wrong!r}: a list of address ranges such as "
                    "10.0.0.0/8 or 2001:db8::/32 is needed, with no bits beyond the prefix"
                ),
            )
            for wrong in ("10.0.0.0/8", [], ["10.0.0.1/8"], ["localhost"], 7)
        ),
        (
            {"data": "x", "simulate": 1},
            "Registry default: option simulate is 1: key=value,key=value or a mapping is needed",
        ),
        ({"data": "x", "simulate": "faults=2"}, "simulate has faults=2: write a chance from 0 to 1, such as 0.1"),
    ],
)
async def test_an_option_that_is_wrong_is_named(config: Mapping[str, object], message: str) -> None:
    assert await refused(config) == message


async def test_a_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    await fill(folder)
    assert await names(folder) == ["test-namespace"]


async def test_account_and_region_stand_in_arns(tmp_path: Path) -> None:
    config = {"data": tmp_path, "accountId": "123456789012", "region": "eu-west-1"}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        found = await registry.ensure(NAMESPACE, "me")
    assert found.arn == f"arn:aws:servicediscovery:eu-west-1:123456789012:namespace/{found.id}"


async def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        message = await refused({"data": folder})
        assert message.startswith(f"The embedded registry cannot use the folder {folder} (")
        assert message.endswith("give it one that this user may write to, with --data or its option `data`")
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_database_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert await refused({"data": tmp_path}) == (
        f"The database {tmp_path / FILE} cannot be opened (unable to open database file): make it readable and writable"
    )


async def test_a_second_process_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from kube_registrar.registries.embedded import open_registry\n"
        "from kube_registrar.runtime.clock import SystemClock\n"
        "async def main():\n"
        "    async with open_registry({'data': sys.argv[1]}, 'default', SystemClock()):\n"
        "        print('open', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.read)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - the loop has nothing else to do
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert await refused({"data": tmp_path}) == (
            f"The folder {tmp_path} is in use by another process (process {other.pid}): "
            "stop that one, or give this registry a folder of its own with --data"
        )
        other.kill()
    await fill(tmp_path)


async def test_the_same_folder_twice_in_one_process_is_refused(tmp_path: Path) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, SystemClock()):
        assert "is in use by another process" in await refused({"data": tmp_path})
    await fill(tmp_path)


@pytest.mark.parametrize("damage", ["garbage", "page", "cut"])
async def test_a_damaged_database_is_left_as_it_is(tmp_path: Path, damage: str) -> None:
    await fill(tmp_path)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content[:] = b"no database at all\n" * 100
    elif damage == "page":
        content[4096:8192] = b"\xff" * 4096
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    message = await refused({"data": tmp_path})
    assert message.startswith(f"The database {path} is damaged (")
    assert message.endswith(
        "and was left as it is: put back a copy of it, or move it aside to begin with an empty registry"
    )
    assert "\n" not in message
    assert path.read_bytes() == content


async def test_a_database_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    await fill(tmp_path)
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    content = path.read_bytes()
    assert await refused({"data": tmp_path}) == (
        f"The database {path} was written by a newer version (its format is 99, this one knows {schema.VERSION}): "
        "run that version, or give this one a folder of its own with --data"
    )
    assert path.read_bytes() == content


@pytest.mark.parametrize("script", ["CREATE TABLE precious (x)", "PRAGMA user_version = 1; CREATE TABLE precious (x)"])
async def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path, script: str) -> None:
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    content = path.read_bytes()
    assert await refused({"data": tmp_path}) == (
        f"The file {path} is a database of something else: give the embedded registry a folder of its own with --data"
    )
    assert path.read_bytes() == content


async def test_a_migration_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that breaks in its middle leaves the tables of the version before, and that version works on."""
    await fill(tmp_path)
    half = "CREATE TABLE extra (x); INSERT INTO missing VALUES (1);"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, half))
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        assert "no such table: missing" in await refused({"data": tmp_path})
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert schema.version(connection) == schema.VERSION
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").fetchone() == (0,)
    assert await names(tmp_path) == ["test-namespace"]


async def test_a_migration_adds_to_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(tmp_path)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE extra (x);"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    for _ in range(2):
        assert await names(tmp_path) == ["test-namespace"]
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert schema.version(connection) == schema.VERSION
