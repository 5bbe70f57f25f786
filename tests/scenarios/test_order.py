"""What goes leaves before what comes takes its place: names that return, addresses that are used again, long ends."""

from typing import Any

from kube_registrar.model.records import GATE
from kube_registrar.testing.api import STRATEGIC_PATCH
from kube_registrar.testing.builders import pod_manifest
from kube_registrar.testing.components import BY_HAND
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import NODE, Place
from tests.scenarios.registry import DEREGISTER, REGISTER, Registry, changes, deregistered


def uid(place: Place, name: str) -> str:
    return str(place.get("Pod", name)["metadata"]["uid"])


def story(operator: Operator) -> list[tuple[str, str]]:
    """Return what was done, with the UID of the pod that it was about."""
    return [(change.type, change.uid) for change in changes(operator.data)]


def stateful_set(place: Place, name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    spec = pod_manifest(name, place.namespace)["spec"]
    template = {"metadata": {"labels": labels, "annotations": place.asks("flask-app")}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": place.namespace},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def test_a_name_that_returns_is_another_instance_and_the_old_one_is_out_before_it(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(stateful_set(place, "db", 2))
    registry.expect("flask-app", {"db-0", "db-1"})
    old, other = uid(place, "db-0"), uid(place, "db-1")
    ids = {change.instance_id for change in changes(operator.data)}

    place.delete("Pod", "db-0")
    new = wait_until(
        lambda: registry.discover("flask-app").get("db-0", {}).get("KUBE_POD_UID") not in {None, old},
        "the new pod to be registered",
    )
    assert new
    new_uid = uid(place, "db-0")
    found = registry.expect("flask-app", {"db-0", "db-1"})
    assert found["db-0"]["KUBE_POD_UID"] == new_uid
    assert len({one["InstanceId"] for one in registry.instances("flask-app")} & ids) == 1  # that of db-1
    assert [step for step in story(operator) if step[1] != other] == [
        (REGISTER, old),
        (DEREGISTER, old),
        (REGISTER, new_uid),
    ]


def with_address(place: Place, name: str, address: str) -> str:
    """Make a Ready pod with this address; return its UID."""
    place.unready_pod(name, "flask-app")
    status = {"podIP": address, "podIPs": [{"ip": address}]}
    place.plane.api.patch(f"{place.path('Pod', name)}/status", {"status": status}, content_type=STRATEGIC_PATCH)
    place.set_status(name, ready=True)
    return uid(place, name)


def test_an_address_that_is_used_again_has_its_old_holder_out_before_the_new_one_is_in(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    old = with_address(place, "old", "10.201.0.1")
    registry.expect("flask-app", {"old"})
    place.delete("Pod", "old", now=True)
    new = with_address(place, "new", "10.201.0.1")
    registry.expect("flask-app", {"new"})
    assert story(operator) == [(REGISTER, old), (DEREGISTER, old), (REGISTER, new)]


def test_so_has_one_that_was_used_again_while_nobody_watched(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    old = with_address(place, "old", "10.201.0.2")
    registry.expect("flask-app", {"old"})
    operator.kill()
    place.delete("Pod", "old", now=True)
    new = with_address(place, "new", "10.201.0.2")
    operator.start()
    registry.expect("flask-app", {"new"})
    assert story(operator) == [(REGISTER, old), (DEREGISTER, old), (REGISTER, new)]


def test_a_pod_that_drains_is_out_while_it_still_runs_and_its_gate_stays_open(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    # As docs/readiness.md has it: the process goes on for as long as clients may still know its address.
    manifest = pod_manifest(
        "drains",
        place.namespace,
        annotations={**place.asks("flask-app"), BY_HAND: "true"},
        nodeName=NODE,
        readinessGates=[{"conditionType": GATE}],
        terminationGracePeriodSeconds=3_600,
    )
    manifest["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 3_000}}}
    place.plane.api.post(f"/api/v1/namespaces/{place.namespace}/pods", manifest)
    place.pod("stays", "flask-app")
    place.set_status("drains", ready=True)
    registry.expect("flask-app", {"drains", "stays"})
    opened = place.wait_condition("Pod", "drains", GATE, "True", "Registered")

    place.delete("Pod", "drains")
    registry.expect("flask-app", {"stays"})
    pod = place.get("Pod", "drains")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 3_600
    assert pod["status"]["phase"] == "Running"
    states = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
    assert states == {"ContainersReady": "True", "Ready": "True", GATE: "True"}
    assert place.condition("Pod", "drains", GATE) == opened
    assert deregistered(operator.data) == ["drains"]
