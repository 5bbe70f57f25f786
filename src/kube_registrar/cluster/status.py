"""Conditions and status of our kinds, as Kubernetes' API conventions have them (metav1.Condition)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from kube_registrar.cluster.resources import OURS
from kube_registrar.cluster.session import Session
from kube_registrar.model.refs import Uid

Condition = Mapping[str, object]
"""JSON of a metav1.Condition."""

MESSAGE_CHARACTERS = 32_768
"""The longest message that metav1.Condition allows."""


def with_condition(
    conditions: Sequence[Condition],
    type: str,  # noqa: A002  # the field's name
    status: bool | None,  # noqa: FBT001  # the field's value; None is Unknown
    *,
    reason: str,
    message: str,
    generation: int,
    now: float,
) -> list[Condition]:
    """Return `conditions` with one set, in its place or at the end.

    `now` (seconds since 1970) becomes its lastTransitionTime only if its status is another than before. What is not a
    condition is dropped. Source: Kubernetes API conventions, "Typical status properties".
    """
    shown = {True: "True", False: "False", None: "Unknown"}[status]
    old = next((one for one in conditions if one.get("type") == type), None)
    since = old.get("lastTransitionTime") if old is not None and old.get("status") == shown else None
    new: Condition = {
        "type": type,
        "status": shown,
        "reason": reason,
        "message": message[:MESSAGE_CHARACTERS],
        "observedGeneration": generation,
        "lastTransitionTime": since or rfc3339(now),
    }
    others = [one for one in conditions if one.get("type")]
    if old is None:
        return [*others, new]
    return [new if one is old else one for one in others]


def rfc3339(moment: float) -> str:
    """Return seconds since 1970 as Kubernetes writes times: whole seconds, UTC."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def patch_status(
    session: Session,
    kind: str,
    namespace: str,
    name: str,
    status: Mapping[str, object],
    *,
    resource_version: str | None = None,
) -> None:
    """Merge `status` into that of one of our objects; lists, conditions among them, are replaced whole.

    With `resource_version` it is done only if the object is still that one. Raises ApiConflict otherwise, ApiNotFound
    if the object is gone, and whatever else a Session raises.
    """
    body: dict[str, object] = {"status": status}
    if resource_version is not None:
        body["metadata"] = {"resourceVersion": resource_version}
    await session.patch(OURS[kind].path(namespace, name, "status"), body)


@dataclass(frozen=True, slots=True)
class StatusAsRead:
    """The status of an object, and which object, in which version, it is of."""

    uid: Uid
    resource_version: str
    status: Mapping[str, Any]


class Statuses:
    """The statuses of our kinds."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(self, kind: str, namespace: str, name: str) -> StatusAsRead:
        """Return a status as it is. Raises ApiNotFound if the object is gone, and whatever else a Session raises."""
        thing = msgspec.json.decode(await self._session.get(OURS[kind].path(namespace, name)))
        metadata = thing["metadata"]
        return StatusAsRead(Uid(metadata["uid"]), metadata["resourceVersion"], thing.get("status") or {})

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        status: Mapping[str, object],
        *,
        resource_version: str | None = None,
    ) -> None:
        """See `patch_status`."""
        await patch_status(self._session, kind, namespace, name, status, resource_version=resource_version)
