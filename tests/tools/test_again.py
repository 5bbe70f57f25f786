"""What failed by chance holds nothing up, and what is at fault does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import again

Write = Callable[[str], Path]


@pytest.fixture
def failed(tmp_path: Path) -> Write:
    """Write a test that failed, and the cache that says so."""

    def write(body: str) -> Path:
        (tmp_path / "test_it.py").write_text(f"import pathlib, pytest\ndef test_it():\n    {body}\n")
        return cache(tmp_path, f"{tmp_path}/test_it.py::test_it")

    return write


def cache(folder: Path, *tests: str) -> Path:
    path = folder / "lastfailed"
    path.write_text(json.dumps(dict.fromkeys(tests, True)))
    return path


def test_what_passes_each_time_was_chance_and_is_named(failed: Write, capfd: pytest.CaptureFixture[str]) -> None:
    before = failed("pass")
    assert again.main(["--times", "2"], before) == 0
    assert not before.exists(), "and is on record no more"
    told = capfd.readouterr().err
    assert told.startswith("FAILED ONCE, and passed 2 times after that; each is to be mended:\n  ")
    assert told.endswith("test_it.py::test_it\n")


def test_what_fails_but_once_more_is_a_fault(failed: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    count = tmp_path / "count"
    count.write_text("")
    body = f"c = pathlib.Path({str(count)!r}); c.write_text(c.read_text() + 'x'); assert len(c.read_text()) != 2"
    assert again.main(["--times", "3"], failed(body)) == 1
    told = capfd.readouterr()
    assert "failed again, the 2. time of 3" in told.err
    assert "assert len(c.read_text()) != 2" in told.out, "what it said is shown"


@pytest.mark.parametrize("body", ["pytest.skip('now')", "raise SystemExit"], ids=["skipped", "ended"])
def test_what_did_not_pass_is_no_pass(failed: Write, body: str) -> None:
    assert again.main(["--times", "1"], failed(body)) == 1


def test_many_are_no_chance(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert again.main([], cache(tmp_path, "a", "b", "c", "d")) == 1
    assert capfd.readouterr().err == "again: 4 tests failed, which is no chance\n"


def test_what_failed_for_another_reason_is_not_passed_over(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert again.main([], tmp_path / "none") == 1
    assert "what failed was something else" in capfd.readouterr().err


def test_a_test_that_is_not_there_has_not_passed(tmp_path: Path) -> None:
    assert again.main(["--times", "1"], cache(tmp_path, f"{tmp_path}/test_gone.py::test_it")) == 1
