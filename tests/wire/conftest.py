"""Servers and clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.server.cloudmap import heads
from kube_registrar.server.cloudmap.lane import Lane, Lanes
from tests.wire.harness import Server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a registry that has no troubles, and in which custom health takes effect at once."""
    with running(tmp_path / "data", customHealthDelaySeconds=0) as server:
        yield server


@pytest.fixture
def api(server: Server) -> Any:
    """Give a boto3 client of it."""
    return server.client()


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each connection that the lane does not answer itself."""
    return _noted(monkeypatch, Lane, "_hand_over")


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each answer that comes from the lane."""
    return _noted(monkeypatch, Lanes, "answer")


@pytest.fixture
def read_heads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each head that is read in full."""
    return _noted(monkeypatch, heads, "read")


def _noted(monkeypatch: pytest.MonkeyPatch, of: object, name: str) -> list[int]:
    """Return a list that gets a 1 at each call of a method or function."""
    seen, method = list[int](), getattr(of, name)

    def noted(*arguments: Any) -> Any:
        seen.append(1)
        return method(*arguments)

    monkeypatch.setattr(of, name, noted)
    return seen
