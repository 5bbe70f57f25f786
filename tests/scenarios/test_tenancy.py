"""Who may use a registry namespace is said by its RegistryNamespace, and held to."""

from collections.abc import Iterator

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered

TEAM = {"team": "payments"}


@pytest.fixture
def place(plane: ControlPlane) -> Iterator[Place]:
    """A Kubernetes namespace with the label that is asked for."""
    with Place(plane, labels=TEAM) as place:
        yield place


@pytest.fixture
def stranger(plane: ControlPlane, place: Place) -> Iterator[Place]:
    """A Kubernetes namespace without that label, which wants to use the same registry namespace."""
    with Place(plane, registry_namespace=place.registry_namespace) as stranger:
        yield stranger


def _declare_for_team(place: Place) -> None:
    allowed = {"from": "Selector", "selector": {"matchLabels": TEAM}}
    manifest = place.registry_namespace_manifest(allowedNamespaces=allowed)
    place.plane.apply([manifest, place.registry_service_manifest("flask-app")])
    place.wait_condition("RegistryService", "flask-app", "Ready", "True")


def test_a_pod_of_a_namespace_that_is_not_allowed_is_refused_with_an_event(
    operator: Operator, place: Place, stranger: Place, registry: Registry
) -> None:
    _declare_for_team(place)
    place.pod("ours", "flask-app")
    stranger.pod("theirs", "flask-app")
    event = stranger.wait_event("theirs", "NamespaceNotAllowed")
    assert event.type == "Warning"
    assert f"does not allow Kubernetes namespace {stranger.namespace!r}" in event.note
    assert "spec.allowedNamespaces" in event.note
    registry.expect("flask-app", {"ours"})

    # A label is enough to be allowed.
    stranger.plane.api.patch(f"/api/v1/namespaces/{stranger.namespace}", {"metadata": {"labels": TEAM}})
    registry.expect("flask-app", {"ours", "theirs"})


def test_a_stranger_learns_nothing_of_services_that_it_may_not_use(
    operator: Operator, place: Place, stranger: Place, registry: Registry
) -> None:
    _declare_for_team(place)
    stranger.pod("guesses", "no-such-service")
    stranger.wait_event("guesses", "NamespaceNotAllowed")
    assert {event.reason for event in stranger.events("guesses")} == {"NamespaceNotAllowed"}


def test_a_registry_service_of_a_namespace_that_is_not_allowed_is_refused(
    operator: Operator, place: Place, stranger: Place, registry: Registry
) -> None:
    _declare_for_team(place)
    stranger.plane.apply(stranger.registry_service_manifest("intruder"))
    condition = stranger.wait_condition("RegistryService", "intruder", "Ready", "False", "NamespaceNotAllowed")
    assert "spec.namespaceRef" in condition["message"]
    assert stranger.wait_event("intruder", "NamespaceNotAllowed", kind="RegistryService").type == "Warning"
    assert registry.service_id("intruder") == ""


def test_what_is_no_longer_allowed_stays_and_is_told_until_its_pods_end(
    operator: Operator, place: Place, stranger: Place, registry: Registry
) -> None:
    _declare_for_team(place)
    path = f"/api/v1/namespaces/{stranger.namespace}"
    stranger.plane.api.patch(path, {"metadata": {"labels": TEAM}})
    stranger.pod("theirs", "flask-app")
    registry.expect("flask-app", {"theirs"})

    stranger.plane.api.patch(path, {"metadata": {"labels": {"team": None}}})
    stranger.wait_event("theirs", "NamespaceNotAllowed")
    place.pod("ours", "flask-app")
    registry.expect("flask-app", {"ours", "theirs"})
    stranger.delete("Pod", "theirs")
    registry.expect("flask-app", {"ours"})
    assert deregistered(operator.data) == ["theirs"]


def test_an_undeclared_registry_namespace_is_used_by_nobody_unless_the_operator_says_so(
    operator: Operator, place: Place, registry: Registry
) -> None:
    registry.create("flask-app")
    place.pod("web", "flask-app")
    place.wait_event("web", "UnknownNamespace")
    assert registry.discover("flask-app") == {}
    operator.end()

    operator.flags.append("--allow-undeclared")
    operator.start()
    registry.expect("flask-app", {"web"})
