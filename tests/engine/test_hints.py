"""A registry that watches tells what others change there: it is looked at at once, and not only at the resync."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kube_registrar.testing import builders
from kube_registrar.testing.fake import LIKE_CLOUD_MAP
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground

WATCHING = replace(LIKE_CLOUD_MAP, watches=True)


@pytest.fixture
async def watched() -> AsyncIterator[Ground]:
    ground = Ground(capabilities=WATCHING)
    yield ground
    await ground.stop()
    assert ground.violations == []


async def test_what_somebody_else_took_out_comes_back_at_once(watched: Ground) -> None:
    watched.cluster.apply(builders.pod())
    await watched.start()
    await watched.advance(30.0)
    (instance,) = watched.registry.held(FLASK)
    watched.registry.drop(FLASK, instance)
    await watched.advance(2.0)
    assert list(watched.registry.held(FLASK)) == [instance]


async def test_without_hints_it_comes_back_with_the_resync(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(30.0)
    (instance,) = ground.registry.held(FLASK)
    ground.registry.drop(FLASK, instance)
    await ground.advance(2.0)
    assert list(ground.registry.held(FLASK)) == []
    await ground.advance(900.0)
    assert list(ground.registry.held(FLASK)) == [instance]


async def test_a_hint_of_all_has_every_service_looked_at(watched: Ground) -> None:
    watched.cluster.apply(builders.pod())
    await watched.start()
    await watched.advance(30.0)
    before = len(watched.registry.asked(Op.INSTANCES, FLASK))
    watched.registry.hint(None)
    await watched.advance(10.0)
    assert len(watched.registry.asked(Op.INSTANCES, FLASK)) == before + 1


async def test_many_hints_are_few_looks(watched: Ground) -> None:
    watched.cluster.apply(builders.pod())
    await watched.start()
    await watched.advance(30.0)
    before = len(watched.registry.asked(Op.INSTANCES, FLASK))
    for _ in range(100):
        watched.registry.hint(FLASK)
        await watched.advance(0.05)  # 5 s in all
    await watched.advance(5.0)
    assert 4 <= len(watched.registry.asked(Op.INSTANCES, FLASK)) - before <= 7


async def test_hints_about_what_nobody_wants_are_passed_over(watched: Ground) -> None:
    await watched.start()
    watched.registry.hint(builders.service_ref("nowhere/nothing"))
    await watched.advance(5.0)
    assert watched.registry.asked(Op.INSTANCES, builders.service_ref("nowhere/nothing")) == []


async def test_a_hint_about_what_nobody_knew_has_the_lists_read(watched: Ground) -> None:
    await watched.start()
    await watched.advance(5.0)
    watched.cluster.apply(builders.pod(annotations={"service": "test-namespace/new", "port": "http"}))
    watched.registry.add(builders.service_spec("test-namespace/new"))
    watched.registry.hint(builders.service_ref("test-namespace/new"))
    await watched.advance(10.0)
    assert watched.registry.held(builders.service_ref("test-namespace/new"))
