"""The ground of every scenario."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from tests.engine.harness import EDGE, Ground


async def played(ground: Ground) -> AsyncIterator[Ground]:
    """Give the ground, stop it, and see that no pod that wanted its instance lost it, and that no task is left."""
    before = asyncio.all_tasks()
    yield ground
    await ground.stop()
    assert ground.violations == []
    assert {task.get_name() for task in asyncio.all_tasks() - before if task is not asyncio.current_task()} == set()


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    """One cluster and one registry, not started."""
    async for ground in played(Ground()):
        yield ground


@pytest.fixture
async def two_registries() -> AsyncIterator[Ground]:
    """One cluster and two registries, `default` and `edge`."""
    async for ground in played(Ground(names=(DEFAULT_REGISTRY, EDGE))):
        yield ground
