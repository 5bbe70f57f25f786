"""Fixtures for the tests of the ground itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

Script = Callable[[str, str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script that stands for a program; called with a path below tmp_path and its lines."""

    def write(name: str, lines: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it, and no binaries offered."""
    path = tmp_path / "cache"
    monkeypatch.setenv("KUBE_REGISTRAR_CACHE", str(path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return path
