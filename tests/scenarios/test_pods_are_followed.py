"""Pods come, change and go, and the registry follows."""

import pytest

from kube_registrar.testing.builders import deployment_manifest
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import NODE, Place
from tests.scenarios.registry import DEREGISTER, Registry, changes, deregistered, registered


def test_pods_of_an_annotated_deployment_are_found_by_attribute(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    dev = place.deployment("dev", "flask-app", 2, attributes="stage=dev,version=1.0.0")
    prod = place.deployment("prod", "flask-app", 1, attributes="stage=prod,version=2.0.0")

    registry.expect("flask-app", dev | prod)
    assert set(registry.discover("flask-app", stage="dev")) == dev
    assert set(registry.discover("flask-app", stage="prod", version="2.0.0")) == prod
    assert registry.discover("flask-app", stage="dev", version="2.0.0") == {}


def test_an_instance_says_where_it_is_what_the_user_wrote_and_whose_it_is(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    (name,) = place.deployment("web", "flask-app", 1, attributes='stage=dev,note="one, two"')

    attributes = registry.expect("flask-app", {name})[name]
    pod = place.get("Pod", name)
    zone = place.plane.api.get(f"/api/v1/nodes/{pod['spec']['nodeName']}")["metadata"]["labels"]
    assert attributes == {
        "AWS_INSTANCE_IPV4": pod["status"]["podIP"],
        "AWS_INSTANCE_PORT": "8080",
        "KUBE_CLUSTER_UID": place.plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"],
        "KUBE_NAMESPACE": place.namespace,
        "KUBE_POD": name,
        "KUBE_POD_UID": pod["metadata"]["uid"],
        "KUBE_WORKLOAD": "Deployment/web",
        "KUBE_ATTRIBUTES": "stage,note",
        "stage": "dev",
        "note": "one, two",
        **_zone(pod["metadata"]["labels"], zone),
    }
    place.wait_event(name, "Registered")


def _zone(of_pod: dict[str, str], of_node: dict[str, str]) -> dict[str, str]:
    # Kubernetes copies the labels from the node to the pod when it is bound (PodTopologyLabelsAdmission).
    keys = {"topology.kubernetes.io/zone": "AVAILABILITY_ZONE", "topology.kubernetes.io/region": "REGION"}
    found = {ours: of_pod[theirs] for theirs, ours in keys.items() if theirs in of_pod}
    assert all(of_node[theirs] == of_pod[theirs] for theirs in keys if theirs in of_pod)
    return found


def test_an_instance_carries_the_name_of_the_cluster_where_one_is_configured(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator("--cluster-name", "blue").start()
    place.declare("flask-app")
    place.pod("web", "flask-app")

    registry = Registry(operator.endpoint, place.registry_namespace)
    assert registry.expect("flask-app", {"web"})["web"]["KUBE_CLUSTER"] == "blue"


def test_a_pod_is_registered_when_it_is_ready_and_not_before_or_after(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.unready_pod("later", "flask-app")
    place.pod("witness", "flask-app")
    registry.expect("flask-app", {"witness"})

    place.set_status("later", ready=True)
    registry.expect("flask-app", {"witness", "later"})

    place.set_status("witness", ready=False)
    registry.expect("flask-app", {"later"})
    assert "not ready" in place.wait_event("witness", "Deregistered").note

    place.set_status("witness", ready=True)
    registry.expect("flask-app", {"witness", "later"})
    assert deregistered(operator.data) == ["witness"]
    assert registered(operator.data) == ["witness", "later", "witness"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_is_deregistered_though_it_is_still_there(
    operator: Operator, place: Place, registry: Registry, phase: str
) -> None:
    place.declare("flask-app")
    place.pod("ends", "flask-app")
    place.pod("stays", "flask-app")
    registry.expect("flask-app", {"ends", "stays"})

    place.set_status("ends", ready=True, phase=phase)  # the phase alone says it: conditions may lag behind
    registry.expect("flask-app", {"stays"})
    assert place.get("Pod", "ends")["status"]["phase"] == phase
    assert deregistered(operator.data) == ["ends"]


def test_a_pod_is_deregistered_when_its_termination_begins(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.pod("ends", "flask-app")
    place.pod("stays", "flask-app")
    registry.expect("flask-app", {"ends", "stays"})

    place.delete("Pod", "ends")
    registry.expect("flask-app", {"stays"})
    pod = place.get("Pod", "ends")
    assert "deletionTimestamp" in pod["metadata"]
    assert ("Ready", "True") in {(one["type"], one["status"]) for one in pod["status"]["conditions"]}
    assert "terminating" in place.wait_event("ends", "Deregistered").note
    assert deregistered(operator.data) == ["ends"]


def test_a_deployment_that_is_scaled_down_loses_just_the_pods_that_went(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    before = place.deployment("web", "flask-app", 6)
    registry.expect("flask-app", before)

    place.plane.kubectl("scale", "deployment/web", "--replicas=2", f"--namespace={place.namespace}")
    after = place.rolled_out("web")
    registry.expect("flask-app", after)
    assert len(after) == 2
    assert sorted(deregistered(operator.data)) == sorted(before - after)


def test_a_rolling_update_is_followed_and_never_leaves_the_service_empty(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    manifest = deployment_manifest("web", place.namespace, replicas=3, annotations=place.asks("flask-app"))
    # Ready long enough to be in the registry before an old pod goes: whoever needs that says so like this.
    manifest["spec"] |= {"minReadySeconds": 1, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    place.plane.apply(manifest)
    before = place.rolled_out("web")
    registry.expect("flask-app", before)

    annotations = place.asks("flask-app", attributes="version=2")
    manifest["spec"]["template"]["metadata"]["annotations"] = annotations
    place.plane.apply(manifest)
    after = place.rolled_out("web")
    found = registry.expect("flask-app", after)

    assert not before & after
    assert {one["version"] for one in found.values()} == {"2"}
    assert sorted(deregistered(operator.data)) == sorted(before)
    # From the registry's own history: at no moment were there fewer than the three that were wanted.
    assert _fewest(operator, start=3) == 3


def _fewest(operator: Operator, start: int) -> int:
    there: set[str] = set()
    fewest = start
    for change in changes(operator.data):
        if change.type == DEREGISTER:
            there.discard(change.instance_id)
            fewest = min(fewest, len(there))
        else:
            there.add(change.instance_id)
    return fewest


def test_an_attribute_that_is_edited_on_a_live_pod_changes_in_place(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app", attributes="stage=dev,colour=blue")
    registry.expect("flask-app", {"web"})

    place.annotate("web", attributes="stage=prod")
    found = registry.expect_attributes("flask-app", "web", lambda given: given.get("stage") == "prod")
    assert "colour" not in found
    assert found["KUBE_ATTRIBUTES"] == "stage"
    assert deregistered(operator.data) == []


def test_a_pod_that_moves_to_another_service_is_in_the_new_one_before_it_leaves_the_old(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("old", "new")
    place.pod("web", "old")
    registry.expect("old", {"web"})

    place.annotate("web", service=f"{place.registry_namespace}/new")
    registry.expect("new", {"web"})
    registry.expect("old", set())
    assert registered(operator.data) == ["web", "web"]
    assert deregistered(operator.data) == ["web"]


def test_pods_without_an_annotation_of_ours_are_none_of_our_business(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(deployment_manifest("plain", place.namespace, replicas=2, nodeName=NODE))
    place.rolled_out("plain")
    place.pod("asks", "flask-app")

    registry.expect("flask-app", {"asks"})
    assert registered(operator.data) == ["asks"]
