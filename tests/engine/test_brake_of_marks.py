"""The brake where `notReadyPolicy` is MarkUnhealthy: most clients find who is marked no more than who is gone."""

from collections import Counter
from typing import Any

import pytest

from kube_registrar.cli.looking.collecting import Collector
from kube_registrar.model.errors import Retryable
from kube_registrar.model.instances import Health
from kube_registrar.model.records import CustomObject, KubeService, Node, ServicePort
from kube_registrar.model.refs import Uid
from kube_registrar.operator.notices import Notices
from kube_registrar.operator.standing import StatusWriter
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine import harness
from tests.engine.harness import Ground
from tests.engine.statuses import FakeStatuses
from tests.engine.test_asked_by_others import selecting
from tests.engine.test_brake import address, approve, events, held, namespace_object, notice_of

MARKED = builders.service_ref("test-namespace/marked")
NODES = 20
PODS = 100


def marking() -> CustomObject:
    return selecting(
        "marked",
        name="marked",
        selector={"matchLabels": {"app": "x"}},
        port=8080,
        healthCheck={"type": "Custom"},
        notReadyPolicy="MarkUnhealthy",
    )


async def on_nodes(ground: Ground) -> None:
    """Register a hundred pods on twenty nodes."""
    ground.registry.add(builders.service_spec(ref=MARKED, custom_health=True))
    ground.cluster.apply_object(marking())
    lose_nodes(ground, reachable=True)
    for number in range(PODS):
        labels, node = {"app": "x"}, f"node-{number % NODES}"
        ground.cluster.apply(
            builders.pod(f"web-{number:03}", annotations={}, labels=labels, ips=address(number), node=node)
        )
    await ground.start()
    await ground.advance(3.0)
    assert healths(ground) == {"HEALTHY": PODS}


def lose_nodes(ground: Ground, count: int = NODES, *, reachable: bool = False) -> None:
    for number in range(count):
        ground.cluster.apply_node(Node(f"node-{number}", Uid(f"n{number}"), reachable=reachable, ready=reachable))


def set_ready(ground: Ground, *, ready: bool, each: range = range(PODS)) -> None:
    for number in each:
        ground.cluster.edit(f"web-{number:03}", ready=ready)


def healths(ground: Ground) -> dict[str, int]:
    return dict(Counter(one.health.value for one in ground.own(MARKED)))


def marks(ground: Ground) -> list[Any]:
    changes = [call.change for call in ground.registry.asked(Op.SET_HEALTH, MARKED)]
    return [change.instance_id for change in changes if change and change.health is Health.UNHEALTHY]  # type: ignore[union-attr]  # of that call


async def test_twenty_nodes_unreachable_at_once_mark_nobody(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(290.0)
    assert healths(ground) == {"HEALTHY": PODS}
    lose_nodes(ground, reachable=True)
    set_ready(ground, ready=True)
    await ground.advance(600.0)
    assert healths(ground) == {"HEALTHY": PODS}
    assert marks(ground) == []


async def test_marks_that_are_held_are_said_in_condition_events_status_and_metric(ground: Ground) -> None:
    await on_nodes(ground)
    statuses, engine = FakeStatuses(ground), ground.engine
    writer = StatusWriter(engine.catalog, statuses, ground.clock, [Notices(engine)])
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(10.0)
    assert ground.notebook.blocked_by == [("default", "unreachable")] * PODS
    assert len(events(ground, "DeletionHeld")) == 20
    said = next(event.message for event in ground.notebook.events if event.reason == "DeletionHeld")
    assert " stays HEALTHY in default:test-namespace/marked, although the pod is not ready, for its node" in said
    assert "its mark as UNHEALTHY is held: 100 of 100 instances" in said
    assert "would go, or be marked, within 60 s" in said
    condition = notice_of(ground, namespace_object(ground)).conditions["DeletionsHeld"]
    assert condition.message.startswith("100 instances stay HEALTHY although what they stand for is not ready")
    assert "100 of pods or Services whose nodes are unreachable" in condition.message
    counts = ground.engine.counts(MARKED)
    assert (counts.registered, counts.unhealthy, counts.held, counts.orphaned) == (PODS, 0, 0, 0), "they are as wanted"
    await writer.round()
    held_there: Any = statuses.objects["marked"].status["held"]
    assert (held_there["count"], held_there["causes"]) == (PODS, {"Unreachable": PODS})
    assert statuses.conditions("marked")["DeletionsHeld"] == ("True", "DeletionsHeld")


async def test_marks_that_are_held_are_what_plan_keeps(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await on_nodes(ground)
    await ground.stop()
    monkeypatch.setattr(harness, "Reporter", Collector)  # as `kube-registrar plan` hears of plans
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.start()
    await ground.advance(5.0)
    collector = ground.engine._reporter
    assert isinstance(collector, Collector)
    made = collector.plans[MARKED]
    assert (len(made.kept), made.changes, collector.is_counting) == (PODS, [], False)
    assert {why[:28] for why in made.kept.values()} == {"its mark as UNHEALTHY is hel"}


async def test_marks_go_out_after_five_minutes(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(310.0)
    assert healths(ground) == {"UNHEALTHY": PODS}
    assert len(marks(ground)) == PODS
    assert "DeletionsHeld" not in notice_of(ground, namespace_object(ground)).conditions


async def test_marks_go_out_once_they_are_approved(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(10.0)
    approve(ground, namespace_object(ground), held(ground).token)
    await ground.settle()
    assert healths(ground) == {"UNHEALTHY": PODS}
    assert events(ground, "DeletionsApproved") == [namespace_object(ground).name]


async def test_a_restart_marks_nobody_either(ground: Ground) -> None:
    await on_nodes(ground)
    await ground.stop()
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.start()
    await ground.advance(200.0)
    await ground.restart()
    await ground.advance(200.0)
    assert healths(ground) == {"HEALTHY": PODS}


async def test_one_unreachable_node_with_few_pods_marks_them(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground, 1)
    set_ready(ground, ready=False, each=range(0, PODS, NODES))
    await ground.advance(2.0)
    assert healths(ground) == {"HEALTHY": 95, "UNHEALTHY": 5}
    assert ground.notebook.blocked_by == []


async def test_pods_whose_own_containers_fail_are_marked_however_many(ground: Ground) -> None:
    await on_nodes(ground)
    set_ready(ground, ready=False, each=range(3))
    await ground.settle()
    assert healths(ground) == {"HEALTHY": 97, "UNHEALTHY": 3}, "a few at once"
    set_ready(ground, ready=False)
    await ground.advance(2.0)
    assert healths(ground) == {"UNHEALTHY": PODS}, "and many after a second in which nodes may turn out unreachable"
    assert ground.notebook.blocked_by == []


async def test_pods_that_are_ready_a_while_after_their_nodes_are_back_are_never_marked(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(60.0)
    lose_nodes(ground, reachable=True)
    await ground.advance(20.0)
    set_ready(ground, ready=True, each=range(0, PODS, 2))
    await ground.advance(5.0)
    assert healths(ground) == {"HEALTHY": PODS}
    await ground.advance(10.0)
    assert healths(ground) == {"HEALTHY": 50, "UNHEALTHY": 50}


async def test_a_held_pod_that_ends_goes_at_once(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(10.0)
    ground.cluster.delete("web-099")
    await ground.settle()
    assert healths(ground) == {"HEALTHY": 99}


async def test_a_mark_that_fails_is_held_no_second_time(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    set_ready(ground, ready=False)
    await ground.advance(290.0)
    ground.registry.faults.fail(Op.SET_HEALTH, Retryable("busy"), times=PODS)
    await ground.advance(60.0)
    assert healths(ground) == {"UNHEALTHY": PODS}
    assert len(ground.notebook.blocked_by) == PODS


async def test_marks_and_deregistrations_are_counted_together(ground: Ground) -> None:
    await on_nodes(ground)
    for number in range(200, 240):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=address(number), node=f"node-{number % NODES}"))
    await ground.settle()
    lose_nodes(ground)
    set_ready(ground, ready=False, each=range(25))  # a quarter of those that are marked
    for number in range(200, 220):
        ground.cluster.edit(f"web-{number}", ready=False)  # and of both, more than thirty of a hundred
    await ground.advance(30.0)
    assert healths(ground) == {"HEALTHY": PODS}
    assert len(ground.names()) == 40
    condition = notice_of(ground, namespace_object(ground)).conditions["DeletionsHeld"]
    assert condition.message.startswith("45 instances stay as they are although")


@pytest.mark.parametrize("count", [19, 20])
async def test_nodes_that_a_service_publishes_are_marked_by_the_same_rule(ground: Ground, count: int) -> None:
    ground.registry.add(builders.service_spec(ref=MARKED, custom_health=True))
    ground.cluster.apply_object(marking())
    service = KubeService(
        "default",
        "web",
        Uid("svc"),
        {"service": "test-namespace/marked", "publish": "NodePort"},
        type="NodePort",
        ports=(ServicePort("http", 80, node_port=30432),),
    )

    def nodes(number: int, **changes: Any) -> None:
        for one in range(number):
            found = Node(f"node-{one}", Uid(f"n{one}"), addresses=(f"10.1.0.{one + 1}",), **changes)
            ground.cluster.apply_node(found)

    nodes(NODES)
    ground.cluster.apply_service(service)
    await ground.start()
    assert healths(ground) == {"HEALTHY": NODES}
    nodes(count, reachable=False, ready=False)
    await ground.advance(290.0)
    assert healths(ground) == {"HEALTHY": NODES}
    nodes(count, ready=False)  # they say so themselves
    await ground.advance(40.0)
    assert healths(ground)["UNHEALTHY"] == count
