"""The ground of every scenario."""

from collections.abc import AsyncIterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from tests.engine.harness import EDGE, Ground


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    """One cluster and one registry, not started; at the end no deregistration may have hit a pod that wants it."""
    ground = Ground()
    yield ground
    await ground.stop()
    assert ground.violations == []


@pytest.fixture
async def two_registries() -> AsyncIterator[Ground]:
    """One cluster and two registries, `default` and `edge`."""
    ground = Ground(names=(DEFAULT_REGISTRY, EDGE))
    yield ground
    await ground.stop()
    assert ground.violations == []
