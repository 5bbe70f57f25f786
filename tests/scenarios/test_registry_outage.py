"""A registry goes away and comes back: it is said where people look, and what changed meanwhile is caught up with."""

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered
from tests.scenarios.server import Server

UP = 'kube_registrar_registry_up{registry="default"}'


@pytest.fixture
def operator(new_operator: NewOperator, server: Server) -> Operator:
    return new_operator(endpoint=server.endpoint).start()


@pytest.fixture
def registry(server: Server, place: Place) -> Registry:
    return Registry(server.endpoint, place.registry_namespace)


def test_an_outage_is_said_and_what_changed_in_it_is_caught_up_with(
    operator: Operator, server: Server, place: Place, registry: Registry
) -> None:
    place.declare("flask-app", "other")
    for name in ("stays", "goes"):
        place.pod(name, "flask-app")
    registry.expect("flask-app", {"stays", "goes"})
    ours = [("RegistryNamespace", place.registry_namespace), ("RegistryService", "flask-app")]
    for kind, name in ours:
        place.wait_condition(kind, name, "RegistryReachable", "True", "RegistryAnswers")
    assert operator.metric(UP) == 1.0

    server.stop()
    place.delete("Pod", "goes", now=True)
    place.pod("comes", "flask-app")
    place.pod("another", "other")
    for kind, name in ours:
        place.wait_condition(kind, name, "RegistryReachable", "False", "RegistryUnavailable")
        assert place.condition(kind, name, "Ready")["status"] == "True"
    for name in ("comes", "another"):
        place.wait_event(name, "RegistryUnavailable")
    assert operator.metric(UP) == 0.0
    assert operator.metric('kube_registrar_circuit_state{registry="default",state="closed"}') == 0.0
    assert operator.probe("/healthz") == (200, "ok\n")
    assert operator.probe("/readyz") == (200, "ok\n")

    server.start()
    registry.expect("flask-app", {"stays", "comes"})
    registry.expect("other", {"another"})
    for kind, name in ours:
        place.wait_condition(kind, name, "RegistryReachable", "True")
        assert place.condition(kind, name, "Synced")["status"] == "True"
    wait_until(lambda: operator.metric(UP) == 1.0, "the registry to be up")
    assert deregistered(server.data) == ["goes"]
    assert sorted(registered(server.data)) == ["another", "comes", "goes", "stays"]
    assert [event.reason for event in place.events("stays")] == ["Registered"]
    lines = [str(line["message"]) for line in operator.lines()]
    assert len([text for text in lines if text.startswith("registry default does not answer")]) == 1
    assert len([text for text in lines if text.startswith("registry default answers again")]) == 1


def test_a_registry_that_comes_after_the_operator_is_used_when_it_is_there(
    new_operator: NewOperator, server: Server, place: Place, registry: Registry
) -> None:
    server.stop()
    operator = new_operator(endpoint=server.endpoint).start()
    place.plane.apply(place.registry_namespace_manifest())
    place.pod("web", "flask-app")
    place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "False")
    server.start()
    place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True")
    place.declare("flask-app")
    registry.expect("flask-app", {"web"})
    place.wait_condition("RegistryService", "flask-app", "RegistryReachable", "True")
    assert operator.probe("/healthz") == (200, "ok\n")
