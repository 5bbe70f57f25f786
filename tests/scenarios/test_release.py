"""`release` takes the operator's finalizers from our objects, leaves those of others, and ends in time.

The policy that adds the readiness gate goes first, and whoever carries the gate still is told.
"""

import subprocess

import pytest

from kube_registrar.cluster.resources import FINALIZER
from kube_registrar.model.records import GATE
from kube_registrar.testing.api import STRATEGIC_PATCH, ApiError
from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import environment
from tests.scenarios.place import Place
from tests.warm import processes as warm

POLICIES = "/apis/admissionregistration.k8s.io/v1"
OTHER = "example.com/other"


def release(plane: ControlPlane, place: Place, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run it on the RegistryServices of a place."""
    args = ["release", "--watch-namespace", place.namespace, "--kubeconfig", str(plane.kubeconfig), *flags]
    return warm.run(args, environment())


def marked(place: Place, *finalizers: str) -> None:
    """Make a RegistryService that an operator left with these finalizers."""
    manifest = place.registry_service_manifest("left")
    manifest["metadata"]["finalizers"] = list(finalizers)
    place.plane.apply([manifest])


def test_an_object_that_an_operator_left_can_be_deleted(plane: ControlPlane, place: Place) -> None:
    marked(place, FINALIZER)
    place.delete("RegistryService", "left")
    assert not place.is_gone("RegistryService", "left")
    ended = release(plane, place)
    assert ended.returncode == 0, ended.stderr
    assert f"released RegistryService {place.namespace}/left: what it made stays in the registry" in ended.stdout
    place.wait_gone("RegistryService", "left")


def test_finalizers_of_others_stay(plane: ControlPlane, place: Place) -> None:
    marked(place, OTHER, FINALIZER)
    assert release(plane, place).returncode == 0
    assert place.get("RegistryService", "left")["metadata"]["finalizers"] == [OTHER]


def test_the_deployment_is_stopped_first_and_one_that_is_not_there_has_stopped(
    plane: ControlPlane, place: Place
) -> None:
    plane.apply(deployment_manifest("operator", place.namespace, replicas=1))
    place.rolled_out("operator")
    assert release(plane, place, "--stop", f"{place.namespace}/operator").returncode == 0
    assert place.get("Deployment", "operator")["spec"]["replicas"] == 0
    assert place.pods() == set()
    assert release(plane, place, "--stop", f"{place.namespace}/another").returncode == 0


def test_it_ends_when_the_time_is_over_and_says_where(plane: ControlPlane, place: Place) -> None:
    marked(place, FINALIZER)
    plane.apply(deployment_manifest("operator", place.namespace, replicas=1))
    (pod,) = place.rolled_out("operator")
    plane.api.patch(place.path("Pod", pod), {"metadata": {"finalizers": [OTHER]}})
    ended = release(plane, place, "--stop", f"{place.namespace}/operator", "--timeout", "10")
    assert ended.returncode == 1
    assert f"were over while Deployment {place.namespace}/operator was ending" in ended.stderr
    assert place.get("RegistryService", "left")["metadata"]["finalizers"] == [FINALIZER]
    plane.api.patch(place.path("Pod", pod), {"metadata": {"finalizers": None}})
    wait_until(lambda: place.is_gone("Pod", pod), "the pod to go")


def test_the_policy_that_adds_the_gate_is_removed_and_one_that_is_not_there_is_gone(
    plane: ControlPlane, place: Place
) -> None:
    name = f"gate-{place.namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    expression = '[JSONPatch{op: "add", path: "/spec/hostname", value: "any"}]'
    anything = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    spec = {
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": {"matchLabels": {"no": "namespace"}}},
        "mutations": [anything],
    }
    plurals = {"mutatingadmissionpolicies": spec, "mutatingadmissionpolicybindings": {"policyName": name}}
    for plural, each in plurals.items():
        plane.api.post(f"{POLICIES}/{plural}", {"metadata": {"name": name}, "spec": each})
    for _ in range(2):
        ended = release(plane, place, "--gate-policy", name)
        assert ended.returncode == 0, ended.stderr
    for plural in plurals:
        with pytest.raises(ApiError, match="NotFound"):
            plane.api.get(f"{POLICIES}/{plural}/{name}")


def test_who_carries_the_readiness_gate_still_is_told(plane: ControlPlane, place: Place) -> None:
    gated = deployment_manifest("gated", place.namespace, replicas=1)
    gated["spec"]["template"]["spec"]["readinessGates"] = [{"conditionType": GATE}]
    plane.apply([gated, deployment_manifest("free", place.namespace, replicas=1)])
    (pod,) = wait_until(lambda: {each for each in place.pods() if each.startswith("gated")}, "the pod to be made")
    said = release(plane, place).stdout.splitlines()
    wait = "wait until an operator runs, or the gate is taken out"
    assert said[-2:] == [
        f"Deployment {place.namespace}/gated carries the readiness gate: its new pods {wait}",
        f"Pod {place.namespace}/{pod} waits at the readiness gate {wait.removeprefix('wait ')}",
    ]
    assert "free" not in "".join(said)
    opened = {"conditions": [{"type": GATE, "status": "True"}]}
    plane.api.patch(place.path("Pod", pod) + "/status", {"status": opened}, content_type=STRATEGIC_PATCH)
    assert f"Pod {place.namespace}/{pod}" not in release(plane, place).stdout
    assert "gate" not in release(plane, place, "--no-gates").stdout
