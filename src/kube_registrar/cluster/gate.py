"""Opens the readiness gate of one pod: a condition in the pod's status, which only whoever it belongs to writes."""

from kube_registrar.cluster.resources import PODS
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.status import rfc3339
from kube_registrar.model.records import GATE, Pod

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
MESSAGE_CHARACTERS = 1_024


class PodGates:
    """Patches the gate's condition. The right that it takes: `patch` on `pods/status`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, pod: Pod, reason: str, message: str) -> None:
        """Set the condition True on this very pod, whatever its other conditions are.

        A strategic merge keeps conditions apart by their type, and the UID makes it a conflict where the name is
        another pod's by now. Raises ApiConflict for that, ApiNotFound, and whatever else a Session raises.
        Source: the kubelet's own `PatchPodStatus`, which sends the UID for the same purpose.
        """
        condition = {
            "type": GATE,
            "status": "True",
            "reason": reason,
            "message": message[:MESSAGE_CHARACTERS],
            "lastTransitionTime": rfc3339(self._session.clock.time()),
            "lastProbeTime": None,
        }
        body = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        path = PODS.path(pod.namespace, pod.name, "status")
        await self._session.patch(path, body, content_type=STRATEGIC_PATCH)
