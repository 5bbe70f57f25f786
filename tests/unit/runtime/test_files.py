"""What is made of files is made anew once a file is another one, and not before."""

import os
from pathlib import Path

import pytest

from kube_registrar.runtime.files import OfFiles


def read_in(folder: Path) -> tuple[Path, list[str], OfFiles[str]]:
    file, made = folder / "token", list[str]()

    def make() -> str:
        made.append(file.read_text())
        if not made[-1]:
            raise ValueError("it is empty")
        return made[-1]

    return file, made, OfFiles(make, (file,))


def test_it_is_made_once_for_each_content(tmp_path: Path) -> None:
    file, made, kept = read_in(tmp_path)
    file.write_text("one")
    assert [kept.get(), kept.get()] == ["one", "one"]
    file.write_text("another")
    assert [kept.get(), kept.get()] == ["another", "another"]
    assert made == ["one", "another"]


def test_a_link_that_is_exchanged_is_another_file(tmp_path: Path) -> None:
    link, _, kept = read_in(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    link.symlink_to("one")
    assert kept.get() == "one"
    link.unlink()
    link.symlink_to("two")
    assert kept.get() == "two"


def test_what_cannot_be_used_is_an_error_until_it_can(tmp_path: Path) -> None:
    file, made, kept = read_in(tmp_path)
    with pytest.raises(FileNotFoundError):
        kept.get()
    file.write_text("")
    for _ in range(2):
        with pytest.raises(ValueError, match="empty"):
            kept.get()
    file.write_text("good")
    assert kept.get() == "good"
    file.unlink()
    with pytest.raises(FileNotFoundError):
        kept.get()
    file.write_text("better")
    assert kept.get() == "better"
    assert made == ["", "", "good", "better"]
