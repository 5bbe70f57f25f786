"""Pods with the readiness gate are Ready once they are registered: a rollout waits for the registry, however slow."""

from typing import Any

import pytest
import yaml

from kube_registrar.model.records import GATE
from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import ROOT, Json, Place
from tests.scenarios.recording import recording
from tests.scenarios.registry import Registry, deregistered
from tests.scenarios.server import Server

RBAC = ROOT / "deploy" / "base" / "rbac.yaml"


def gated(place: Place, name: str, replicas: int, annotations: dict[str, str], *others: str) -> Json:
    """Return a Deployment whose pods list the gate, and `others`; an update takes nothing away before it adds."""
    gates = [{"conditionType": one} for one in (GATE, *others)]
    manifest = deployment_manifest(name, place.namespace, replicas=replicas, annotations=annotations)
    manifest["spec"]["template"]["spec"]["readinessGates"] = gates
    manifest["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return manifest


def condition(place: Place, pod: str, type_: str = GATE) -> Json:
    return place.condition("Pod", pod, type_)


def is_ready(place: Place, pod: str) -> bool:
    return bool(condition(place, pod, "Ready").get("status") == "True")


def test_a_rollout_waits_for_a_slow_registry_and_never_serves_with_fewer(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator("--simulate", "operation-delay=2s").start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("flask-app")
    with recording(place) as heard:
        manifest = gated(place, "web", 3, place.asks("flask-app"))
        place.plane.apply(manifest)
        before = place.rolled_out("web")
        # Rolled out means registered: there is nothing to wait for any more.
        assert set(registry.discover("flask-app")) == before
        begun = len(heard.serving_and_registered(operator.data))

        manifest["spec"]["template"]["metadata"]["annotations"] = place.asks("flask-app", attributes="version=2")
        place.plane.apply(manifest)
        after = place.rolled_out("web")
        assert set(registry.discover("flask-app", version="2")) == after
        registry.expect("flask-app", after)
        for name in after:
            heard.await_uid(place.get("Pod", name)["metadata"]["uid"])
        counts = heard.serving_and_registered(operator.data)

    assert not before & after
    assert sorted(deregistered(operator.data)) == sorted(before)
    # From the moment that three served, at every change of a pod or instance at least three did.
    assert len(counts) > begun + 6
    first = next(index for index, (_, count) in enumerate(counts) if count == 3)
    assert min(count for _, count in counts[first:]) == 3
    # Nobody was Ready before its gate was open.
    for each in heard.seen:
        states = {one["type"]: one["status"] for one in each.pod["status"].get("conditions", ())}
        assert not each.serves or states[GATE] == "True"


def test_a_gate_says_why_it_is_open_and_stays_open_when_the_registration_goes(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(gated(place, "web", 1, place.asks("flask-app")))
    (name,) = place.rolled_out("web")
    opened = condition(place, name)
    assert (opened["status"], opened["reason"]) == ("True", "Registered")
    assert f"{place.registry_namespace}/flask-app" in opened["message"]

    place.annotate(name, service=f"{place.registry_namespace}/nowhere")
    place.wait_event(name, "UnknownService")
    operator.kill()
    operator.start()
    place.annotate(name, service=None, port=None)
    registry.expect("flask-app", set())
    assert condition(place, name) == opened
    assert is_ready(place, name)


def test_a_pod_that_nothing_asks_for_is_let_through(operator: Operator, place: Place) -> None:
    place.plane.apply(gated(place, "plain", 1, {}))
    (name,) = place.rolled_out("plain")
    assert condition(place, name)["reason"] == "NothingToRegister"


def test_another_gate_keeps_the_pod_from_being_ready_but_not_from_being_registered(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(gated(place, "web", 1, place.asks("flask-app"), "example.com/other"))
    (name,) = wait_until(lambda: place.pods("app=web"), "the pod")
    registry.expect("flask-app", {name})
    place.wait_condition("Pod", name, GATE, "True", "Registered")
    assert not is_ready(place, name)


def test_a_pod_behind_an_annotated_service_is_registered_and_ready_although_its_endpoint_waits_for_it(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.plane.apply(_service("web", place))
    place.plane.apply(gated(place, "web", 2, {}))
    names = place.rolled_out("web")
    registry.expect("flask-app", names)
    assert {condition(place, name)["reason"] for name in names} == {"Registered"}


def _service(name: str, place: Place) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": place.namespace, "annotations": place.asks("flask-app")},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def test_pods_wait_while_the_registry_is_down_and_those_that_serve_go_on(
    server: Server, new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator(endpoint=server.endpoint).start()
    registry = Registry(server.endpoint, place.registry_namespace)
    place.declare("flask-app")
    place.plane.apply(gated(place, "web", 2, place.asks("flask-app")))
    running = place.rolled_out("web")
    registry.expect("flask-app", running)

    server.stop()
    place.plane.apply(gated(place, "new", 1, place.asks("flask-app")))
    (waiting,) = wait_until(lambda: place.pods("app=new"), "the new pod")
    place.wait_condition("Pod", waiting, "ContainersReady", "True")
    wait_until(lambda: "cannot be read" in operator.tail(300) or "Could not" in operator.tail(300), "it to notice")
    assert condition(place, waiting) == {}
    assert all(is_ready(place, name) for name in running)
    server.start()
    assert place.rolled_out("new") == {waiting}
    registry.expect("flask-app", running | {waiting})


def test_without_the_right_it_is_said_on_the_pod_and_once_in_the_log_and_all_else_goes_on(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator(kubeconfig=_without_the_right(place)).start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("flask-app")
    place.plane.apply(gated(place, "web", 2, place.asks("flask-app")))
    names = wait_until(lambda: found if len(found := place.pods("app=web")) == 2 else None, "two pods")
    place.pod("plain", "flask-app")
    registry.expect("flask-app", names | {"plain"})
    for name in names:
        event = place.wait_event(name, "GateNotOpened")
        assert event.type == "Warning"
        assert "patch pods/status" in event.note
        assert not is_ready(place, name)
    said = [line for line in operator.lines() if "patch pods/status" in str(line["message"])]
    assert len(said) == 1


def _without_the_right(place: Place) -> Any:
    """Return the kubeconfig of a service account that may do all but open gates."""
    manifests = list(yaml.safe_load_all(RBAC.read_text()))
    place.plane.apply([one for one in manifests if one["kind"] == "ClusterRole"])
    account = {"kind": "ServiceAccount", "name": "no-gates", "namespace": place.namespace}
    (binding,) = [
        one for one in manifests if (one["kind"], one["metadata"]["name"]) == ("ClusterRoleBinding", "kube-registrar")
    ]
    binding = {**binding, "metadata": {"name": place.namespace}, "subjects": [account]}
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "no-gates"}}
    place.plane.api.post(f"/api/v1/namespaces/{place.namespace}/serviceaccounts", made)
    place.plane.apply(binding)
    return place.plane.service_account_kubeconfig(place.namespace, "no-gates")


@pytest.mark.parametrize("policy", ["observe"])
def test_a_policy_does_not_block_a_rollout(new_operator: NewOperator, place: Place, policy: str) -> None:
    operator = new_operator().start()
    place.declare("flask-app")
    operator.end()
    operator.flags.append(f"--policy={policy}")
    operator.start()
    place.plane.apply(gated(place, "web", 1, place.asks("flask-app")))
    (name,) = place.rolled_out("web")
    assert condition(place, name)["reason"] == "Withheld"
    assert Registry(operator.endpoint, place.registry_namespace).discover("flask-app") == {}
