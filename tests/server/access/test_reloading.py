"""Files are read again when they change; what cannot be used changes nothing, and is said once."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from kube_registrar.server.access import keyfile
from kube_registrar.server.access.keys import KeyRing
from kube_registrar.server.access.reloading import Watched, keep_reading
from kube_registrar.testing.clock import FakeClock
from tests.server.access.test_keyfile import ENTRY, SECRET


class Ground:
    """A file of keys that is watched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ring = KeyRing(())
        self.told = list[tuple[str, str]]()
        self.watched = Watched("access-keys", self._load, lambda *what: self.told.append(what))

    def _load(self) -> list[Path]:
        found = keyfile.read(self.path)
        self.ring.replace(found.keys)
        return [self.path, *found.files]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    path = tmp_path / "keys.yaml"
    path.write_text(ENTRY)
    return Ground(path)


def test_new_keys_hold_when_the_file_has_changed(ground: Ground) -> None:
    assert not ground.watched.look()
    ground.path.write_text(ENTRY.replace("ONE", "TWO"))
    assert ground.watched.look()
    assert list(ground.ring.keys) == ["AKIDTWO"]
    assert ground.told == [("access-keys", "ok")]


def test_a_broken_file_keeps_the_old_keys_and_says_so_once(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    ground.path.write_text(ENTRY.replace("role: read", "role: king"))
    assert ground.watched.look()
    assert not ground.watched.look()
    assert list(ground.ring.keys) == ["AKIDONE"]
    assert ground.told == [("access-keys", "error")]
    [record] = caplog.records
    assert record.message == (
        f"{ground.path}: key 1 (AKIDONE) has no role: allowed are read, write, admin; what was read before is used on"
    )
    assert SECRET not in caplog.text
    ground.path.unlink()
    assert ground.watched.look()
    assert list(ground.ring.keys) == ["AKIDONE"]


def test_a_secret_in_a_file_of_its_own_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    path = tmp_path / "keys.yaml"
    path.write_text("- {accessKeyID: AKIDONE, secretAccessKeyFile: secret, role: read}")
    ground = Ground(path)
    (tmp_path / "secret").write_text(f"{SECRET}-new")
    assert ground.watched.look()
    assert ground.ring.keys["AKIDONE"].secret == f"{SECRET}-new"


def test_a_mounted_secret_is_exchanged_as_a_whole(tmp_path: Path) -> None:
    for name, text in (("..one", ENTRY), ("..two", ENTRY.replace("ONE", "TWO"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "keys.yaml").symlink_to("..data/keys.yaml")
    ground = Ground(tmp_path)
    (tmp_path / "..next").symlink_to("..two")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert ground.watched.look()
    assert list(ground.ring.keys) == ["AKIDTWO"]


def test_a_file_that_comes_to_a_folder_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ENTRY)
    ground = Ground(tmp_path)
    (tmp_path / "two.yaml").write_text(ENTRY.replace("ONE", "TWO"))
    assert ground.watched.look()
    assert list(ground.ring.keys) == ["AKIDONE", "AKIDTWO"]


async def test_files_are_looked_at_again_and_again(ground: Ground) -> None:
    clock = FakeClock()
    task = asyncio.create_task(keep_reading([ground.watched], clock))
    ground.path.write_text(ENTRY.replace("ONE", "TWO"))
    async with asyncio.timeout(30):
        while "AKIDTWO" not in ground.ring.keys:
            await clock.advance(1.0)
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
