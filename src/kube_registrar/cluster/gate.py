"""Opens the readiness gate of one pod: a condition in the pod's status, which only whoever it belongs to writes."""

from http import HTTPStatus

from kube_registrar.cluster.errors import ApiConflict, ApiError
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

        A strategic merge keeps conditions apart by their type. The UID is sent along, as the kubelet does with its own
        status patches, so that nothing is done where the name is another pod's by now. Raises ApiConflict for that,
        ApiNotFound, and whatever else a Session raises.
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
        try:
            await self._session.patch(path, body, content_type=STRATEGIC_PATCH)
        except ApiError as error:
            # To the API server another UID is an attempt to change what is immutable (422), not a conflict.
            if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and "metadata.uid" in str(error):
                raise ApiConflict(str(error), status=error.status, reason=error.reason) from None
            raise
