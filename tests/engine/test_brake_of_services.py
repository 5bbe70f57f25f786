"""The brake on what Services publish: all of it going at once is no better evidence than most of it going."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.records import EXCLUDE_LABEL, Endpoint, KubeService, Node, ServicePort, Slice
from kube_registrar.model.refs import Uid
from tests.engine.harness import FLASK, Ground
from tests.engine.test_asked_by_others import allowing_machines
from tests.engine.test_brake import FLASK_TEXT, OTHER_TEXT, approve, events, held, namespace_object

HOLD = 290.0
"""A little less than a hold lasts."""
NODES = 20
NODE_PORT = KubeService(
    "default",
    "web",
    Uid("svc"),
    {"service": FLASK_TEXT, "publish": "NodePort"},
    type="NodePort",
    ports=(ServicePort("http", 80, node_port=30432),),
)
MACHINES = KubeService("default", "web", Uid("svc"), {"service": FLASK_TEXT}, ports=(ServicePort("http", 80),))


def node(number: int, **changes: object) -> Node:
    made = Node(f"node-{number}", Uid(f"n{number}"), addresses=(f"10.1.0.{number + 1}",))
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of it


async def on_nodes(ground: Ground, service: KubeService = NODE_PORT) -> None:
    for number in range(NODES):
        ground.cluster.apply_node(node(number))
    ground.cluster.apply_service(service)
    await ground.start()
    assert len(ground.own()) == NODES


def lose(ground: Ground, count: int, **changes: object) -> None:
    for number in range(count):
        ground.cluster.apply_node(node(number, **changes))


def slice_of(number: int, *, count: int = 20, **conditions: Any) -> Slice:
    endpoints = tuple(Endpoint((f"192.0.2.{number * count + i + 1}",), **conditions) for i in range(count))
    return Slice("default", f"m{number}", Uid(f"m{number}"), "web", endpoints, (("http", 5432),))


async def of_machines(ground: Ground, **changes: object) -> None:
    allowing_machines(ground)
    ground.cluster.apply_service(MACHINES)
    for number in range(2):
        ground.cluster.apply_slice(replace(slice_of(number), **changes))  # type: ignore[arg-type]  # fields of it
    await ground.start()
    await ground.advance(10.0)
    assert len(ground.own()) == 40


async def stays(ground: Ground, count: int) -> None:
    """Let nearly the whole hold pass; nothing may go."""
    await ground.advance(HOLD)
    assert (len(ground.own()), ground.deregistered()) == (count, [])


@pytest.mark.parametrize("count", [7, 19, 20])
async def test_nodes_that_a_service_publishes_are_held_when_many_of_them_are_unreachable(
    ground: Ground, count: int
) -> None:
    await on_nodes(ground)
    lose(ground, count, reachable=False, ready=False)
    await stays(ground, NODES)
    assert held(ground).causes == {"Unreachable": count}
    assert len(ground.notebook.blocked_by) == count
    assert len(events(ground, "DeletionHeld")) == count
    assert any("although its node node-0 is unreachable" in event.message for event in ground.notebook.events)
    lose(ground, count)
    await ground.advance(600.0)
    assert (len(ground.own()), ground.deregistered()) == (NODES, [])


async def test_nodes_that_stay_unreachable_go_after_five_minutes(ground: Ground) -> None:
    await on_nodes(ground)
    lose(ground, NODES, reachable=False, ready=False)
    await stays(ground, NODES)
    await ground.advance(30.0)
    assert ground.own() == []


@pytest.mark.parametrize("count", [15, 20])
async def test_nodes_that_say_themselves_that_they_are_not_ready_go_however_many(ground: Ground, count: int) -> None:
    await on_nodes(ground)
    lose(ground, count, ready=False)
    await ground.advance(2.0)
    assert len(ground.own()) == NODES - count
    assert ground.notebook.blocked_by == []


@pytest.mark.parametrize("count", [10, 20])
async def test_nodes_that_lose_their_addresses_or_are_excluded_are_held(ground: Ground, count: int) -> None:
    await on_nodes(ground)
    lose(ground, count // 2, addresses=())
    for number in range(count // 2, count):
        ground.cluster.apply_node(node(number, labels={EXCLUDE_LABEL: ""}))
    await stays(ground, NODES)
    assert held(ground).causes == {"Configuration": count}


async def test_nodes_that_lose_their_endpoints_are_held_and_those_whose_endpoints_are_not_ready_go(
    ground: Ground,
) -> None:
    def endpoints(**conditions: Any) -> Slice:
        found = [Endpoint((f"10.9.0.{n + 1}",), pod="p", node=f"node-{n}", **conditions) for n in range(NODES)]
        return Slice("default", "local", Uid("local"), "web", tuple(found), (("http", 80),))

    ground.cluster.apply_slice(endpoints())
    await on_nodes(ground, replace(NODE_PORT, local_only=True))
    ground.cluster.delete_slice("local")
    await stays(ground, NODES)
    ground.cluster.apply_slice(endpoints())
    await ground.advance(400.0)
    assert ground.deregistered() == []
    ground.cluster.apply_slice(endpoints(ready=False))
    await ground.advance(2.0)
    assert ground.own() == []


@pytest.mark.parametrize("gone", [["m0"], ["m0", "m1"]])
async def test_machines_whose_slices_go_while_their_service_lives_are_held(ground: Ground, gone: Sequence[str]) -> None:
    await of_machines(ground)
    for name in gone:
        ground.cluster.delete_slice(name)
    await stays(ground, 40)
    assert held(ground).causes == {"Configuration": 20 * len(gone)}
    for name in gone:
        ground.cluster.apply_slice(slice_of(int(name[1:])))
    await ground.advance(600.0)
    assert (len(ground.own()), ground.deregistered()) == (40, [])


async def test_machines_whose_slices_are_emptied_are_held_and_go_once_that_is_approved(ground: Ground) -> None:
    await of_machines(ground)
    for number in range(2):
        ground.cluster.apply_slice(replace(slice_of(number), endpoints=()))
    await stays(ground, 40)
    approve(ground, namespace_object(ground), held(ground).token)
    await ground.advance(1.0)
    assert ground.own() == []
    assert "have no address; it was held, and somebody approved it" in ground.notebook.events[-1].message


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("conditions", [{"ready": False}, {"terminating": True}])
async def test_machines_that_say_that_they_are_not_ready_go_however_many(
    ground: Ground, count: int, conditions: dict[str, bool]
) -> None:
    await of_machines(ground)
    for number in range(count):
        ground.cluster.apply_slice(slice_of(number, **conditions))
    await ground.advance(2.0)
    assert len(ground.own()) == 40 - 20 * count
    assert ground.notebook.blocked_by == []


async def test_a_service_that_terminates_or_is_deleted_takes_its_machines_with_it(ground: Ground) -> None:
    await of_machines(ground)
    ground.cluster.apply_service(replace(MACHINES, terminating=True))
    await ground.advance(2.0)
    assert ground.own() == []
    assert ground.notebook.blocked_by == []


def balancer(number: int, *ingress: str) -> KubeService:
    return KubeService(
        "default",
        f"web-{number}",
        Uid(f"svc-{number}"),
        {"service": FLASK_TEXT if number % 2 else OTHER_TEXT, "publish": "LoadBalancer"},
        type="LoadBalancer",
        ports=(ServicePort("http", 80),),
        ingress=ingress,
    )


async def test_load_balancers_whose_status_is_blanked_for_a_moment_are_held(ground: Ground) -> None:
    for number in range(20):
        ground.cluster.apply_service(balancer(number, f"192.0.2.{number + 1}"))
    await ground.start()
    assert len(ground.own()) == 10
    for number in range(20):
        ground.cluster.apply_service(balancer(number))
    await ground.advance(60.0)
    assert (len(ground.own()), ground.deregistered()) == (10, [])
    assert held(ground).causes == {"Configuration": 20}
    for number in range(20):
        ground.cluster.apply_service(balancer(number, f"192.0.2.{number + 1}"))
    await ground.advance(600.0)
    assert (len(ground.own()), ground.deregistered()) == (10, [])


async def test_one_load_balancer_that_loses_its_address_goes_at_once(ground: Ground) -> None:
    ground.cluster.apply_service(balancer(1, "192.0.2.1"))
    await ground.start()
    assert len(ground.own()) == 1
    ground.cluster.apply_service(balancer(1))
    await ground.settle()
    assert ground.own(FLASK) == []
    assert ground.notebook.blocked_by == []
