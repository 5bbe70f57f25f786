"""A Service is annotated and its pods are not: what stands behind it is registered, and follows all that happens."""

from collections.abc import Iterator

import pytest

from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Json, Place
from tests.scenarios.registry import Registry, deregistered, registered

MACHINE = {"conditions": {"ready": True}}


def _gone(place: Place, operator: Operator) -> list[str]:
    return deregistered(operator.data, place.registry_namespace)


def _slices(place: Place, service: str) -> list[Json]:
    return list(place.list("EndpointSlice", f"kubernetes.io/service-name={service}"))


def test_a_deployment_behind_it_is_registered_scaled_rolled_over_and_let_go(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    web = deployment_manifest("web", place.namespace, replicas=3)
    place.plane.apply(web)
    place.service("web", "flask-app", annotations={"attributes": "stage=dev"})
    first = place.rolled_out("web")
    found = the_registry.expect("flask-app", first)
    assert {(one["AWS_INSTANCE_PORT"], one["stage"], one["KUBE_WORKLOAD"]) for one in found.values()} == {
        ("8080", "dev", "Deployment/web")
    }

    place.plane.kubectl("scale", "deployment/web", "--replicas=5", f"--namespace={place.namespace}")
    more = place.rolled_out("web")
    assert more > first
    the_registry.expect("flask-app", more)
    assert _gone(place, one_operator) == []

    web["spec"]["replicas"] = 2
    web["spec"]["template"]["metadata"]["labels"]["version"] = "2"
    place.plane.apply(web)
    second = place.rolled_out("web")
    the_registry.expect("flask-app", second)
    assert not second & more
    assert sorted(_gone(place, one_operator)) == sorted(more)

    place.annotate("web", kind="Service", service=None, port=None, attributes=None)
    the_registry.expect("flask-app", set())
    assert sorted(_gone(place, one_operator)) == sorted(more | second)
    # The Service can ask again, and is deleted over live pods.
    place.annotate("web", kind="Service", service=f"{place.registry_namespace}/flask-app")
    the_registry.expect("flask-app", second)
    place.delete("Service", "web")
    the_registry.expect("flask-app", set())
    assert place.pods("app=web") == second


def test_a_service_that_says_register_false_takes_its_pods_out_and_back_in(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    for name in ("a", "b"):
        place.bare_pod(name)
    place.service("web", "flask-app")
    the_registry.expect("flask-app", {"a", "b"})
    place.annotate("web", kind="Service", register="false")
    the_registry.expect("flask-app", set())
    place.annotate("web", kind="Service", register=None)
    the_registry.expect("flask-app", {"a", "b"})
    assert sorted(_gone(place, one_operator)) == ["a", "b"]


def test_pods_with_different_numbers_under_one_port_name_are_each_told_with_their_own(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    place.bare_pod("old", containers=[_container(8080)])
    place.bare_pod("new", containers=[_container(9090)])
    place.service("web", "flask-app")
    found = the_registry.expect("flask-app", {"old", "new"})
    assert {name: one["AWS_INSTANCE_PORT"] for name, one in found.items()} == {"old": "8080", "new": "9090"}
    wait_until(lambda: len(_slices(place, "web")) == 2, "a slice for each number")


def _container(number: int) -> Json:
    return {"name": "web", "image": "web", "ports": [{"name": "http", "containerPort": number}]}


def test_a_headless_service_that_publishes_not_ready_addresses_has_them_registered(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    place.bare_pod("ready")
    place.bare_pod("starts", ready=False)
    place.service("web", "flask-app", clusterIP="None")
    the_registry.expect("flask-app", {"ready"})
    place.patch("Service", "web", publishNotReadyAddresses=True)
    the_registry.expect("flask-app", {"ready", "starts"})
    place.delete("Pod", "starts")
    the_registry.expect("flask-app", {"ready"})
    assert _gone(place, one_operator) == ["starts"]


def test_one_slice_that_goes_takes_only_its_own_endpoints(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    place.service("web", "flask-app", selects="")
    pods = {name: place.bare_pod(name) for name in ("a", "b", "c")}
    for name, pod in pods.items():
        place.slice(f"{place.namespace}-{name}", "web", _endpoint(pod))
    the_registry.expect("flask-app", {"a", "b", "c"})

    place.delete("EndpointSlice", f"{place.namespace}-b")
    the_registry.expect("flask-app", {"a", "c"})
    assert _gone(place, one_operator) == ["b"]
    # Without any address the object is there all the same: that takes its own pod out, and nobody else.
    place.plane.api.patch(place.path("EndpointSlice", f"{place.namespace}-c"), {"endpoints": []})
    the_registry.expect("flask-app", {"a"})
    assert _gone(place, one_operator) == ["b", "c"]


def test_a_slice_of_a_selector_that_goes_is_made_again_and_nobody_leaves(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    for name in ("a", "b"):
        place.bare_pod(name)
    place.service("web", "flask-app")
    the_registry.expect("flask-app", {"a", "b"})
    (before,) = _slices(place, "web")
    place.delete("EndpointSlice", before["metadata"]["name"])
    wait_until(
        lambda: [one["metadata"]["uid"] for one in _slices(place, "web")] != [before["metadata"]["uid"]], "a new slice"
    )
    place.bare_pod("witness")
    the_registry.expect("flask-app", {"a", "b", "witness"})
    assert _gone(place, one_operator) == []


def _endpoint(pod: Json, **changes: str) -> Json:
    meta = pod["metadata"]
    target = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"], **changes}
    return {**MACHINE, "addresses": [pod["status"]["podIP"]], "targetRef": target}


def test_a_forged_target_registers_nothing(one_operator: Operator, place: Place, the_registry: Registry) -> None:
    place.declare("flask-app")
    place.service("web", "flask-app", selects="")
    mine, other = place.bare_pod("mine"), place.bare_pod("other")
    address = other["status"]["podIP"]
    forged = [
        _endpoint(mine, uid="11111111-0000-4000-8000-000000000000"),
        _endpoint(mine, namespace="kube-system"),
        {**_endpoint(mine), "addresses": [address]},
    ]
    for number, endpoint in enumerate(forged):
        place.slice(f"{place.namespace}-{number}", "web", endpoint)
    place.slice(f"{place.namespace}-good", "web", _endpoint(other))
    the_registry.expect("flask-app", {"other"})
    place.slice(f"{place.namespace}-mine", "web", _endpoint(mine))
    assert the_registry.expect("flask-app", {"other", "mine"})["mine"]["AWS_INSTANCE_IPV4"] == mine["status"]["podIP"]
    assert registered(one_operator.data, place.registry_namespace) == ["other", "mine"]


def test_machines_of_a_service_without_a_selector_are_registered_where_that_is_allowed(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("databases")
    place.service("db", "databases", selects="", annotations={"attributes": "engine=postgres"})
    place.slice(f"{place.namespace}-db", "db", *({**MACHINE, "addresses": [f"192.0.2.{n}"]} for n in (1, 2)), port=5432)
    place.wait_event("db", "EndpointsNotAllowed", kind="Service")
    assert the_registry.instances("databases") == []

    place.patch("RegistryNamespace", place.registry_namespace, allowEndpointsWithoutPods=True)
    assert _machines(the_registry, 2) == {"192.0.2.1", "192.0.2.2"}
    (one, _) = [one["Attributes"] for one in the_registry.instances("databases")]
    assert (one["KUBE_SERVICE"], one["AWS_INSTANCE_PORT"], one["engine"]) == ("db", "5432", "postgres")

    ends = {"endpoints": [{"conditions": {"ready": False}, "addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]}]}
    place.plane.api.patch(place.path("EndpointSlice", f"{place.namespace}-db"), ends)
    assert _machines(the_registry, 1) == {"192.0.2.2"}
    place.delete("Service", "db")
    assert _machines(the_registry, 0) == set()


def _machines(registry: Registry, count: int) -> set[str]:
    wait_until(lambda: len(registry.instances("databases")) == count, f"{count} machines", seconds=30)
    return {one["Attributes"]["AWS_INSTANCE_IPV4"] for one in registry.instances("databases")}


@pytest.fixture
def victim(place: Place) -> Iterator[Place]:
    """Another Kubernetes namespace."""
    other = Place(place.plane).make()
    yield other
    other.clear()


@pytest.mark.parametrize("which", [0, 1], ids=["its first address", "its second address"])
def test_the_address_of_a_pod_of_another_kubernetes_namespace_is_refused_and_told(
    one_operator: Operator, place: Place, victim: Place, the_registry: Registry, which: int
) -> None:
    victim.bare_pod("victim")
    addresses = (f"10.201.{which}.1", f"fd00:201:{which}::1")
    victim.place_pod("victim", *addresses)
    place.declare("databases")
    place.patch("RegistryNamespace", place.registry_namespace, allowEndpointsWithoutPods=True)
    place.service("db", "databases", selects="")
    family = ("IPv4", "IPv6")[which]
    place.slice(f"{place.namespace}-bad", "db", {**MACHINE, "addresses": [addresses[which]]}, family=family)
    place.slice(f"{place.namespace}-good", "db", {**MACHINE, "addresses": ["192.0.2.1"]})
    said = place.wait_event("db", "AddressNotAllowed", kind="Service")
    assert "a pod of another Kubernetes namespace has it" in said.note
    assert _machines(the_registry, 1) == {"192.0.2.1"}
