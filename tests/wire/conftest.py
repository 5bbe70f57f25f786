"""Servers and clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    seen = list[int]()
    hand_over = Lane._hand_over

    def noted(lane: Lane, transport: object) -> None:
        seen.append(1)
        hand_over(lane, transport)  # type: ignore[arg-type]

    monkeypatch.setattr(Lane, "_hand_over", noted)
    return seen


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each answer that comes from the lane."""
    seen = list[int]()
    answer = Lanes.answer

    def noted(lanes: Lanes, content: bytes) -> bytes:
        seen.append(1)
        return answer(lanes, content)

    monkeypatch.setattr(Lanes, "answer", noted)
    return seen
