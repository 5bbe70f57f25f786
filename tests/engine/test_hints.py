"""Hints of a registry that watches: what somebody else changed is repaired at once, not at the next resync."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kube_registrar.model.refs import InstanceId
from kube_registrar.testing import builders
from kube_registrar.testing.fake import LIKE_CLOUD_MAP
from kube_registrar.testing.faults import Op
from tests.engine.conftest import played
from tests.engine.harness import FLASK, Ground


@pytest.fixture
async def watching() -> AsyncIterator[Ground]:
    """A cluster and a registry that gives hints."""
    async for ground in played(Ground(capabilities=replace(LIKE_CLOUD_MAP, watches=True))):
        yield ground


def only(ground: Ground) -> InstanceId:
    (instance_id,) = ground.registry.held(FLASK)
    return instance_id


async def test_what_somebody_removed_is_registered_again_within_a_moment(watching: Ground) -> None:
    watching.cluster.apply(builders.pod())
    await watching.start()
    await watching.advance(5.0)
    watching.registry.drop(FLASK, only(watching))
    await watching.advance(1.0)
    assert only(watching)


async def test_without_hints_that_waits_for_the_resync(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(5.0)
    ground.registry.drop(FLASK, only(ground))
    await ground.advance(1.0)
    assert ground.registry.held(FLASK) == {}


async def test_a_hint_about_all_has_all_read_again(watching: Ground) -> None:
    await watching.start()
    await watching.advance(5.0)
    before = len(watching.registry.asked(Op.INSTANCES))
    watching.registry.hint(None)
    await watching.advance(100.0)
    assert len(watching.registry.asked(Op.INSTANCES)) >= before + 2


async def test_a_hint_about_what_nobody_knew_has_the_lists_read(watching: Ground) -> None:
    await watching.start()
    await watching.advance(5.0)
    watching.cluster.apply(builders.pod(annotations={"service": "test-namespace/new", "port": "http"}))
    watching.registry.add(builders.service_spec("test-namespace/new"))
    watching.registry.hint(builders.service_ref("test-namespace/new"))
    await watching.advance(10.0)
    assert watching.registry.held(builders.service_ref("test-namespace/new"))
