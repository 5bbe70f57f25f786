"""A registry may take half a minute to apply a status that it accepted, as Cloud Map does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kube_registrar.model.changes import Deregister, SetHealth
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId
from kube_registrar.runtime.fence import WRITE_SECONDS
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground
from tests.engine.test_brake_of_marks import MARKED, marking

DELAY = 30.0


@pytest.fixture
async def late(ground: Ground) -> Ground:
    """Three registered pods, in a registry service with custom health that another replica may have written to."""
    ground.straggler_seconds = WRITE_SECONDS
    ground.registry.health_seconds = DELAY
    ground.registry.add(builders.service_spec(ref=MARKED, custom_health=True))
    ground.cluster.apply_object(marking())
    for number in range(3):
        ground.cluster.apply(
            builders.pod(f"web-{number}", annotations={}, labels={"app": "x"}, ips=(f"10.0.0.{number + 1}",))
        )
    await ground.start()
    await ground.advance(100.0)
    return ground


def health(ground: Ground, name: str = "web-0") -> str:
    return ground.instance(name, MARKED).health.value


def pushes(ground: Ground) -> Sequence[str]:
    changes = [call.change for call in ground.registry.asked(Op.SET_HEALTH)]
    return [change.health.value for change in changes if isinstance(change, SetHealth)]


@pytest.mark.parametrize("is_ready", [True, False])
async def test_what_the_old_leader_pushed_and_was_applied_after_the_first_list_is_put_right(
    late: Ground, is_ready: bool
) -> None:
    before, pushed, wanted = ("HEALTHY", "UNHEALTHY", "HEALTHY") if is_ready else ("UNHEALTHY", "HEALTHY", "UNHEALTHY")
    if not is_ready:
        late.cluster.edit("web-0", ready=False)
        await late.advance(2 * DELAY)
    late.cluster.edit("web-0", ready=not is_ready)
    await late.advance(2.0)
    assert (health(late), pushes(late)[-1]) == (before, pushed), "it is on its way"
    await late.stand_by()
    late.cluster.edit("web-0", ready=is_ready)
    await late.advance(5.0)
    late.lead()
    await late.advance(DELAY)
    assert health(late) == pushed, "the next leader saw the old status and had nothing to say"
    await late.advance(2 * DELAY)
    assert (health(late), pushes(late)[-1]) == (wanted, wanted)
    assert health(late, "web-1") == "HEALTHY"


async def test_only_services_with_custom_health_are_looked_at_once_more(late: Ground) -> None:
    await late.stand_by()
    before = {service: len(late.registry.asked(Op.INSTANCES, service)) for service in (FLASK, MARKED)}
    late.lead()
    await late.advance(120.0)
    looks = {service: len(late.registry.asked(Op.INSTANCES, service)) - count for service, count in before.items()}
    assert looks == {FLASK: 2, MARKED: 3}
    await late.advance(300.0)
    assert len(late.registry.asked(Op.INSTANCES, MARKED)) - before[MARKED] == 3


async def look(ground: Ground) -> None:
    """Have the service read, for one of its instances is to be written anew."""
    looks = len(ground.registry.asked(Op.INSTANCES, MARKED))
    text = f"stage={len(ground.registry.calls)}"
    ground.cluster.annotate("web-2", attributes=text)
    await ground.settle()
    assert len(ground.registry.asked(Op.INSTANCES, MARKED)) == looks + 1


async def test_a_list_that_tells_the_old_status_while_our_push_is_on_its_way_pushes_no_second_time(
    late: Ground,
) -> None:
    late.cluster.edit("web-0", ready=False)
    await late.advance(1.0)
    for _ in range(4):
        await look(late)
        await late.advance(DELAY / 5)
    assert (pushes(late), health(late)) == (["UNHEALTHY"], "HEALTHY")
    await late.advance(1_200.0)
    assert (pushes(late), health(late)) == (["UNHEALTHY"], "UNHEALTHY")


async def test_a_pod_that_is_ready_again_while_our_push_is_on_its_way_is_pushed_again(late: Ground) -> None:
    late.cluster.edit("web-0", ready=False)
    await late.advance(5.0)
    await look(late)
    late.cluster.edit("web-0", ready=True)
    await late.advance(5.0)
    await look(late)
    assert pushes(late) == ["UNHEALTHY", "HEALTHY"]
    await late.advance(1_200.0)
    assert (pushes(late), health(late)) == (["UNHEALTHY", "HEALTHY"], "HEALTHY")


async def test_what_somebody_else_sets_meanwhile_is_put_right_once_our_push_must_have_been_applied(
    late: Ground,
) -> None:
    late.cluster.edit("web-0", ready=False)
    await late.advance(DELAY + 1.0)
    late.registry.put(MARKED, replace(late.instance("web-0", MARKED), health=Health.HEALTHY))
    await look(late)
    assert pushes(late) == ["UNHEALTHY"], "it may be the old status still"
    await late.advance(2 * DELAY)
    assert (pushes(late), health(late)) == (["UNHEALTHY"] * 2, "UNHEALTHY")


# The fake.


async def test_the_fake_applies_a_status_that_it_accepted_after_its_delay_and_to_what_is_there_then() -> None:
    clock = FakeClock()
    registry = FakeRegistry(clock=clock)
    registry.health_seconds = DELAY
    registry.add(builders.namespace_spec(ref=MARKED.namespace))
    registry.add(builders.service_spec(ref=MARKED, custom_health=True))
    stays, goes = (builders.registration(name, MARKED).instance for name in ("stays", "goes"))
    for each in (stays, goes):
        registry.put(MARKED, replace(each, health=Health.HEALTHY))
        change = SetHealth(each.id, builders.origin(), Health.UNHEALTHY)
        assert [outcome.error async for outcome in registry.apply(MARKED, [change])] == [None]
    absent = SetHealth(InstanceId("absent"), builders.origin(), Health.UNHEALTHY)
    [refused] = [outcome async for outcome in registry.apply(MARKED, [absent])]
    assert refused.error is not None
    gone = Deregister(goes.id, builders.origin(), "it goes")
    assert [outcome.error async for outcome in registry.apply(MARKED, [gone])] == [None]
    await clock.advance(DELAY - 1.0)
    assert {i: one.health.value for i, one in registry.held(MARKED).items()} == {stays.id: "HEALTHY"}
    await clock.advance(1.0)
    assert {i: one.health.value for i, one in registry.held(MARKED).items()} == {stays.id: "UNHEALTHY"}
