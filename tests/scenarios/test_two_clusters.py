"""Two clusters and somebody else share one registry service, and leave each other alone."""

from collections.abc import Iterator

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place, install_kinds
from tests.scenarios.registry import Registry, changes, deregistered


@pytest.fixture
def other_place(place: Place) -> Iterator[Place]:
    """The same names in another cluster: Kubernetes namespace, registry namespace, node names, pod addresses."""
    with ControlPlane(nodes=3) as plane:
        install_kinds(plane)
        yield Place(plane, place.namespace, place.registry_namespace).make()


@pytest.fixture
def other_operator(new_operator: NewOperator, operator: Operator, other_place: Place) -> Operator:
    """The other cluster's operator, which speaks Cloud Map to the first one's registry."""
    kubeconfig = other_place.plane.kubeconfig
    return new_operator("--cluster-name", "green", kubeconfig=kubeconfig, endpoint=operator.endpoint, name="other")


FOREIGN = {"AWS_INSTANCE_IPV4": "192.0.2.1", "AWS_INSTANCE_PORT": "80", "owner": "somebody else", "KUBE_POD": "fake"}


def test_neither_touches_the_others_instances_nor_a_foreign_one(
    operator: Operator, other_operator: Operator, place: Place, other_place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    ours = place.deployment("web", "flask-app", 4, attributes="cluster=blue")
    registry.register("flask-app", "foreign", **FOREIGN)
    registry.expect("flask-app", ours | {"fake"})

    other_operator.start()
    other_place.declare("flask-app")
    assert other_place.condition("RegistryService", "flask-app", "Ready")["reason"] == "Adopted"
    theirs = other_place.deployment("web", "flask-app", 3, attributes="cluster=green")
    both = registry.expect("flask-app", ours | theirs | {"fake"})
    assert {both[name]["cluster"] for name in theirs} == {"green"}
    assert {both[name]["KUBE_CLUSTER"] for name in theirs} == {"green"}
    assert both["fake"] == FOREIGN

    # Each scales down, restarts and looks at all that is there; only its own pods' instances go.
    place.plane.kubectl("scale", "deployment/web", "--replicas=2", f"--namespace={place.namespace}")
    other_place.plane.kubectl("scale", "deployment/web", "--replicas=1", f"--namespace={place.namespace}")
    ours_left, theirs_left = place.rolled_out("web"), other_place.rolled_out("web")
    registry.expect("flask-app", ours_left | theirs_left | {"fake"})
    for each in (operator, other_operator):
        each.kill()
    each_place_loses = (min(ours_left), min(theirs_left))
    place.delete("Pod", each_place_loses[0], now=True)
    other_place.delete("Pod", each_place_loses[1], now=True)
    for each in (operator, other_operator):
        each.start()
    ours_left, theirs_left = place.rolled_out("web"), other_place.rolled_out("web")

    found = registry.expect("flask-app", ours_left | theirs_left | {"fake"})
    assert found["fake"] == FOREIGN
    assert [change.type for change in changes(operator.data) if change.instance_id == "foreign"] == [
        "REGISTER_INSTANCE"
    ]
    gone = (ours - ours_left) | (theirs - theirs_left)
    assert set(deregistered(operator.data)) - {"fake"} >= gone
    assert not set(deregistered(operator.data)) & (ours_left | theirs_left | {"fake"})


def test_pods_of_two_clusters_with_the_same_address_are_two_instances(
    operator: Operator, other_operator: Operator, place: Place, other_place: Place, registry: Registry
) -> None:
    other_operator.start()
    for each in (place, other_place):
        each.declare("flask-app")
        each.unready_pod("web", "flask-app")
        address = {"podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
        each.plane.api.patch(f"{each.path('Pod', 'web')}/status", {"status": address})
        each.set_status("web", ready=True)

    wait_until(lambda: len(registry.instances("flask-app")) == 2, "an instance of each cluster")
    found = registry.instances("flask-app")
    assert {one["Attributes"]["AWS_INSTANCE_IPV4"] for one in found} == {"10.1.2.3"}
    assert len({one["Attributes"]["KUBE_CLUSTER_UID"] for one in found}) == 2

    other_place.set_status("web", ready=False)
    wait_until(lambda: len(registry.instances("flask-app")) == 1, "the other cluster's instance to go")
    uid = place.plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert registry.discover("flask-app")["web"]["KUBE_CLUSTER_UID"] == uid


def test_a_foreign_attribute_on_an_instance_of_ours_is_carried_along(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app", attributes="version=1")
    registry.expect("flask-app", {"web"})
    (instance,) = registry.instances("flask-app")

    # Somebody adds a key by the only way there is: an upsert of the whole instance.
    registry.register("flask-app", instance["InstanceId"], **instance["Attributes"], canary="yes")
    registry.expect_attributes("flask-app", "web", lambda given: "canary" in given)
    operator.kill()
    place.annotate("web", attributes="version=2")
    operator.start()
    found = registry.expect_attributes("flask-app", "web", lambda given: given["version"] == "2")
    assert found["canary"] == "yes"
    assert found["KUBE_ATTRIBUTES"] == "version"
    assert deregistered(operator.data) == []


def test_a_registry_that_was_away_is_caught_up_with(
    operator: Operator, other_operator: Operator, place: Place, other_place: Place, registry: Registry
) -> None:
    other_operator.start()
    other_place.declare("flask-app")
    for name in ("stays", "goes"):
        other_place.pod(name, "flask-app")
    registry.expect("flask-app", {"stays", "goes"})

    operator.kill()
    other_place.delete("Pod", "goes", now=True)
    other_place.pod("comes", "flask-app")
    wait_until(lambda: "cannot be read" in other_operator.tail(200), "the other operator to notice")
    assert other_operator.probe("/healthz")[0] == 200
    operator.start()
    registry.expect("flask-app", {"stays", "comes"})
    assert deregistered(operator.data) == ["goes"]
