"""What a pod wants that asks by service-registries: identities, attributes, and holds as narrow as they can be."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.records import Pod
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World

MakePod = Callable[..., Pod]
ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-"
TEST = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
FLASK, SRV, V4 = (ServiceRef(TEST, name) for name in ("flask-app", "srv", "v4"))


def _items(*items: dict[str, Any], **beside: str) -> dict[str, str]:
    return {"service-registries": json.dumps(items), **beside}


def _item(service: str, **members: Any) -> dict[str, Any]:
    return {"registry": f"test-namespace/{service}", **members}


def _found(wish: Wish) -> list[tuple[str, str | None]]:
    return [(one.service.name, one.instance.attributes.get("AWS_INSTANCE_PORT")) for one in wish.registrations]


def _users(wish: Wish) -> Sequence[dict[str, str]]:
    all_of_them = [one.instance.attributes for one in wish.registrations]
    return [{key: found[key] for key in found.get("KUBE_ATTRIBUTES", "").split(",") if key} for found in all_of_them]


def test_each_item_is_an_instance_with_its_own_port_and_attributes(world: World, pod: MakePod) -> None:
    annotations = _items(
        {"registryArn": ARN + "flaskapp", "containerName": "web", "containerPort": 9090},
        _item("srv", port="admin:http", attributes={"stage": "dev"}),
        _item("v4", attributes="stage=prod"),
    )
    wish = wish_of(pod(annotations), replace(world, arns={ARN + "flaskapp": FLASK}))
    assert _found(wish) == [("flask-app", "9090"), ("srv", "8081"), ("v4", None)]
    assert _users(wish) == [{}, {"stage": "dev"}, {"stage": "prod"}]
    assert (wish.problems, wish.held, wish.settled) == ((), False, frozenset({FLASK, SRV, V4}))


def test_an_item_is_the_same_instance_as_a_reference(world: World, pod: MakePod) -> None:
    by_item = wish_of(pod(_items(_item("flask-app", containerName="web", containerPort=8080))), world)
    by_reference = wish_of(pod({"service": "test-namespace/flask-app", "port": "8080"}), world)
    assert by_item == by_reference
    assert len(by_item.registrations) == 1


def test_an_item_takes_the_defaults_beside_it_and_its_own_win(world: World, pod: MakePod) -> None:
    annotations = _items(
        _item("flask-app", attributes={"stage": "dev", "own": "1"}),
        _item("srv", port=9090),
        port="web:http",
        attributes="stage=prod,team=web",
    )
    wish = wish_of(pod(annotations), world)
    assert _found(wish) == [("flask-app", "8080"), ("srv", "9090")]
    assert _users(wish) == [{"stage": "dev", "team": "web", "own": "1"}, {"stage": "prod", "team": "web"}]


def test_two_ports_of_one_service_are_two_instances(world: World, pod: MakePod) -> None:
    wish = wish_of(pod(_items(_item("flask-app", port=1), _item("flask-app", port=2))), world)
    assert _found(wish) == [("flask-app", "1"), ("flask-app", "2")]
    assert len({one.instance.id for one in wish.registrations}) == 2
    assert (wish.held, wish.settled) == (False, frozenset({FLASK}))


def test_items_of_one_identity_are_one_instance_with_the_attributes_of_all(world: World, pod: MakePod) -> None:
    annotations = _items(
        _item("flask-app", port=8080, attributes={"a": "1", "b": "1"}),
        {"registry": "local", "port": "web:http", "attributes": {"b": "2", "c": "2"}},
        _item("flask-app", containerName="web", containerPort=8080),
        attributes="a=0,d=0",
    )
    wish = wish_of(pod(annotations), world)
    assert _found(wish) == [("flask-app", "8080")]
    assert _users(wish) == [{"a": "1", "d": "0", "b": "2", "c": "2"}], "no default goes over what an item says"
    where_no_port_is_published = wish_of(pod(_items(_item("v4", port=1), _item("v4", port=2))), world)
    assert _found(where_no_port_is_published) == [("v4", None)]


def test_a_missing_label_is_told_where_it_is_read(world: World, pod: MakePod) -> None:
    reads = {"a": "$(metadata.labels['none'])", "b": "$(metadata.labels['none'])"}
    wish = wish_of(pod(_items(_item("v4"), _item("flask-app", port=1, attributes=reads), attributes="b=0")), world)
    (problem,) = wish.problems
    assert problem.reason == "UnknownLabel"
    assert problem.message.startswith(
        "annotation kube-registrar.dev/service-registries[1].attributes reads label 'none'"
    )
    assert (_users(wish), wish.held) == ([{"b": "0"}, {}], False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"registry": "//"},
        {"registry": "a/b/c", "port": 0},
        {"registry": "test-namespace/nothing"},
        {"registry": "team-namespace/private"},
        {"registryArn": ARN + "unknown"},
        {"registry": "test-namespace/v6"},
        {"registry": "a/b/c", "attributes": {"AWS_X": "1"}},
    ],
)
def test_one_wrong_item_does_not_hurt_the_others(wrong: dict[str, Any], world: World, pod: MakePod) -> None:
    annotations = _items(wrong, _item("flask-app"), _item("v4"), port="80")
    wish = wish_of(pod(annotations), world)
    assert _found(wish) == [("flask-app", "80"), ("v4", None)]
    assert (wish.held, len(wish.problems)) == (True, 1)
    assert wish.holds(SRV)
    assert not wish.holds(V4), "it publishes no port, so nothing else can be meant there"


@pytest.mark.parametrize(
    ("doubtful", "holds"),
    [
        # What cannot be read may mean any service, with any port.
        ({"registry": "//", "port": 80}, True),
        (5, True),
        # What it names is known, and it is another service.
        ({"registry": "a/b/c", "port": 0}, False),
        ({"registry": "test-namespace/nothing", "port": 81}, False),
        ({"registry": "test-namespace/coming", "port": 81}, False),
        ({"registry": "coming", "port": 81}, False),
        # It names this very service.
        ({"registry": "test-namespace/flask-app", "port": 0}, True),
        ({"registry": "local", "port": "nothing"}, True),
        ({"registry": "test-namespace/flask-app", "port": 81, "attributes": {"a": "$(metadata.name)" * 99}}, True),
        # A RegistryService that is not there may come back as it was; the same port can mean nothing else.
        ({"registry": "gone", "port": 81}, True),
        ({"registry": "gone", "port": "nothing"}, True),
        ({"registry": "gone", "port": 80}, False),
        # All services are known, so an ARN that is none of theirs means none of them.
        ({"registryArn": ARN + "unknown", "port": 81}, False),
    ],
)
def test_a_service_is_held_where_a_wrong_item_may_mean_another_port_of_it(
    doubtful: Any, holds: bool, world: World, pod: MakePod
) -> None:
    annotations = {"service-registries": json.dumps([doubtful, _item("flask-app", port=80)])}
    wish = wish_of(pod(annotations), world)
    assert _found(wish) == [("flask-app", "80")]
    assert (wish.held, wish.holds(FLASK)) == (True, holds)
    assert wish_of(pod(annotations, ready=False), world).holds(FLASK) is holds


@pytest.mark.parametrize(("port", "holds"), [(80, False), (81, True)])
def test_an_arn_that_is_not_known_yet_may_mean_another_port_of_any_service(
    port: int, holds: bool, world: World, pod: MakePod
) -> None:
    unread = replace(world, listed=world.listed - {NamespaceRef(DEFAULT_REGISTRY, "a/b")})
    annotations = _items({"registryArn": ARN + "unread", "port": port}, _item("flask-app", port=80))
    wish = wish_of(pod(annotations), unread)
    assert (_found(wish), wish.problems) == ([("flask-app", "80")], ())
    assert (wish.holds(FLASK), wish.unresolved) == (holds, True)


def test_both_ways_to_ask_hold_everything(world: World, pod: MakePod) -> None:
    wish = wish_of(pod(_items(_item("flask-app"), service="test-namespace/v4", port="80")), world)
    assert (wish.registrations, wish.held, wish.settled) == ((), True, frozenset())


def test_tenancy_is_as_for_references(world: World, pod: MakePod) -> None:
    for item in ({"registry": "theirs"}, {"registry": "team-namespace/private"}, {"registryArn": ARN + "private"}):
        wish = wish_of(pod(_items(item, port="80")), world)
        assert (wish.registrations, wish.held, len(wish.problems)) == ((), True, 1)


def test_what_does_not_fit_beside_shared_attributes_is_told_of_the_item_that_has_some(
    world: World, pod: MakePod
) -> None:
    shared = ",".join(f"a{number}=x" for number in range(21))
    wish = wish_of(pod(_items(_item("v4"), _item("flask-app", port=1, attributes="b=x"), attributes=shared)), world)
    assert _found(wish) == [("v4", None)]
    (problem,) = wish.problems
    assert problem.reason == "TooManyAttributes"
    assert "service-registries[1].attributes has 22 attributes" in problem.message
    assert (wish.holds(V4), wish.holds(FLASK)) == (False, True)
