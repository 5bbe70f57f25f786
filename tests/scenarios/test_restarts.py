"""The operator stops, crashes and comes back; what happened meanwhile is made good, and nothing else."""

import signal
from collections.abc import Callable

import pytest

from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, changes, deregistered, registered


def test_a_kill_loses_nothing_and_no_live_pod_is_deregistered(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    stay = place.deployment("stays", "flask-app", 20)
    for name in ("deleted", "unready", "changed", "moved"):
        place.pod(name, "flask-app", attributes="version=1")
    registry.expect("flask-app", stay | {"deleted", "unready", "changed", "moved"})
    uids = {name: place.get("Pod", name)["metadata"]["uid"] for name in ("deleted", "unready", "moved")}

    operator.kill()
    place.delete("Pod", "deleted", now=True)
    place.set_status("unready", ready=False)
    place.annotate("changed", attributes="version=2")
    place.annotate("moved", service=None, port=None, attributes=None)
    created = place.deployment("created", "flask-app", 5)
    operator.start()

    expected = stay | created | {"changed"}
    found = registry.expect("flask-app", expected)
    registry.expect_attributes("flask-app", "changed", lambda given: given["version"] == "2")
    assert set(found) == expected
    gone = [change for change in changes(operator.data) if change.type == "DEREGISTER_INSTANCE"]
    assert sorted((change.pod, change.uid) for change in gone) == sorted(uids.items())
    # Each live pod was registered once; the one that changed, once more.
    assert sorted(registered(operator.data)) == sorted([*expected, "deleted", "unready", "changed", "moved"])


def test_a_kill_in_the_middle_of_a_roll_out_is_made_good(operator: Operator, place: Place, registry: Registry) -> None:
    place.declare("flask-app")
    place.plane.apply(deployment_manifest("web", place.namespace, replicas=40, annotations=place.asks("flask-app")))
    wait_until(lambda: len(registry.discover("flask-app")) > 0, "the first pod to be registered", every=0.01)
    operator.kill()

    place.plane.kubectl("scale", "deployment/web", "--replicas=30", f"--namespace={place.namespace}")
    pods = place.rolled_out("web")
    operator.start()
    registry.expect("flask-app", pods)
    assert not pods & set(deregistered(operator.data))


@pytest.mark.extended
def test_kills_again_and_again_while_pods_come_and_go_cost_no_live_pod_its_registration(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    web = deployment_manifest("web", place.namespace, replicas=30, annotations=place.asks("flask-app"))
    place.plane.apply(web)
    for version in range(4):
        # Some of the new ones are in, some of the old ones are not out yet: the worst moment to die.
        web["spec"]["template"]["metadata"]["annotations"] = place.asks("flask-app", attributes=f"version={version}")
        web["spec"]["replicas"] = 30 - 5 * version
        place.plane.apply(web)
        _wait_for_first(registry, str(version))
        operator.kill()
        operator.start(wait=version % 2 == 0)
    pods = place.rolled_out("web")
    # What went while nobody watched is more than may be missing at once: a second list has to lack it too.
    registry.expect("flask-app", pods, within=120.0)
    assert not pods & set(deregistered(operator.data))


def _wait_for_first(registry: Registry, version: str) -> None:
    what = f"the first pod of version {version}"
    wait_until(lambda: len(registry.discover("flask-app", version=version)) > 0, what, every=0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_graceful_stop_deregisters_nothing(
    operator: Operator, place: Place, registry: Registry, number: signal.Signals
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    before = changes(operator.data)

    assert operator.end(number) == 0
    assert changes(operator.data) == before
    operator.start()
    assert set(registry.discover("flask-app")) == {"web"}
    place.pod("later", "flask-app")
    registry.expect("flask-app", {"web", "later"})
    assert registered(operator.data) == ["web", "later"]
    assert deregistered(operator.data) == []


def test_a_stop_before_it_is_ready_is_a_graceful_one_too(new_operator: NewOperator) -> None:
    operator = new_operator().start(wait=False)
    wait_until(lambda: operator.address("api"), "the operator to listen", every=0.01)
    assert operator.end() == 0


def test_a_stateful_set_pod_that_came_back_under_its_name_is_another_pod(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(_stateful_set(place, replicas=3))
    names = {"db-0", "db-1", "db-2"}
    registry.expect("flask-app", names)
    old = {change.pod: change for change in changes(operator.data)}

    operator.kill()
    place.delete("Pod", "db-1")
    wait_until(lambda: _is_replaced(place, "db-1", old["db-1"].uid), "db-1 to be there anew")
    operator.start()

    new = place.get("Pod", "db-1")["metadata"]["uid"]
    registry.expect_attributes("flask-app", "db-1", lambda given: given["KUBE_POD_UID"] == new)
    wait_until(lambda: len(registry.instances("flask-app")) == 3, "the old db-1 to be gone")
    gone = [change for change in changes(operator.data) if change.type == "DEREGISTER_INSTANCE"]
    assert [(change.pod, change.uid) for change in gone] == [("db-1", old["db-1"].uid)]
    assert registry.expect("flask-app", names)["db-1"]["KUBE_POD_UID"] == new


def _stateful_set(place: Place, replicas: int) -> dict[str, object]:
    manifest = deployment_manifest("db", place.namespace, replicas=replicas, annotations=place.asks("flask-app"))
    return {**manifest, "kind": "StatefulSet", "spec": {**manifest["spec"], "serviceName": "db"}}


def _is_replaced(place: Place, name: str, old_uid: str) -> bool:
    pods = {pod["metadata"]["name"]: pod for pod in place.list("Pod")}
    if name not in pods:
        return False
    pod = pods[name]
    ready = [one["status"] for one in pod["status"].get("conditions", []) if one["type"] == "Ready"]
    return pod["metadata"]["uid"] != old_uid and ready == ["True"]


def _annotation_removed(place: Place) -> None:
    place.annotate("changes", service=None, port=None)


def _failed(place: Place) -> None:
    place.set_status("changes", ready=False, phase="Failed")


def _deleted(place: Place) -> None:
    place.delete("Pod", "changes", now=True)


def _terminating(place: Place) -> None:
    place.delete("Pod", "changes")


@pytest.mark.parametrize("happens", [_annotation_removed, _failed, _deleted, _terminating])
def test_what_ends_a_registration_while_the_operator_is_down_ends_it_afterwards(
    operator: Operator, place: Place, registry: Registry, happens: Callable[[Place], None]
) -> None:
    place.declare("flask-app")
    stay = {"stays-0", "stays-1"}
    for name in (*stay, "changes"):
        place.pod(name, "flask-app")
    registry.expect("flask-app", stay | {"changes"})

    operator.kill()
    happens(place)
    operator.start()
    registry.expect("flask-app", stay)
    assert deregistered(operator.data) == ["changes"]
    assert sorted(registered(operator.data)) == ["changes", "stays-0", "stays-1"]
