"""The brake: what may be a mistake is held when there is much of it, said, and let go for good reasons only."""

from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.records import (
    BarePod,
    CustomObject,
    Endpoint,
    KubeService,
    Node,
    Pod,
    ServicePort,
    Slice,
)
from kube_registrar.model.refs import Uid
from kube_registrar.operator.notices import Notices
from kube_registrar.operator.standing import StatusWriter
from kube_registrar.sync.holds import NOTHING, Held, Notice, key_of
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground, registry_service
from tests.engine.statuses import FakeStatuses

FLASK_TEXT = "test-namespace/flask-app"
OTHER_TEXT = "test-namespace/other"


def address(number: int) -> tuple[str]:
    return (f"10.0.{number // 250}.{number % 250 + 1}",)


def web(number: int, **fields: Any) -> Pod:
    return builders.pod(f"web-{number:03}", ips=address(number), **fields)


async def running(ground: Ground, count: int, **fields: Any) -> list[str]:
    """Register so many pods; return their names."""
    for number in range(count):
        ground.cluster.apply(web(number, **fields))
    await ground.start()
    names = [f"web-{number:03}" for number in range(count)]
    assert ground.names() == names
    return names


def notice_of(ground: Ground, thing: CustomObject) -> Notice:
    return ground.engine.holds.notices().get(key_of(thing), NOTHING)


def namespace_object(ground: Ground) -> CustomObject:
    return next(thing for thing in ground.engine.catalog.objects() if thing.kind == "RegistryNamespace")


def held(ground: Ground, thing: CustomObject | None = None) -> Held:
    found = notice_of(ground, thing or namespace_object(ground)).held
    assert found is not None
    return found


def approve(ground: Ground, thing: CustomObject, token: str) -> None:
    ground.engine.intake.object_applied(replace(thing, annotations={"approve": token}))


def events(ground: Ground, reason: str) -> list[str]:
    return [event.object for event in ground.notebook.events if event.reason == reason]


# What is written no longer asks for it.


async def test_an_annotation_taken_off_a_few_pods_acts_at_once(ground: Ground) -> None:
    names = await running(ground, 20)
    for name in names[:5]:
        ground.cluster.bare(name)
    await ground.settle()
    assert ground.names() == names[5:]
    assert ground.notebook.blocked_by == []


async def test_an_annotation_taken_off_many_pods_one_by_one_lets_five_go_and_holds_the_rest(ground: Ground) -> None:
    names = await running(ground, 100)
    for name in names:
        ground.cluster.bare(name)
        await ground.settle()
    await ground.advance(290.0)
    assert ground.names() == names[5:]
    assert ground.notebook.blocked_by == [("default", "configuration")] * 95
    assert len(events(ground, "DeletionHeld")) == 20
    assert held(ground).causes == {"Configuration": 95}
    await ground.advance(20.0)  # it has been so for five minutes
    assert ground.names() == []


async def test_many_annotations_changed_while_nobody_watched_are_all_held(ground: Ground) -> None:
    names = await running(ground, 100)
    await ground.stop()
    for name in names:
        ground.cluster.bare(name)
    await ground.start()
    await ground.advance(290.0)
    assert ground.names() == names
    await ground.advance(30.0)
    assert ground.names() == []


async def test_a_hold_begins_anew_with_a_restart(ground: Ground) -> None:
    names = await running(ground, 100)
    await ground.stop()
    for name in names:
        ground.cluster.bare(name)
    await ground.start()
    await ground.advance(200.0)
    await ground.restart()
    await ground.advance(200.0)
    assert ground.names() == names


async def test_pods_that_ask_again_drop_out_of_the_hold(ground: Ground) -> None:
    await running(ground, 100)
    for number in range(100):
        ground.cluster.bare(f"web-{number:03}")
    await ground.advance(60.0)
    for number in range(100):
        ground.cluster.apply(web(number))
    await ground.advance(600.0)
    assert len(ground.names()) == 100
    assert notice_of(ground, namespace_object(ground)) == NOTHING
    assert ground.deregistered() == []


async def test_a_held_pod_that_ends_goes_at_once(ground: Ground) -> None:
    names = await running(ground, 100)
    for name in names:
        ground.cluster.bare(name)
    await ground.advance(10.0)
    ground.cluster.delete("web-099")
    await ground.settle()
    assert ground.names() == names[:99]


@pytest.mark.parametrize("deed", ["deleted", "mistyped"])
async def test_a_registry_service_that_selected_a_hundred_live_pods_goes_or_is_mistyped(
    ground: Ground, deed: str
) -> None:
    thing = selecting("web")
    ground.cluster.objects.append(thing)
    names = await running(ground, 100, annotations={}, labels={"app": "web"})
    change_selection(ground, thing, deed)
    await ground.advance(290.0)
    assert ground.names() == names  # not one of them, for all of it is known before any goes
    assert ground.notebook.blocked_by == [("default", "configuration")] * 100
    condition = notice_of(ground, namespace_object(ground)).conditions["DeletionsHeld"]
    assert condition.message.startswith("100 instances stay registered although nobody wants them")
    assert "100 of live pods that nothing asks for any more" in condition.message
    ground.engine.intake.object_applied(thing)  # restored
    await ground.advance(600.0)
    assert ground.names() == names
    assert ground.deregistered() == []


async def test_a_registry_service_deleted_while_nobody_watched_takes_nobody_out(ground: Ground) -> None:
    thing = selecting("web")
    ground.cluster.objects.append(thing)
    names = await running(ground, 100, annotations={}, labels={"app": "web"})
    await ground.stop()
    ground.cluster.objects.remove(thing)
    await ground.start()
    await ground.advance(290.0)
    assert ground.names() == names
    await ground.advance(30.0)
    assert ground.names() == []


async def test_a_selector_that_is_meant_so_acts_after_approval(ground: Ground) -> None:
    thing = selecting("web")
    ground.cluster.objects.append(thing)
    await running(ground, 100, annotations={}, labels={"app": "web"})
    change_selection(ground, thing, "mistyped")
    await ground.advance(10.0)
    mistyped = next(t for t in ground.engine.catalog.objects() if t.kind == "RegistryService")
    approve(ground, mistyped, held(ground, mistyped).token)
    await ground.advance(1.0)  # what was known of the pods is ten seconds old: they are asked about once more
    assert ground.names() == []
    assert events(ground, "DeletionsApproved") == ["flask-app"]
    assert ground.notebook.events[-1].message.endswith("; it was held, and somebody approved it")


def selecting(app: str) -> CustomObject:
    thing = registry_service("flask-app")
    spec = {**thing.spec, "selector": {"matchLabels": {"app": app}}, "port": 8080}
    return replace(thing, spec=spec)


def change_selection(ground: Ground, thing: CustomObject, deed: str) -> None:
    if deed == "deleted":
        ground.engine.intake.object_deleted(thing)
    else:
        ground.engine.intake.object_applied(replace(selecting("wbe"), generation=2))


async def test_a_service_annotation_changed_on_many_pods_is_a_move_that_is_held(ground: Ground) -> None:
    names = await running(ground, 50)
    for name in names:
        ground.cluster.annotate(name, service=OTHER_TEXT)
    await ground.advance(60.0)
    assert ground.names(OTHER) == ground.names(FLASK) == names
    await ground.advance(300.0)
    assert ground.names(FLASK) == []


async def test_a_new_port_on_many_pods_holds_nothing_for_they_stay_where_they_are(ground: Ground) -> None:
    names = await running(ground, 50)
    for name in names:
        ground.cluster.annotate(name, service=FLASK_TEXT, port="9090")
    await ground.advance(5.0)
    assert ground.names() == names
    assert ground.notebook.blocked_by == []


async def test_what_is_many_in_one_service_holds_nothing_in_another(ground: Ground) -> None:
    for number in range(100):
        ground.cluster.apply(web(number, annotations={"service": OTHER_TEXT}))
    for number in range(100, 110):
        ground.cluster.apply(web(number))
    await ground.start()
    for number in (*range(100, 110), 0):
        ground.cluster.bare(f"web-{number:03}")
        await ground.settle()
    await ground.advance(5.0)
    assert len(ground.names(OTHER)) == 99
    assert len(ground.names(FLASK)) == 5


async def test_slow_changes_add_up_within_a_minute_and_not_beyond(ground: Ground) -> None:
    names = await running(ground, 16)
    for name in names[:10]:
        ground.cluster.bare(name)
        await ground.advance(13.0)  # five within any minute
    assert ground.names() == names[10:]
    for name in names[10:]:
        ground.cluster.bare(name)
        await ground.advance(5.0)
    assert len(ground.names()) > 0


@pytest.mark.parametrize("deed", ["deleted", "deleted, and a relist lacks it", "no longer annotated"])
async def test_an_annotated_service_over_a_hundred_live_pods_goes_or_asks_no_longer(ground: Ground, deed: str) -> None:
    service = KubeService(
        "default", "web", Uid("web"), {"service": FLASK_TEXT}, selector={"app": "web"}, ports=(ServicePort("http", 80),)
    )
    ground.cluster.apply_service(service)
    for number in range(100):
        pod = web(number, annotations={}, labels={"app": "web"})
        ground.cluster.apply(pod)
        endpoint = Endpoint(pod.ips, pod=pod.name, pod_uid=pod.uid)
        found = Slice("default", f"web-{number}", Uid(f"s{number}"), "web", (endpoint,), (("http", 8080),))
        ground.cluster.apply_slice(found)
    await ground.start()
    names = ground.names()
    assert len(names) == 100
    if deed.startswith("deleted"):
        ground.cluster.delete_service("web", seen=deed == "deleted")
    else:
        ground.cluster.apply_service(replace(service, annotations={}))
    await ground.advance(280.0)
    assert ground.names() == names
    ground.cluster.apply_service(service)
    await ground.advance(600.0)
    assert ground.names() == names
    assert ground.deregistered() == []


# Readiness and nodes.


async def test_pods_that_become_unready_go_however_many_they_are(ground: Ground) -> None:
    await running(ground, 100)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(2.0)
    assert ground.names() == []
    assert ground.notebook.blocked_by == []


async def test_a_pod_that_becomes_unready_goes_at_once(ground: Ground) -> None:
    await running(ground, 100)
    ground.cluster.edit("web-000", ready=False)
    await ground.settle()
    assert len(ground.names()) == 99


def lose_nodes(ground: Ground, *, reachable: bool = False) -> None:
    for number in range(20):
        ground.cluster.apply_node(Node(f"node-{number}", Uid(f"n{number}"), reachable=reachable, ready=reachable))


async def on_nodes(ground: Ground) -> list[str]:
    for number in range(100):
        ground.cluster.apply(web(number, node=f"node-{number % 20}"))
    await ground.start()
    return ground.names()


async def test_twenty_nodes_unreachable_at_once_take_nobody_out(ground: Ground) -> None:
    names = await on_nodes(ground)
    lose_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(290.0)
    assert ground.names() == names
    assert held(ground).causes == {"Unreachable": 100}
    lose_nodes(ground, reachable=True)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=True)
    await ground.advance(600.0)
    assert ground.names() == names
    assert ground.deregistered() == []


async def test_pods_that_are_ready_a_while_after_their_nodes_are_back_never_go(ground: Ground) -> None:
    names = await on_nodes(ground)
    lose_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(60.0)
    lose_nodes(ground, reachable=True)
    await ground.advance(20.0)
    assert ground.names() == names
    for number in range(0, 100, 2):
        ground.cluster.edit(f"web-{number:03}", ready=True)
    await ground.advance(5.0)
    assert ground.names() == names
    assert held(ground).causes == {"Unreachable": 50}
    await ground.advance(10.0)
    assert len(ground.names()) == 50  # their nodes are back, and they are not ready all the same
    assert len(ground.deregistered()) == 50


async def test_nodes_that_come_and_go_hold_their_pods_on(ground: Ground) -> None:
    names = await on_nodes(ground)
    lose_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    for _ in range(5):
        await ground.advance(25.0)
        lose_nodes(ground, reachable=True)
        await ground.advance(20.0)
        lose_nodes(ground)
    assert ground.names() == names


async def test_nodes_that_stay_unreachable_take_their_pods_out_after_five_minutes(ground: Ground) -> None:
    await on_nodes(ground)
    lose_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(310.0)
    assert ground.names() == []


async def test_nodes_found_unreachable_a_moment_after_their_pods_became_unready_hold_them_too(ground: Ground) -> None:
    names = await on_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(0.5)
    lose_nodes(ground)
    await ground.advance(290.0)
    assert (ground.names(), ground.deregistered()) == (names, [])


async def test_of_pods_that_their_kubelets_call_unready_one_by_one_five_go_before_their_nodes_are_looked_at(
    ground: Ground,
) -> None:
    names = await on_nodes(ground)
    for name in names:
        ground.cluster.edit(name, ready=False)
        await ground.settle()
    await ground.advance(0.5)
    lose_nodes(ground)
    await ground.advance(290.0)
    assert ground.names() == names[5:]


@pytest.mark.parametrize("seconds", [0.5, 5.0, None])
async def test_pods_that_their_kubelet_did_not_call_unready_wait_for_their_nodes_and_none_is_lost(
    ground: Ground, seconds: float | None
) -> None:
    """Kubernetes takes Ready alone from the pods of a node that it hears nothing of; that may be seen before."""
    names = await on_nodes(ground)
    for name in names:
        ground.cluster.edit(name, ready=False, silent=True)
        await ground.settle()
    await ground.advance(seconds or 0.0)
    if seconds is not None:
        lose_nodes(ground)
    await ground.advance(285.0)
    assert (ground.names(), ground.deregistered()) == (names, [])
    assert held(ground).causes == {"Unreachable": 100}
    lose_nodes(ground, reachable=True)
    await ground.advance(5.0)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=True, silent=False)
    await ground.advance(600.0)
    assert (ground.names(), ground.deregistered()) == (names, [])


async def test_a_few_pods_that_their_kubelet_did_not_call_unready_go_after_a_second(ground: Ground) -> None:
    names = await on_nodes(ground)
    for name in names[:5]:
        ground.cluster.edit(name, ready=False, silent=True)
    await ground.advance(2.0)
    assert ground.names() == names[5:]
    assert "nothing is heard of its node node-" in ground.notebook.events[-1].message


async def test_a_kubelet_that_is_heard_again_and_calls_its_pods_unready_takes_them_out(ground: Ground) -> None:
    names = await on_nodes(ground)
    for name in names:
        ground.cluster.edit(name, ready=False, silent=True)
    await ground.advance(20.0)
    assert ground.names() == names
    for name in names:
        ground.cluster.edit(name, ready=False, silent=False)
    await ground.advance(50.0)
    assert ground.names() == []


async def test_nodes_that_were_lost_while_nobody_watched_take_nobody_out(ground: Ground) -> None:
    names = await on_nodes(ground)
    await ground.stop()
    lose_nodes(ground)
    for number in range(100):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.start()
    await ground.advance(290.0)
    assert ground.names() == names


async def test_one_unreachable_node_with_few_pods_takes_them_out(ground: Ground) -> None:
    await on_nodes(ground)
    ground.cluster.apply_node(Node("node-0", Uid("n0"), reachable=False, ready=False))
    for number in range(0, 100, 20):
        ground.cluster.edit(f"web-{number:03}", ready=False)
    await ground.advance(2.0)
    assert len(ground.names()) == 95


# Seen ends are never held.


@pytest.mark.parametrize("end", ["terminating", "deleted", "failed"])
async def test_scaled_to_zero_by_the_user_every_instance_is_out_at_once(ground: Ground, end: str) -> None:
    names = await running(ground, 500)
    for name in names:
        if end == "deleted":
            ground.cluster.delete(name)
        else:
            ground.cluster.edit(name, **({"terminating": True} if end == "terminating" else {"phase": "Failed"}))
    await ground.settle()
    assert ground.names() == []
    assert ground.notebook.blocked_by == []


async def test_pods_that_were_found_terminating_after_a_restart_go_at_once(ground: Ground) -> None:
    names = await running(ground, 100)
    await ground.stop()
    for name in names:
        ground.cluster.edit(name, terminating=True)
    await ground.start()
    assert ground.names() == []


async def test_pods_replaced_under_their_names_while_nobody_watched_go(ground: Ground) -> None:
    names = await running(ground, 100)
    await ground.stop()
    for number, name in enumerate(names):
        ground.cluster.pods["default", name] = web(number, uid=Uid(f"new-{number}"))
    await ground.start()
    await ground.advance(2.0)
    assert {i.attributes["KUBE_POD_UID"] for i in ground.own()} == {f"new-{number}" for number in range(100)}


# Missing pods.


async def vanish(ground: Ground, count: int) -> list[str]:
    """A relist lacks so many pods that nobody saw go."""
    names = await running(ground, count)
    ground.cluster.hidden = set(ground.cluster.pods)
    ground.cluster.relist()
    return names


async def test_five_hundred_pods_missing_from_a_relist_stay_while_a_read_finds_them(ground: Ground) -> None:
    names = await vanish(ground, 500)
    await ground.advance(1_300.0)
    assert ground.names() == names
    assert ground.deregistered() == []


async def test_five_hundred_missing_pods_are_held_until_a_second_list_lacks_them(ground: Ground) -> None:
    names = await running(ground, 500)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(55.0)
    assert ground.names() == names
    assert ground.cluster.lists == []
    assert held(ground).causes == {"Missing": 500}
    await ground.advance(15.0)
    assert ground.names() == []
    assert ground.cluster.lists == ["default"]
    assert ground.notebook.events[-1].message.endswith("; it was held, and a second full list of pods lacks it too")


async def test_many_pods_that_went_while_nobody_watched_go_after_a_minute(ground: Ground) -> None:
    names = await running(ground, 100)
    await ground.stop()
    for name in names:
        ground.cluster.lose(name)
    await ground.start()
    await ground.advance(55.0)
    assert ground.names() == names
    await ground.advance(15.0)
    assert ground.names() == []


async def test_pods_that_a_read_does_not_find_and_a_list_does_stay(ground: Ground) -> None:
    names = await running(ground, 20)
    there = dict(ground.cluster.pods)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(30.0)
    ground.cluster.pods, ground.cluster.hidden = there, set(there)
    await ground.advance(600.0)
    assert ground.names() == names
    assert notice_of(ground, namespace_object(ground)) == NOTHING


@pytest.mark.parametrize("trouble", ["error", "another cluster"])
async def test_a_second_list_that_fails_or_is_of_another_cluster_releases_nothing(ground: Ground, trouble: str) -> None:
    """Behind the same address another API server may answer: it knows none of our pods."""
    names = await running(ground, 50)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(30.0)
    if trouble == "error":
        ground.cluster.list_error = TimeoutError()
    else:
        ground.cluster.answers_as = Uid("another")
    await ground.advance(1_000.0)
    assert ground.names() == names
    assert 20 <= len(ground.cluster.lists) <= 40
    ground.cluster.list_error, ground.cluster.answers_as = None, builders.CLUSTER_UID
    await ground.advance(60.0)
    assert ground.names() == []


async def test_a_few_missing_pods_go_after_a_moment(ground: Ground) -> None:
    names = await running(ground, 20)
    for name in names[:5]:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(2.0)
    assert ground.names() == names[5:]
    assert ground.cluster.lists == []


async def test_a_missing_pod_whose_address_another_has_now_is_not_held(ground: Ground) -> None:
    names = await running(ground, 20)
    for name in names:
        ground.cluster.lose(name)
    for number in range(20):
        ground.cluster.apply(builders.pod(f"new-{number:02}", ips=address(number)))
    ground.cluster.relist()
    await ground.advance(5.0)
    assert ground.names() == [f"new-{number:02}" for number in range(20)]


# What is said and approved.


async def test_an_approval_releases_just_what_was_held_under_its_token(ground: Ground) -> None:
    names = await running(ground, 60)
    for name in names[:30]:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    thing = namespace_object(ground)
    token = held(ground, thing).token
    for name in names[30:40]:
        ground.cluster.bare(name)
    await ground.advance(10.0)
    assert held(ground, thing).token != token
    approve(ground, thing, token)
    await ground.advance(1.0)
    assert ground.names() == names[30:]
    assert held(ground, thing).causes == {"Configuration": 10}


async def test_an_approval_of_something_else_releases_nothing_and_is_said(ground: Ground) -> None:
    names = await running(ground, 60)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    thing = namespace_object(ground)
    token = held(ground, thing).token
    approve(ground, thing, "0123456789abcdef")
    await ground.advance(5.0)
    assert ground.names() == names
    message = notice_of(ground, namespace_object(ground)).conditions["DeletionsHeld"].message
    assert message.endswith("The approval '0123456789abcdef' is of something else than what is held now")
    await ground.restart()
    await ground.advance(10.0)
    approve(ground, thing, token)  # what was approved before a restart is asked again
    await ground.advance(5.0)
    assert ground.names() == names
    assert events(ground, "DeletionsApproved") == []


async def test_nobody_approves_for_another_kubernetes_namespace(ground: Ground) -> None:
    mine, theirs = registry_service("flask-app"), replace(registry_service("flask-app"), namespace="team", uid=Uid("t"))
    ground.cluster.objects += [mine, theirs]
    for number in range(40):
        namespace = "default" if number % 2 else "team"
        ground.cluster.apply(web(number, namespace=namespace))
    await ground.start()
    for key in list(ground.cluster.pods):
        del ground.cluster.pods[key]
    ground.cluster.relist()
    await ground.advance(10.0)
    assert (held(ground, mine).count, held(ground, theirs).count, held(ground).count) == (20, 20, 40)
    approve(ground, theirs, held(ground, mine).token)
    approve(ground, theirs, held(ground).token)
    await ground.advance(1.0)
    assert len(ground.own()) == 40
    approve(ground, theirs, held(ground, theirs).token)
    await ground.advance(1.0)
    assert {i.attributes["KUBE_NAMESPACE"] for i in ground.own()} == {"default"}
    assert len(ground.own()) == 20


def writer_of(ground: Ground) -> tuple[StatusWriter, FakeStatuses]:
    statuses, engine = FakeStatuses(ground), ground.engine
    return StatusWriter(engine.catalog, statuses, ground.clock, [Notices(engine)]), statuses


async def test_the_status_says_what_is_held_and_ceases_to(ground: Ground) -> None:
    names = await running(ground, 30)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    thing = namespace_object(ground)
    writer, statuses = writer_of(ground)
    await writer.round()
    held_there: Any = statuses.objects[thing.name].status["held"]
    assert (held_there["count"], held_there["causes"], len(held_there["pods"])) == (30, {"Missing": 30}, 20)
    assert statuses.conditions(thing.name) == {"DeletionsHeld": ("True", "DeletionsHeld")}
    await writer.round()
    assert len(statuses.patches) == 1
    assert events(ground, "DeletionsHeld") == [thing.name]
    await ground.advance(120.0)
    await writer.round()
    assert statuses.conditions(thing.name) == {"DeletionsHeld": ("False", "NoDeletionsHeld")}
    assert "held" not in statuses.objects[thing.name].status


async def test_the_token_stays_while_the_hold_does_whatever_becomes_of_the_time_of_day(ground: Ground) -> None:
    names = await running(ground, 30)
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    before = held(ground)
    ground.clock._since_1970 += 0.0006
    assert held(ground) == before


async def test_who_leads_again_says_what_is_held_now(ground: Ground) -> None:
    names = await running(ground, 30)
    writer, statuses = writer_of(ground)
    await writer.round()
    await ground.stand_by()
    ground.lead()
    await ground.settle()
    for name in names:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    await writer.round()
    [name] = statuses.objects
    assert statuses.conditions(name) == {"DeletionsHeld": ("True", "DeletionsHeld")}


async def test_an_object_without_trouble_says_nothing_of_it(ground: Ground) -> None:
    await running(ground, 3)
    writer, statuses = writer_of(ground)
    await writer.round()
    assert statuses.patches == []


# Another writer with our identity.

RESYNCS = 1_500.0
"""Several resyncs: what appears is only strange after all that a predecessor sent has landed."""


def strange(name: str, **attributes: str) -> Any:
    found = builders.registration(name, ip="10.9.9.9").instance
    return replace(found, attributes={**found.attributes, **attributes})


async def test_an_instance_with_our_identity_that_we_did_not_write_stops_removals_for_want_of_a_pod(
    ground: Ground,
) -> None:
    names = await running(ground, 20)
    await ground.advance(RESYNCS)
    ground.registry.put(FLASK, strange("stranger"))
    await ground.advance(RESYNCS)
    assert "stranger" in ground.names()
    condition = notice_of(ground, namespace_object(ground)).conditions["DuplicateCluster"]
    assert "which this cluster's kube-registrar did not write" in condition.message
    ground.cluster.lose(names[0])
    ground.cluster.relist()
    await ground.advance(600.0)
    assert names[0] in ground.names()
    assert ("default", "duplicate-cluster") in ground.notebook.blocked_by
    ground.cluster.delete(names[1])  # what we see goes as ever
    await ground.settle()
    assert names[1] not in ground.names()
    await ground.restart()  # a person has looked
    await ground.advance(5.0)
    assert ground.names() == names[2:]


@pytest.mark.parametrize("innocent", ["taken over", "of a pod that no watch tells of", "soon after the start"])
async def test_what_has_another_explanation_raises_no_alarm(ground: Ground, innocent: str) -> None:
    await running(ground, 20)
    if innocent != "soon after the start":
        await ground.advance(RESYNCS)
    else:
        await ground.advance(200.0)
    if innocent == "taken over":
        ground.registry.put(FLASK, strange("stranger", KUBE_TAKEN_OVER="yes"))
    else:
        ground.registry.put(FLASK, strange("stranger"))
    if innocent == "of a pod that no watch tells of":
        ground.cluster.hidden.add(("default", "stranger"))
        ground.cluster.apply(builders.pod("stranger", ips=("10.9.9.9",)))
    await ground.advance(RESYNCS)
    assert "DuplicateCluster" not in notice_of(ground, namespace_object(ground)).conditions
    assert ("stranger" in ground.names()) is (innocent == "of a pod that no watch tells of")


async def test_our_own_late_writes_raise_no_alarm(ground: Ground) -> None:
    await running(ground, 3)
    await ground.advance(RESYNCS)
    ground.registry.faults.straggle(Op.REGISTER, 250.0)
    ground.cluster.apply(web(7))
    await ground.advance(1.0)
    ground.cluster.delete("web-007")
    await ground.advance(RESYNCS)
    assert "DuplicateCluster" not in notice_of(ground, namespace_object(ground)).conditions
    assert "web-007" not in ground.names()


# The cluster's name.


async def test_a_renamed_cluster_leaves_what_it_wrote_before_alone_and_says_so(ground: Ground) -> None:
    names = await running(ground, 10)
    await ground.stop()
    before = ground.registry.held(FLASK)
    ground.cluster_name = "renamed"
    ground.cluster.apply(web(10))
    for name in names[:3]:
        ground.cluster.lose(name)
    await ground.start()
    ground.engine.holds.notices()
    await ground.advance(700.0)
    assert {i: each for i, each in ground.registry.held(FLASK).items() if i in before} == before
    assert "web-010" in ground.names()
    condition = notice_of(ground, namespace_object(ground)).conditions["ClusterNameDiffers"]
    assert condition.message.startswith("10 instances of cluster 'test' with this cluster's UID")
    assert f"takeover --from {builders.CLUSTER_UID}" in condition.message
    assert ground.reasons("web-009") == ["Registered", "RegistrationFailed"]
    assert "another cluster name" in ground.notebook.events[-1].message or ground.deregistered() == []
    assert ground.deregistered() == []


async def test_instances_without_a_name_become_those_of_the_name_that_is_given(ground: Ground) -> None:
    ground.cluster_name = ""
    await running(ground, 3)
    await ground.stop()
    ground.cluster_name = "prod"
    await ground.start()
    await ground.advance(5.0)
    assert {i.attributes["KUBE_CLUSTER"] for i in ground.own()} == {"prod"}
    assert len(ground.own()) == 3


async def test_a_clone_with_a_name_of_its_own_never_touches_the_original(ground: Ground) -> None:
    clone = Ground(like=ground, cluster_name="clone")
    names = await running(ground, 30)
    for number in range(30):  # the same UIDs: it came out of the same backup
        clone.cluster.apply(web(number))
    await clone.start()
    for name in names:
        clone.cluster.delete(name)
    clone.cluster.apply(builders.pod("only-in-the-clone", ips=("10.8.0.1",)))
    await ground.advance(1_500.0)
    assert set(names) <= set(ground.names())
    assert "only-in-the-clone" in ground.names()
    for name in names[:5]:
        ground.cluster.delete(name)
    await ground.advance(1_500.0)
    assert "only-in-the-clone" in ground.names()
    assert len(ground.names()) == 26
    await clone.stop()
    assert clone.violations == []


async def test_instances_of_our_name_and_another_uid_are_said_and_left_alone(ground: Ground) -> None:
    former = builders.registration("old", cluster_uid=Uid("former"), KUBE_CLUSTER="test").instance
    ground.registry.put(FLASK, former)
    await running(ground, 3)
    ground.engine.holds.notices()
    await ground.advance(700.0)
    condition = notice_of(ground, namespace_object(ground)).conditions["ClusterUidDiffers"]
    assert condition.message.startswith("1 instances of cluster UID former with this cluster's name 'test'")
    assert former.id in ground.registry.held(FLASK)
    assert events(ground, "ClusterUidDiffers") == ["default-test-namespace"]


async def test_bare_pods_that_are_held_are_not_asked_about_all_the_time(ground: Ground) -> None:
    names = await running(ground, 50)
    await ground.stop()
    for name in names:
        ground.cluster.apply(BarePod("default", name, builders.uid_of(name)))
    await ground.start()
    await ground.advance(290.0)
    assert ground.names() == names
    assert len(ground.cluster.lookups) <= 50 * 5


async def test_a_writer_that_was_made_before_a_lead_says_what_is_held_in_it(ground: Ground) -> None:
    await running(ground, 30)
    writer, statuses = writer_of(ground)
    await ground.stand_by()
    ground.lead()
    await ground.settle()
    for name in ground.names():
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(10.0)
    await writer.round()
    assert statuses.conditions(namespace_object(ground).name) == {"DeletionsHeld": ("True", "DeletionsHeld")}
