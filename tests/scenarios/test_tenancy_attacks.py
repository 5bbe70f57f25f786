"""A tenant that may use nothing of another's registry namespace tries every way into it, all of them at once."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kube_registrar.testing.api import ApiError
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Json, Place
from tests.scenarios.registry import Registry, registered

TEAM = {"team": "victims"}
REFUSED = "NamespaceNotAllowed"


@pytest.fixture
def place(plane: ControlPlane) -> Iterator[Place]:
    """The victim, whose Kubernetes namespace has the label that is asked for."""
    with Place(plane, labels=TEAM) as place:
        yield place


@pytest.fixture
def attacker(plane: ControlPlane, place: Place) -> Iterator[Place]:
    """A Kubernetes namespace without that label, whose owner knows all names of the victim."""
    with Place(plane, registry_namespace=place.registry_namespace) as attacker:
        yield attacker


@dataclass
class Victim:
    """A registry service with one pod; `arn`: of the service."""

    place: Place
    pod: Json
    arn: str


@pytest.fixture
def victim(one_operator: Operator, place: Place, the_registry: Registry) -> Victim:
    allowed = {"from": "Selector", "selector": {"matchLabels": TEAM}}
    declared = place.registry_namespace_manifest(allowedNamespaces=allowed, allowEndpointsWithoutPods=True)
    place.plane.apply([declared, place.registry_service_manifest("web")])
    place.wait_condition("RegistryService", "web", "Ready", "True")
    place.pod("ours", "web")
    the_registry.expect("web", {"ours"})
    arn = the_registry.api.get_service(Id=the_registry.service_id("web"))["Service"]["Arn"]
    return Victim(place, place.get("Pod", "ours"), arn)


def test_no_pod_comes_in_by_name_registry_arn_or_service_registries(
    one_operator: Operator, victim: Victim, attacker: Place, the_registry: Registry
) -> None:
    name = f"{attacker.registry_namespace}/web"
    ways = {
        "by-name": {"service": name},
        "by-registry": {"service": f"default:{name}"},
        "by-arn": {"service": victim.arn},
        "by-name-among-others": {"service": f"nowhere/web,{name}"},
        "by-item": {"service-registries": json.dumps([{"registryArn": victim.arn, "port": 8080}])},
        "by-item-name": {"service-registries": json.dumps([{"registry": name, "port": 8080}])},
    }
    for pod, annotations in ways.items():
        attacker.pod(pod, **annotations)
    for pod in ways:
        attacker.wait_event(pod, REFUSED)
    attacker.pod("by-bare-name", service="web")
    attacker.wait_event("by-bare-name", "UnknownRegistryService")
    _only_ours(one_operator, victim, the_registry)


def test_no_service_selector_or_default_of_a_namespace_brings_anybody_in(
    one_operator: Operator, victim: Victim, attacker: Place, the_registry: Registry
) -> None:
    attacker.bare_pod("selected")
    attacker.service("by-service", "web")
    attacker.service("by-address", "web", annotations={"publish": "ClusterIP"})
    attacker.wait_event("by-service", REFUSED, kind="Service")
    attacker.wait_event("by-address", REFUSED, kind="Service")

    selecting = {"selector": {"matchLabels": {"app": "web"}}}
    attacker.plane.apply([attacker.registry_service_manifest("web", **selecting)])
    attacker.wait_condition("RegistryService", "web", "Ready", "False", REFUSED)
    # A RegistryService of one's own opens nothing to a bare name either.
    attacker.pod("by-own-object", service="web")

    annotations = attacker.asks("web")
    attacker.plane.api.patch(f"/api/v1/namespaces/{attacker.namespace}", {"metadata": {"annotations": annotations}})
    attacker.wait_event("selected", REFUSED)
    _only_ours(one_operator, victim, the_registry)


def test_no_slice_written_by_hand_registers_the_pod_or_the_address_of_another_tenant(
    one_operator: Operator, victim: Victim, attacker: Place, the_registry: Registry
) -> None:
    """The attacker has a registry namespace of its own here, and would show another's pod in that."""
    own = Place(attacker.plane, namespace=attacker.namespace)
    try:
        own.plane.apply(
            [own.registry_namespace_manifest(allowEndpointsWithoutPods=True), own.registry_service_manifest("mine")]
        )
        own.wait_condition("RegistryService", "mine", "Ready", "True")
        own.service("forged", "mine", selects="")
        theirs, address = victim.pod["metadata"], victim.pod["status"]["podIP"]
        target = {"kind": "Pod", "namespace": victim.place.namespace, "name": "ours", "uid": theirs["uid"]}
        without_namespace = {key: value for key, value in target.items() if key != "namespace"}
        forged = [
            {"addresses": [address], "targetRef": target},
            {"addresses": [address], "targetRef": without_namespace},
            {"addresses": [address], "targetRef": {**target, "namespace": own.namespace}},
            {"addresses": [address], "conditions": {"ready": True}},
        ]
        for number, endpoint in enumerate(forged):
            own.slice(f"{own.namespace}-{number}", "forged", endpoint)
        own.wait_event("forged", "AddressNotAllowed", kind="Service")
        own.slice(f"{own.namespace}-good", "forged", {"addresses": ["192.0.2.77"], "conditions": {"ready": True}})
        its_own = Registry(one_operator.endpoint, own.registry_namespace)
        its_own.expect("mine", {one["InstanceId"] for one in _until_one(its_own)})
        (found,) = its_own.instances("mine")
        assert found["Attributes"]["AWS_INSTANCE_IPV4"] == "192.0.2.77"
        _only_ours(one_operator, victim, the_registry)
    finally:
        own.plane.api.delete(own.path("RegistryNamespace", own.registry_namespace))


def _until_one(registry: Registry) -> list[Json]:
    found: list[Json] = []

    def there() -> bool:
        found[:] = [dict(one) for one in registry.instances("mine")]
        return bool(found)

    wait_until(there, "the machine to be registered")
    return found


FORGED = {
    "shorthand": "KUBE_NAMESPACE=victims",
    "json": '{"KUBE_CLUSTER_UID": "x"}',
    "filled": "KUBE_POD_UID=$(metadata.uid)",
    "workload": "stage=dev,KUBE_WORKLOAD=Deployment/$(metadata.name)",
    "address": "AWS_INSTANCE_IPV4=$(status.podIP)",
}


def test_nobody_may_write_the_attributes_by_which_instances_are_told_apart(
    one_operator: Operator, place: Place, victim: Victim, the_registry: Registry
) -> None:
    for name, text in FORGED.items():
        place.pod(name, "web", attributes=text)
    for name in FORGED:
        place.wait_event(name, "ReservedAttribute")
    forging = {"attributes": {"KUBE_POD": "ours"}}, {"attributesFromLabels": {"KUBE_NAMESPACE": "app"}}
    for number, attributes in enumerate(forging):
        selecting = {"selector": {"matchLabels": {"app": "web"}}, **attributes}
        with contextlib.suppress(ApiError):  # which of the two refuses it is not the point
            place.plane.apply([place.registry_service_manifest(f"forged-{number}", **selecting)])
            place.wait_event(f"forged-{number}", "ReservedAttribute", kind="RegistryService")
    place.bare_pod("bare")
    # What a label holds is a value, whatever is written in it, and never another key.
    place.unready_pod("labelled", "web", attributes="who=$(metadata.labels['who'])")
    label = {"metadata": {"labels": {"who": "x.KUBE_POD_ours"}}}
    place.plane.api.patch(place.path("Pod", "labelled"), label)
    place.set_status("labelled", ready=True)
    found = the_registry.expect("web", {"ours", "labelled"})["labelled"]
    assert (found["who"], found["KUBE_POD"]) == ("x.KUBE_POD_ours", "labelled")


def _only_ours(operator: Operator, victim: Victim, registry: Registry) -> None:
    """Look at the registry once another pod of the victim is in it: what came before was decided by then."""
    victim.place.pod("witness", "web")
    registry.expect("web", {"ours", "witness"})
    assert registered(operator.data, registry.namespace) == ["ours", "witness"]


def test_of_two_tenants_that_declare_one_registry_service_the_first_keeps_settings_and_instances(
    one_operator: Operator, victim: Victim, plane: ControlPlane, the_registry: Registry
) -> None:
    with Place(plane, registry_namespace=victim.place.registry_namespace, labels=TEAM) as second:
        taking = second.registry_service_manifest("web", description="mine now", deletionPolicy="Delete")
        second.plane.apply([taking])
        second.wait_condition("RegistryService", "web", "SettingsOwned", "False", "OwnedByAnother")
        second.delete("RegistryService", "web")
        second.wait_gone("RegistryService", "web")
        described = the_registry.api.get_service(Id=the_registry.service_id("web"))["Service"]
        assert described.get("Description", "") != "mine now"
        _only_ours(one_operator, victim, the_registry)
