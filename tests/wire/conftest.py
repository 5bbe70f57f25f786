"""Servers and clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
