"""How what was agreed to is written: looked at again, service by service, on a fake registry and a fake clock."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kube_registrar.cli.upkeep.reading import Where, survey
from kube_registrar.cli.upkeep.selection import Entry, of_cluster
from kube_registrar.cli.upkeep.writing import BATCH, Result, carry_out
from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Urgency
from kube_registrar.model.errors import Refused, Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, RegistryName, ServiceRef, Uid
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op

OLD, NEW = Uid("old"), Uid("new")
FLASK, OTHER = builders.service_ref("test-namespace/flask-app"), builders.service_ref("test-namespace/other")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry(clock: FakeClock) -> FakeRegistry:
    made = FakeRegistry(clock=clock)
    made.add(builders.namespace_spec())
    made.add(builders.service_spec("test-namespace/flask-app"))
    made.add(builders.service_spec("test-namespace/other"))
    return made


def put(registry: FakeRegistry, *pods: str, uid: Uid = OLD, service: ServiceRef = FLASK) -> Sequence[InstanceId]:
    ids = []
    for pod in pods:
        made = builders.registration(pod, service, cluster_uid=uid).instance
        registry.put(service, made)
        ids.append(made.id)
    return ids


async def find(registry: FakeRegistry, where: Where | None = None) -> Sequence[Entry]:
    return of_cluster(await survey({DEFAULT_REGISTRY: registry}, where or Where()), OLD, NEW)


def deregister(entry: Entry) -> Change:
    return Deregister(entry.instance.id, entry.origin, "its cluster is dead")


async def evict(registry: FakeRegistry, clock: FakeClock, entries: Sequence[Entry]) -> tuple[Result, int]:
    """Return the result, and of how many instances the progress was told."""
    told: list[int] = []
    result = await clock.run(carry_out({DEFAULT_REGISTRY: registry}, entries, deregister, clock, told.append))
    return result, sum(told)


async def test_all_that_is_as_it_was_shown_goes_and_nobody_elses(registry: FakeRegistry, clock: FakeClock) -> None:
    put(registry, "a", "b")
    put(registry, "c", service=OTHER)
    ours = put(registry, "live", uid=NEW)
    result, told = await evict(registry, clock, await find(registry))
    assert (result, told) == (Result(done=3), 3)
    assert (list(registry.held(FLASK)), registry.held(OTHER)) == (ours, {})
    changes = [call.change for call in registry.asked(Op.DEREGISTER)]
    assert {change.urgency for change in changes if change is not None} == {Urgency.EVICT}


async def test_one_that_fails_stops_no_other(registry: FakeRegistry, clock: FakeClock) -> None:
    bad, good = put(registry, "bad", "good")
    put(registry, "c", service=OTHER)
    registry.faults.fail(Op.DEREGISTER, Refused("it is protected"), instance=bad)
    result, told = await evict(registry, clock, await find(registry))
    assert (result.done, told) == (2, 3)
    assert [(failure.entry.instance.id, failure.why) for failure in result.failures] == [(bad, "it is protected")]
    assert set(registry.held(FLASK)) == {bad}
    assert good not in registry.held(FLASK)


async def test_one_that_cannot_be_changed_as_asked_stops_no_other(registry: FakeRegistry, clock: FakeClock) -> None:
    full, _ = put(registry, "full", "good")

    def change_of(entry: Entry) -> Change:
        if entry.instance.id == full:
            raise Refused("it is full")
        return deregister(entry)

    entries = await find(registry)
    result = await clock.run(carry_out({DEFAULT_REGISTRY: registry}, entries, change_of, clock, lambda _: None))
    assert (result.done, [failure.why for failure in result.failures]) == (1, ["it is full"])
    assert set(registry.held(FLASK)) == {full}


async def test_a_service_that_cannot_be_read_stops_no_other(registry: FakeRegistry, clock: FakeClock) -> None:
    put(registry, "a", "b")
    entries = [*await find(registry)]
    put(registry, "c", service=OTHER)
    entries += await find(registry, Where(service="other"))
    registry.faults.fail(Op.INSTANCES, Unreachable("no answer"))
    result, _ = await evict(registry, clock, entries)
    assert result.done == 1
    assert {failure.why for failure in result.failures} == {"no answer"}
    assert len(registry.held(FLASK)) == 2


async def test_what_the_registry_was_too_busy_for_is_tried_again(registry: FakeRegistry, clock: FakeClock) -> None:
    (busy, _) = put(registry, "a", "b")
    registry.faults.fail(Op.DEREGISTER, Retryable("too fast", after=7.0), instance=busy, times=3)
    result, told = await evict(registry, clock, await find(registry))
    assert (result, told, registry.held(FLASK)) == (Result(done=2), 2, {})
    moments = [call.at for call in registry.asked(Op.DEREGISTER) if call.change and call.change.instance_id == busy]
    assert [later - earlier for earlier, later in itertools.pairwise(moments)] == [7.0, 7.0, 7.0]


async def test_what_stays_busy_is_a_failure(registry: FakeRegistry, clock: FakeClock) -> None:
    put(registry, "a")
    registry.faults.fail(Op.DEREGISTER, Retryable("too fast"), times=None)
    result, _ = await evict(registry, clock, await find(registry))
    assert [failure.why for failure in result.failures] == ["too fast"]
    assert len(registry.asked(Op.DEREGISTER)) == 4


async def test_what_changed_hands_since_it_was_shown_is_left(registry: FakeRegistry, clock: FakeClock) -> None:
    moved, written, gone, same = put(registry, "moved", "written", "gone", "same")
    entries = await find(registry)
    held = registry.held(FLASK)
    registry.put(FLASK, replace(held[moved], attributes={**held[moved].attributes, keys.CLUSTER_UID: NEW}))
    registry.put(FLASK, replace(held[written], attributes={**held[written].attributes, "canary": "yes"}))
    registry.drop(FLASK, gone)
    result, _ = await evict(registry, clock, entries)
    assert (result.done, result.gone) == (1, 1)
    assert [entry.instance.id for entry in result.moved] == [moved]
    assert [failure.entry.instance.id for failure in result.failures] == [written]
    assert set(registry.held(FLASK)) == {moved, written}
    assert same not in registry.held(FLASK)


async def test_newcomers_of_that_cluster_keep_the_service_as_it_is(registry: FakeRegistry, clock: FakeClock) -> None:
    put(registry, "a")
    put(registry, "b", service=OTHER)
    entries = await find(registry)
    put(registry, "new")
    result, _ = await evict(registry, clock, entries)
    assert result.done == 1
    assert [failure.why for failure in result.failures] == [
        f"1 instance of its cluster came to {FLASK} meanwhile: make sure that it is dead"
    ]
    assert len(registry.held(FLASK)) == 2


async def test_a_large_service_is_looked_at_again_and_again(registry: FakeRegistry, clock: FakeClock) -> None:
    put(registry, *(f"pod-{number}" for number in range(2 * BATCH + 1)))
    entries = await find(registry)
    registry.calls.clear()
    result, told = await evict(registry, clock, entries)
    assert (result, told) == (Result(done=2 * BATCH + 1), 2 * BATCH + 1)
    asked = [call.op for call in registry.calls]
    assert [index for index, op in enumerate(asked) if op is Op.INSTANCES] == [0, BATCH + 1, 2 * BATCH + 2]


async def test_a_survey_sees_what_was_asked_for_and_what_clusters_own(registry: FakeRegistry) -> None:
    put(registry, "a")
    put(registry, "b", service=OTHER)
    registry.put(FLASK, builders.instance("foreign"))
    registry.put(FLASK, Instance(InstanceId("forged"), {keys.CLUSTER_UID: OLD}))
    registries = {RegistryName("default"): registry}
    assert [entry.origin.name for entry in await survey(registries, Where())] == ["a", "b"]
    assert [entry.origin.name for entry in await survey(registries, Where(service="other"))] == ["b"]
    assert await survey(registries, Where(namespace="other")) == []


async def test_a_survey_that_is_not_whole_is_an_error(registry: FakeRegistry) -> None:
    put(registry, "a")
    registry.faults.fail(Op.INSTANCES, Unreachable("no answer"))
    with pytest.raises(ExceptionGroup) as raised:
        await survey({DEFAULT_REGISTRY: registry}, Where())
    assert raised.group_contains(Unreachable, match="no answer")
