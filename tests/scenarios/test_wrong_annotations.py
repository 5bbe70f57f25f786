"""What a user wrote wrong is told on that pod, and costs nobody else anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, changes, deregistered


@dataclass(frozen=True)
class Wrong:
    """A wrong annotation: what the event must name (annotation, what was found, the rule, the next step)."""

    key: str
    value: str
    reason: str
    words: tuple[str, ...]

    def at(self, place: Place) -> "Wrong":
        """Return it for this place: NAMESPACE stands for its registry namespace."""

        def put(text: str) -> str:
            return text.replace("NAMESPACE", place.registry_namespace)

        return Wrong(self.key, put(self.value), self.reason, tuple(map(put, self.words)))


TOO_MANY = ",".join(f"key{number}=x" for number in range(1, 32))
TOO_LONG = json.dumps({"note": "x" * 1_025})

WRONG = {
    "a service that does not exist": Wrong(
        "service", "NAMESPACE/flask-ap", "UnknownService", ("NAMESPACE/flask-ap", "has no service", "Create")
    ),
    "a registry namespace that nobody declares": Wrong(
        "service",
        "nowhere/flask-app",
        "UnknownNamespace",
        ("'nowhere/flask-app'", "no RegistryNamespace", "Ask for one"),
    ),
    "a RegistryService that is not there": Wrong(
        "service", "flask-ap", "UnknownRegistryService", ("'flask-ap'", "has no RegistryService", "Create one")
    ),
    "a port that the pod does not declare": Wrong(
        "port", "htpp", "InvalidPort", ("'htpp'", "declares a port of that name", "write one of these")
    ),
    "a port's number out of range": Wrong("port", "70000", "InvalidPort", ("'70000'", "1 to 65535", "Write a port")),
    "more attributes than are left": Wrong(
        "attributes", TOO_MANY, "TooManyAttributes", ("31 attributes", "of the registry's 30 are left", "Remove")
    ),
    "a value of 1,025 characters": Wrong(
        "attributes", TOO_LONG, "InvalidAttribute", ("1,025 characters", "'note'", "1,024", "Shorten")
    ),
    "malformed JSON": Wrong(
        "attributes", '{"stage": "dev"', "MalformedAnnotation", ("stage", "Write key=value", "JSON object")
    ),
    "a reserved key": Wrong(
        "attributes", "KUBE_POD=me", "ReservedAttribute", ("KUBE_POD", "set by kube-registrar", "Choose another key")
    ),
}


def _good(place: Place) -> Mapping[str, str]:
    return {"service": f"{place.registry_namespace}/flask-app", "port": "http", "attributes": "stage=dev"}


@pytest.fixture
def witness(place: Place, registry: Registry) -> str:
    """A pod that is right all along, and registered before anything is wrong."""
    place.declare("flask-app")
    place.pod("witness", "flask-app")
    registry.expect("flask-app", {"witness"})
    return "witness"


def test_every_wrong_annotation_is_told_on_its_pod_and_corrected_it_is_registered(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    pods = {f"pod-{number}": wrong.at(place) for number, wrong in enumerate(WRONG.values())}
    for name, wrong in pods.items():
        place.pod(name, "flask-app", **{wrong.key: wrong.value})
    place.pod("right", "flask-app")

    for name, wrong in pods.items():
        _assert_told(place, name, wrong)
    # The others are as if nothing were wrong.
    registry.expect("flask-app", {witness, "right"})

    for name, wrong in pods.items():
        place.annotate(name, **{wrong.key: _good(place)[wrong.key]})
    registry.expect("flask-app", {witness, "right", *pods})
    for name in pods:
        place.wait_event(name, "Registered")
    assert deregistered(operator.data) == []


def _assert_told(place: Place, name: str, wrong: Wrong) -> None:
    event = place.wait_event(name, wrong.reason)
    assert event.type == "Warning"
    assert f"annotation kube-registrar.dev/{wrong.key}" in event.note
    assert [word for word in wrong.words if word not in event.note] == [], event.note


def test_an_annotation_edited_into_nonsense_leaves_its_live_instance_as_it_was(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    pods = {f"pod-{number}": wrong.at(place) for number, wrong in enumerate(WRONG.values())}
    for name in pods:
        place.pod(name, "flask-app", attributes="stage=dev,version=1")
    before = registry.expect("flask-app", {witness, *pods})
    history = changes(operator.data)

    for name, wrong in pods.items():
        place.annotate(name, **{wrong.key: wrong.value})
    for name, wrong in pods.items():
        _assert_told(place, name, wrong)
    # Whatever else goes on in that service, these instances stay.
    place.pod("later", "flask-app")
    found = registry.expect("flask-app", {witness, "later", *pods})
    assert {name: found[name] for name in pods} == {name: before[name] for name in pods}
    assert [change.pod for change in changes(operator.data)[len(history) :]] == ["later"]

    for name in pods:
        place.annotate(name, **{**_good(place), "attributes": "stage=prod"})
    for name in pods:
        given = registry.expect_attributes("flask-app", name, lambda given: given.get("stage") == "prod")
        assert "version" not in given
    assert deregistered(operator.data) == []


def test_nonsense_holds_an_instance_over_a_restart_but_not_when_its_pod_ends(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    place.pod("edited", "flask-app", attributes="stage=dev")
    before = registry.expect("flask-app", {witness, "edited"})["edited"]
    operator.kill()
    place.annotate("edited", attributes='{"stage":')
    operator.start()
    place.wait_event("edited", "MalformedAnnotation")
    place.pod("later", "flask-app")
    assert registry.expect("flask-app", {witness, "edited", "later"})["edited"] == before
    assert deregistered(operator.data) == []

    place.delete("Pod", "edited")
    registry.expect("flask-app", {witness, "later"})
    assert deregistered(operator.data) == ["edited"]


def test_a_held_pod_is_counted_and_the_metric_names_the_reason(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    place.pod("wrong", "flask-app", port="70000")
    place.wait_event("wrong", "InvalidPort")
    assert operator.metric('kube_registrar_sources_skipped{kind="Pod",reason="InvalidPort"}') == 1.0


def test_a_service_that_is_declared_later_is_found_by_the_pods_that_wait_for_it(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    place.pod("early", "later")
    place.wait_event("early", "UnknownService")
    place.declare("later")
    registry.expect("later", {"early"})


def test_an_annotation_that_is_misspelt_is_told_with_what_was_meant(
    operator: Operator, place: Place, registry: Registry, witness: str
) -> None:
    place.pod("misspelt", servce=f"{place.registry_namespace}/flask-app")
    event = place.wait_event("misspelt", "UnknownAnnotation")
    assert "Did you mean kube-registrar.dev/service?" in event.note
    assert set(registry.discover("flask-app")) == {witness}
