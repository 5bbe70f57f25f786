"""A backup is a registry at one moment, whole and checked, or it is not there."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import backup as backups
from kube_registrar.registries.embedded import open_registry, schema
from kube_registrar.registries.embedded.backup import Contents, backup
from kube_registrar.registries.embedded.database import FILE
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.clock import FakeClock
from tests.warm.processes import run

NAMES = {"NamespaceName": "test-namespace", "ServiceName": "web"}


def silent(_: int, __: int) -> None:
    return


async def call(registry: EmbeddedRegistry, operation: str, **members: Any) -> Any:
    return await registry.execute(operation, members)


async def filled(registry: EmbeddedRegistry) -> str:
    operation = (await call(registry, "CreateHttpNamespace", Name="test-namespace"))["OperationId"]
    target = (await call(registry, "GetOperation", OperationId=operation))["Operation"]["Targets"]["NAMESPACE"]
    return str((await call(registry, "CreateService", Name="web", NamespaceId=target))["Service"]["Id"])


async def register(registry: EmbeddedRegistry, service: str, name: str) -> None:
    await call(registry, "RegisterInstance", ServiceId=service, InstanceId=name, Attributes={"name": name})


async def revision(registry: EmbeddedRegistry) -> int:
    return int((await call(registry, "DiscoverInstancesRevision", **NAMES))["InstancesRevision"])


async def found(registry: EmbeddedRegistry) -> list[str]:
    return sorted(each["InstanceId"] for each in (await call(registry, "DiscoverInstances", **NAMES))["Instances"])


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def put_back(copy: Path, folder: Path) -> Path:
    """Do what the documentation says of restoring."""
    folder.mkdir()
    shutil.copy(copy, folder / FILE)
    return folder


async def test_a_registry_is_copied_while_it_is_open_and_put_back(tmp_path: Path) -> None:
    copy, told = tmp_path / "copy", list[tuple[int, int]]()
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()) as registry:
        service = await filled(registry)
        await register(registry, service, "before")
        contents = await asyncio.to_thread(
            backup, tmp_path / "data", copy, replaces=False, progress=lambda *pages: told.append(pages)
        )
        await register(registry, service, "after")
    assert contents == Contents(copy.stat().st_size, 1, 1, 1)
    assert told[-1][0] == told[-1][1] > 0
    assert files(tmp_path) == ["copy", "data"]
    async with open_registry({"data": put_back(copy, tmp_path / "new")}, DEFAULT_REGISTRY, SystemClock()) as registry:
        assert await found(registry) == ["before"]


async def test_what_is_put_back_has_later_revisions_than_anybody_has_seen(tmp_path: Path) -> None:
    clock, copy = FakeClock(time=2_000_000_000.0), tmp_path / "copy"
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, clock) as registry:
        service = await filled(registry)
        await register(registry, service, "a")
        backup(tmp_path / "data", copy, replaces=False, progress=silent)
        await clock.advance(10)
        await register(registry, service, "b")
        seen = await revision(registry)
    await clock.advance(10)
    folder = put_back(copy, tmp_path / "new")
    async with open_registry({"data": folder}, DEFAULT_REGISTRY, clock) as registry:
        again = await revision(registry)
        assert again > seen
        await register(registry, service, "c")
        assert await revision(registry) > again
        last = await revision(registry)
    async with open_registry({"data": folder}, DEFAULT_REGISTRY, clock) as registry:
        assert await revision(registry) == last  # it is no copy any more


async def test_a_clock_that_goes_back_does_not_lower_what_is_put_back(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, FakeClock(time=2e9)) as registry:
        await register(registry, await filled(registry), "a")
        seen = await revision(registry)
        backup(tmp_path / "data", copy, replaces=False, progress=silent)
    folder = put_back(copy, tmp_path / "new")
    async with open_registry({"data": folder}, DEFAULT_REGISTRY, FakeClock(time=1e9)) as registry:
        assert await revision(registry) > seen


async def test_a_copy_under_load_is_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each instance comes with its operation in one commit, so a copy holds as many of one as of the other."""
    monkeypatch.setattr(backups, "_PAGES", 1)
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()) as registry:
        service = await filled(registry)
        stop, count = asyncio.Event(), 0

        async def write() -> None:
            nonlocal count
            while not stop.is_set():
                await register(registry, service, f"i-{count % 900}")
                count += 1

        writing = asyncio.create_task(write())
        for number in range(5):
            before = count
            copy = tmp_path / f"copy-{number}"
            await asyncio.to_thread(backup, tmp_path / "data", copy, replaces=False, progress=silent)
            assert count > before
            with closing(sqlite3.connect(copy)) as connection:
                question = "SELECT count(DISTINCT instance_id) FROM operations WHERE type = 'REGISTER_INSTANCE'"
                [(operations,)] = connection.execute(question)
                [(instances,)] = connection.execute("SELECT count(*) FROM instances")
            assert operations == instances >= min(before, 900)
        stop.set()
        await writing


async def test_what_is_there_already_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()) as registry:
        await filled(registry)
    copy = tmp_path / "copy"
    copy.write_text("precious")
    with pytest.raises(UserError) as caught:
        backup(tmp_path / "data", copy, replaces=False, progress=silent)
    assert str(caught.value) == f"{copy} is there already: give another file, or replace it with --force"
    assert copy.read_text() == "precious"
    assert backup(tmp_path / "data", copy, replaces=True, progress=silent).services == 1


async def test_what_comes_meanwhile_is_kept_too(tmp_path: Path) -> None:
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()):
        pass
    copy = tmp_path / "copy"
    with pytest.raises(UserError, match="is there already"):
        backup(tmp_path / "data", copy, replaces=False, progress=lambda *_: copy.touch())
    assert files(tmp_path) == ["copy", "data"]
    assert copy.read_bytes() == b""


async def test_what_cannot_be_copied_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    def refused(data: Path, target: Path) -> str:
        with pytest.raises(UserError) as caught:
            backup(data, target, replaces=True, progress=silent)
        return str(caught.value)

    copy, data = tmp_path / "copy", tmp_path / "data"
    assert (
        refused(tmp_path, copy)
        == f"There is no registry in the folder {tmp_path}: give the folder of its data with --data"
    )
    async with open_registry({"data": data}, DEFAULT_REGISTRY, SystemClock()) as registry:
        await filled(registry)
    missing = tmp_path / "none" / "copy"
    assert refused(data, missing) == (
        f"{missing} cannot be written (No such file or directory): give a file in a folder with space that is yours"
    )
    with closing(sqlite3.connect(data / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert refused(data, copy).startswith(f"The database {data / FILE} was written by a newer version")
    with closing(sqlite3.connect(data / FILE)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    content = bytearray((data / FILE).read_bytes())
    content[4096:8192] = b"\xff" * 4096
    (data / FILE).write_bytes(content)
    assert "damaged" in refused(data, copy)
    assert files(tmp_path) == ["data"]


async def test_the_command_says_what_was_copied(tmp_path: Path) -> None:
    async with open_registry({"data": tmp_path / "data"}, DEFAULT_REGISTRY, SystemClock()) as registry:
        await register(registry, await filled(registry), "a")
        arguments = ["backup", "--data", str(tmp_path / "data"), str(tmp_path / "copy")]
        first, second = [await asyncio.to_thread(run, arguments, {}) for _ in range(2)]
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"{tmp_path / 'copy'}: 1 namespaces, 1 services, 1 instances; 0.0 MiB, checked\n"
    assert second.returncode == 1
    assert second.stderr == (
        f"kube-registrar: {tmp_path / 'copy'} is there already: give another file, or replace it with --force\n"
    )
