"""What there is to say about an object, and how that is written as an Event.

Source: Kubernetes API reference, events.k8s.io/v1 Event: the note has 1,024 bytes at most, an event of a cluster-scoped
object lies in `default`, and of an Event that exists only the series may change.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from kube_registrar.cluster.resources import GROUP
from kube_registrar.model.refs import ObjectRef

CONTROLLER = f"{GROUP}/registrar"
MESSAGE_BYTES = 1_024
_NAME_CHARACTERS = 253
_INSTANCE_CHARACTERS = 128


@dataclass(slots=True)
class Note:
    """One thing said of one object, `count` times. Times in seconds since 1970."""

    ref: ObjectRef
    type: str
    reason: str
    message: str
    name: str
    first: float
    last: float
    count: int = 1
    posted: int = 0
    """The count that the API server knows of; 0: there is no Event yet."""

    @property
    def namespace(self) -> str:
        """Where the Event lies."""
        return self.ref.namespace or "default"

    @property
    def collection(self) -> str:
        """The path to post it to."""
        return f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"

    @property
    def path(self) -> str:
        """The path of the Event."""
        return f"{self.collection}/{self.name}"

    def body(self, instance: str) -> dict[str, object]:
        """Return the Event's JSON; `instance` is the process that says it."""
        regarding = {
            "apiVersion": self.ref.api_version,
            "kind": self.ref.kind,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "uid": self.ref.uid,
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": self.namespace, "name": self.name},
            "eventTime": _micro_time(self.first),
            "reportingController": CONTROLLER,
            "reportingInstance": instance[:_INSTANCE_CHARACTERS],
            "action": "Register",
            "type": self.type,
            "reason": self.reason,
            "note": cut(self.message),
            "regarding": {key: value for key, value in regarding.items() if value},
            **self.series(),
        }

    def series(self) -> dict[str, object]:
        """Return the part that may change; nothing while it was said once (the API refuses a series of one)."""
        if self.count == 1:
            return {}
        return {"series": {"count": self.count, "lastObservedTime": _micro_time(self.last)}}


def event_name(object_name: str, unique: str) -> str:
    """Return a name for an Event of an object, as client-go makes them: `<object>.<unique>`."""
    stem = object_name[: _NAME_CHARACTERS - len(unique) - 1].rstrip("-.")
    return f"{stem}.{unique}" if stem else unique


def cut(message: str) -> str:
    """Cut a message to what an Event may hold, in bytes, at a whole character."""
    raw = message.encode()
    if len(raw) <= MESSAGE_BYTES:
        return message
    return raw[: MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def _micro_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
