"""The readiness gate's condition is set on the very pod that is meant, and beside whatever else its status holds."""

import pytest

from kube_registrar.cluster.errors import ApiConflict, ApiNotFound
from kube_registrar.cluster.gate import PodGates
from kube_registrar.cluster.session import Session
from kube_registrar.model.records import GATE, Pod
from kube_registrar.model.refs import Uid
from kube_registrar.testing.api import STRATEGIC_PATCH
from kube_registrar.testing.builders import pod_manifest
from kube_registrar.testing.components import BY_HAND
from kube_registrar.testing.control_plane import ControlPlane


@pytest.fixture
def pod(control_plane: ControlPlane, kube_namespace: str) -> Pod:
    """A pod that lists the gate, with two conditions of its node's."""
    gates = [{"conditionType": GATE}]
    annotations = {BY_HAND: "true"}
    manifest = pod_manifest("web", kube_namespace, annotations=annotations, nodeName="node-0", readinessGates=gates)
    made = control_plane.api.post(f"/api/v1/namespaces/{kube_namespace}/pods", manifest)
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "ContainersReady")]
    path = f"/api/v1/namespaces/{kube_namespace}/pods/web/status"
    control_plane.api.patch(path, {"status": {"conditions": conditions}}, content_type=STRATEGIC_PATCH)
    return Pod(kube_namespace, "web", Uid(made["metadata"]["uid"]), {}, gated=True)


def conditions(plane: ControlPlane, pod: Pod) -> dict[str, dict[str, str]]:
    found = plane.api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")["status"]["conditions"]
    return {one["type"]: one for one in found}


async def test_the_condition_is_set_and_the_others_stay(
    session: Session, control_plane: ControlPlane, pod: Pod
) -> None:
    before = conditions(control_plane, pod)
    await PodGates(session).open(pod, "Registered", "Registered as web in test-namespace/flask-app")
    after = conditions(control_plane, pod)
    gate = after.pop(GATE)
    assert (gate["status"], gate["reason"]) == ("True", "Registered")
    assert gate["message"] == "Registered as web in test-namespace/flask-app"
    assert gate["lastTransitionTime"].endswith("Z")
    assert after == {kind: one for kind, one in before.items() if kind != GATE}


async def test_once_more_is_no_error(session: Session, control_plane: ControlPlane, pod: Pod) -> None:
    gates = PodGates(session)
    await gates.open(pod, "Registered", "first")
    await gates.open(pod, "Registered", "second")
    assert conditions(control_plane, pod)[GATE]["message"] == "second"


async def test_a_pod_that_was_replaced_under_its_name_is_not_touched(
    session: Session, control_plane: ControlPlane, pod: Pod
) -> None:
    old = Pod(pod.namespace, pod.name, Uid("00000000-0000-4000-8000-000000000000"), {}, gated=True)
    with pytest.raises(ApiConflict):
        await PodGates(session).open(old, "Registered", "all is well")
    assert GATE not in conditions(control_plane, pod)


async def test_a_pod_that_is_gone_is_said_to_be(session: Session, pod: Pod) -> None:
    gone = Pod(pod.namespace, "gone", pod.uid, {}, gated=True)
    with pytest.raises(ApiNotFound):
        await PodGates(session).open(gone, "Registered", "all is well")
