"""The operator is killed at each step of making a namespace and a service: the next one uses what is there."""

from pathlib import Path

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry
from tests.scenarios.shared import SharedRegistry, Stop, shared_registry

pytestmark = pytest.mark.extended

STEPS = [
    ("ListNamespaces", False),
    ("CreateHttpNamespace", False),
    ("CreateHttpNamespace", True),
    ("GetOperation", False),
    ("GetNamespace", True),
    ("ListServices", False),
    ("CreateService", False),
    ("CreateService", True),
]


@pytest.mark.parametrize(("operation", "after"), STEPS)
def test_nothing_is_made_twice_wherever_it_is_killed(
    place: Place, new_operator: NewOperator, tmp_path: Path, operation: str, after: bool
) -> None:
    with shared_registry(tmp_path / "registry", 1, "operation-delay=300ms") as shared:
        _play(place, new_operator, shared, Stop(operation, after))


def _play(place: Place, new_operator: NewOperator, shared: SharedRegistry, stop: Stop) -> None:
    door = shared.doors[0]
    door.stop = stop
    place.plane.apply(
        [
            place.registry_namespace_manifest(deletionPolicy="Delete"),
            place.registry_service_manifest("flask-app", deletionPolicy="Delete"),
        ]
    )
    operator = new_operator("--no-leader-election", endpoint=door.url)
    operator.start(wait=False)
    try:
        wait_until(stop.reached.is_set, f"{stop.operation} to be asked for")
        operator.kill()
    finally:
        stop.over.set()
    operator.start()
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True", "Created")

    registry = Registry(door.url, place.registry_namespace)
    assert [one["Name"] for one in registry.api.list_namespaces()["Namespaces"]] == [place.registry_namespace]
    assert [one["Name"] for one in registry.api.list_services()["Services"]] == ["flask-app"]
    made = registry.api.list_operations(Filters=[{"Name": "TYPE", "Values": ["CREATE_NAMESPACE"]}])["Operations"]
    assert [one["Status"] for one in made] == ["SUCCESS"]
    for kind, name in (("RegistryService", "flask-app"), ("RegistryNamespace", place.registry_namespace)):
        assert place.get(kind, name)["status"]["created"] is True
