"""Annotated pods are given the readiness gate, and a preStop sleep where wished, in namespaces that ask for it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kube_registrar.model.records import ANNOTATION_PREFIX, GATE
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.admission.policies import namespace, rendered
from tests.chart.helm import Helm, Json

ROOT = "/apis/admissionregistration.k8s.io/v1"
ASKED = {f"{ANNOTATION_PREFIX}service": "test-namespace/flask-app"}
LABEL = {"kube-registrar.dev/readiness-gate": "enabled"}
OURS = {"conditionType": GATE}
SLEEP = {"preStop": {"sleep": {"seconds": 20}}}


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane with the policy and a sleep of 20 seconds."""
    wanted = {"validation": {"enabled": False}, "readinessGate": {"enabled": True, "preStopSleepSeconds": 20}}
    objects = rendered(Helm(tmp_path_factory.mktemp("helm")), wanted)
    assert [each["kind"] for each in objects] == ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
    control_plane.apply(list(objects))
    yield control_plane
    name = objects[0]["metadata"]["name"]
    for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        control_plane.api.delete(f"{ROOT}/{plural}/{name}")


@pytest.fixture(scope="module")
def where(plane: ControlPlane) -> str:
    """A Kubernetes namespace that asks for it."""
    name = namespace(plane, **LABEL)
    wait_until(lambda: "readinessGates" in made(plane, name), "pods to be given the gate")
    return name


def made(plane: ControlPlane, where: str, annotations: Mapping[str, str] = ASKED, **spec: Any) -> Json:
    """Return the spec of a pod as it would be stored."""
    body = {
        "metadata": {"name": "web", "annotations": dict(annotations)},
        "spec": {"containers": [{"name": "web", "image": "web"}], **spec},
    }
    found: Json = plane.api.post(f"/api/v1/namespaces/{where}/pods?dryRun=All", body)["spec"]
    return found


def test_an_annotated_pod_is_given_the_gate_and_a_sleep_and_as_much_longer_a_grace_period(
    plane: ControlPlane, where: str
) -> None:
    found = made(plane, where)
    assert found["readinessGates"] == [OURS]
    assert [each["lifecycle"] for each in found["containers"]] == [SLEEP]
    assert found["terminationGracePeriodSeconds"] == 50
    by_registries = made(plane, where, {f"{ANNOTATION_PREFIX}service-registries": "registry=a/b"})
    assert by_registries["readinessGates"] == [OURS]


def test_what_a_pod_has_already_stays_and_nothing_is_there_twice(plane: ControlPlane, where: str) -> None:
    other = {"conditionType": "example.com/other"}
    assert made(plane, where, readinessGates=[other])["readinessGates"] == [other, OURS]
    own = {"preStop": {"sleep": {"seconds": 3}}}
    containers = [{"name": "web", "image": "web", "lifecycle": own}, {"name": "side", "image": "side"}]
    found = made(plane, where, readinessGates=[OURS, other], containers=containers, terminationGracePeriodSeconds=7)
    assert found["readinessGates"] == [OURS, other]
    assert [each["lifecycle"] for each in found["containers"]] == [own, SLEEP]
    assert found["terminationGracePeriodSeconds"] == 27
    again = made(plane, where, **{key: found[key] for key in ("readinessGates", "containers")})
    assert again["containers"] == found["containers"]
    assert again["terminationGracePeriodSeconds"] == 30


@pytest.mark.parametrize(
    "annotations",
    [{}, {f"{ANNOTATION_PREFIX}port": "80"}, {**ASKED, f"{ANNOTATION_PREFIX}register": "false"}],
    ids=["none", "no service", "kept out"],
)
def test_a_pod_that_does_not_ask_is_left_as_it_is(
    annotations: Mapping[str, str], plane: ControlPlane, where: str
) -> None:
    found = made(plane, where, annotations)
    assert "readinessGates" not in found
    assert "lifecycle" not in found["containers"][0]


def test_without_the_label_nothing_happens(plane: ControlPlane, where: str) -> None:
    assert "readinessGates" not in made(plane, namespace(plane))
