"""Registrations that wait a moment for what is known late, where a second one would do harm.

A node's zone may come to its Node object after its first pods are ready. Elsewhere an instance is registered at once,
and again when its zone is known; where the registry itself checks health, that would make the check anew.
Source: RegisterInstance (AWS Cloud Map API reference): "deletes the old health check and creates a new one".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from kube_registrar.model.attributes import AVAILABILITY_ZONE
from kube_registrar.model.changes import Change, Register, Urgency
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.planning.plan import Plan

PATIENCE_SECONDS: Final = 2.0


@dataclass(slots=True)
class Lateness:
    """The new instances of one registry that wait, and since when (monotonic seconds)."""

    is_checked: Callable[[ServiceRef], bool]
    """Whether the registry makes health checks of its own for the instances of a service."""
    _since: dict[ServiceRef, dict[InstanceId, float]] = field(default_factory=dict)

    def restrain(self, made: Plan, service: ServiceRef, now: float) -> tuple[Plan, float]:
        """Return the plan without what still waits, and when that must be looked at again (math.inf: never)."""
        if not self.is_checked(service):
            return made, math.inf
        late = {change.instance_id for change in made.changes if _is_late(change)}
        before = self._since.pop(service, {})
        since = {each: before.get(each, now) for each in late}
        if since:
            self._since[service] = since
        waiting = {each for each, began in since.items() if now < began + PATIENCE_SECONDS}
        if not waiting:
            return made, math.inf
        left = [change for change in made.changes if change.instance_id not in waiting]
        return replace(made, changes=left), min(since[each] for each in waiting) + PATIENCE_SECONDS


def _is_late(change: Change) -> bool:
    """Whether it registers a new instance whose zone is not known."""
    if not isinstance(change, Register) or change.urgency is Urgency.REPAIR:
        return False
    return AVAILABILITY_ZONE not in change.instance.attributes
