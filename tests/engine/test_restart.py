"""A restart, with things that happen meanwhile: each old instance goes, and nothing else does."""

import asyncio
import itertools

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import Uid
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground, registry_service


async def three(ground: Ground) -> None:
    """Register web-0 to web-2 and stop."""
    for number in range(3):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    assert ground.names() == ["web-0", "web-1", "web-2"]
    await ground.stop()


async def restarted(ground: Ground) -> int:
    """Start and let everything calm down; return how many instances were asked to be deregistered."""
    await ground.start()
    await ground.advance(5.0)
    return len(ground.deregistered())


async def test_nothing_changes_when_nothing_happened(ground: Ground) -> None:
    await three(ground)
    history = list(ground.registry.history)
    assert await restarted(ground) == 0
    await ground.advance(1_500.0)
    assert ground.registry.history == history
    assert ground.cluster.lookups == []


async def test_pods_created_meanwhile_come_and_pods_deleted_meanwhile_go(ground: Ground) -> None:
    await three(ground)
    ground.cluster.delete("web-1")
    ground.cluster.apply(builders.pod("web-3", ips=("10.0.0.3",)))
    assert await restarted(ground) == 1
    assert ground.names() == ["web-0", "web-2", "web-3"]


async def test_a_stateful_pod_that_came_back_under_its_name_replaces_its_former_self(ground: Ground) -> None:
    await three(ground)
    former = ground.instance("web-1").id
    ground.cluster.delete("web-1")
    ground.cluster.apply(builders.pod("web-1", uid=Uid("the-second-one"), ips=("10.0.0.9",)))
    assert await restarted(ground) == 1
    assert ground.deregistered() == [former]
    assert ground.names() == ["web-0", "web-1", "web-2"]
    assert ground.instance("web-1").attributes[keys.POD_UID] == "the-second-one"


async def test_a_stateful_pod_that_comes_back_while_we_watch_replaces_its_former_self(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web-1"))
    await ground.start()
    ground.cluster.apply(builders.pod("web-1", uid=Uid("the-second-one")))
    await ground.advance(1.0)
    assert [i.attributes[keys.POD_UID] for i in ground.own()] == ["the-second-one"]


async def test_a_pod_whose_annotation_was_removed_meanwhile_goes(ground: Ground) -> None:
    await three(ground)
    ground.cluster.bare("web-1")
    assert await restarted(ground) == 1
    assert ground.names() == ["web-0", "web-2"]


async def test_a_pod_that_failed_meanwhile_goes(ground: Ground) -> None:
    await three(ground)
    ground.cluster.edit("web-1", phase="Failed", ready=False)
    assert await restarted(ground) == 1
    assert ground.names() == ["web-0", "web-2"]


async def test_a_pod_that_became_unready_meanwhile_goes(ground: Ground) -> None:
    await three(ground)
    ground.cluster.edit("web-1", ready=False)
    assert await restarted(ground) == 1
    assert ground.names() == ["web-0", "web-2"]


async def test_a_pod_that_changed_meanwhile_is_written_once(ground: Ground) -> None:
    await three(ground)
    ground.cluster.annotate("web-1", service="test-namespace/flask-app", attributes="stage=dev")
    writes = len(ground.registry.asked(Op.REGISTER))
    assert await restarted(ground) == 0
    assert len(ground.registry.asked(Op.REGISTER)) == writes + 1
    assert ground.instance("web-1").attributes["stage"] == "dev"


async def test_an_instance_that_somebody_removed_meanwhile_comes_back(ground: Ground) -> None:
    await three(ground)
    ground.registry.drop(FLASK, ground.instance("web-1").id)
    assert await restarted(ground) == 0
    assert ground.names() == ["web-0", "web-1", "web-2"]


async def test_everything_at_once(ground: Ground) -> None:
    await three(ground)
    ground.cluster.apply(builders.pod("web-0", uid=Uid("another"), ips=("10.0.0.7",)))
    ground.cluster.bare("web-1")
    ground.cluster.delete("web-2")
    for number in range(3, 40):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.1.{number}",)))
    assert await restarted(ground) == 3
    assert ground.names() == sorted(["web-0", *(f"web-{number}" for number in range(3, 40))])


async def test_a_stop_with_everything_in_flight_is_caught_up_with(ground: Ground) -> None:
    await three(ground)
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 3.0)
    ground.registry.faults.delay(Op.DEREGISTER, 3.0)
    ground.cluster.apply(builders.pod("web-3", ips=("10.0.0.3",)))
    ground.cluster.delete("web-0")
    await ground.advance(1.0)
    await ground.restart()
    ground.cluster.delete("web-3")
    await ground.advance(1_300.0)
    assert ground.names() == ["web-1", "web-2"]


async def test_what_a_predecessor_sent_and_lands_late_is_found_by_the_next_full_look(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 30.0, times=1)
    ground.cluster.apply(builders.pod("web-0"))
    await ground.advance(1.0)
    await ground.stop()
    ground.cluster.delete("web-0")
    await ground.start()
    await ground.advance(31.0)
    assert ground.names() == ["web-0"]
    await ground.advance(800.0)
    assert ground.names() == []


async def test_pods_whose_wish_is_not_made_yet_lose_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may plan while thousands of wishes are still being made."""
    for number in range(60):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    monkeypatch.setattr("kube_registrar.sync.engine._CHUNK", 1)
    await ground.restart()
    assert ground.deregistered() == []
    assert len(ground.names()) == 60


async def test_a_pod_that_changes_while_all_wishes_are_made_anew_keeps_its_last_state(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_registrar.sync.engine._CHUNK", 1)
    for number in range(20):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    ground.engine.intake.object_applied(registry_service("something"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert ground.engine._is_following
    ground.cluster.delete("web-18")
    ground.cluster.edit("web-19", ready=False)
    await ground.settle()
    assert ground.engine.is_quiet
    assert len(ground.names()) == 18
    assert {"web-18", "web-19"}.isdisjoint(ground.names())
    assert builders.uid_of("web-18") not in ground.engine.wanted.pods


async def test_what_is_told_again_unchanged_costs_no_plan(ground: Ground) -> None:
    await three(ground)
    await ground.start()
    ground.cluster.relist()
    assert ground.engine.is_quiet
    assert ground.engine.queue_depth == 0


async def test_rounds_over_all_pods_leave_time_for_everything_else(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten wishes take a second, then three go to the rest, however often the world changes."""
    rounds: list[float] = []

    def slow(pod: Pod, world: World) -> Wish:
        if pod.name == "web-0":
            rounds.append(ground.clock.monotonic())
        ground.clock._now += 0.1
        return wish_of(pod, world)

    for number in range(10):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    await ground.advance(10.0)
    monkeypatch.setattr("kube_registrar.sync.engine.wish_of", slow)
    for number in range(20):
        ground.engine.intake.object_applied(registry_service(f"service-{number}"))
        await ground.advance(0.25)
    await ground.advance(10.0)
    assert len(rounds) <= 4
    assert all(after - before >= 4.0 for before, after in itertools.pairwise(rounds))
    assert ground.engine.is_quiet
