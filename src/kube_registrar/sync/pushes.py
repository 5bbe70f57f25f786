"""Statuses of instances that we pushed: for a while a list may still tell the old ones.

Cloud Map applies a custom health status some 30 seconds after it accepted it, and pushing it again does not hasten it.
So a list that was asked for before that says nothing of the status. Who led before may have pushed another one just
before it went: what it had on its way shows only after as long.
Source: UpdateInstanceCustomHealthStatus (AWS Cloud Map API reference), HealthCheckCustomConfig (the same).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, ServiceRef

APPLIED_SECONDS = 35.0
"""A status that was accepted is applied after so long, and a little more."""


@dataclass(slots=True)
class Pushes:
    """What was pushed to the instances of one service, and when (monotonic seconds)."""

    _pushed: dict[InstanceId, tuple[Health, float]] = field(default_factory=dict)

    def note(self, instance_id: InstanceId, health: Health, now: float) -> None:
        """Note that the registry accepted a status."""
        self._pushed[instance_id] = (health, now)

    def forget(self, instance_id: InstanceId) -> None:
        """Note that the instance is gone."""
        self._pushed.pop(instance_id, None)

    def clear(self) -> None:
        """Note that all are gone."""
        self._pushed.clear()

    def seen(self, listed: Iterable[Instance], asked_at: float) -> tuple[Sequence[Instance], float]:
        """Return what a list tells, its statuses as they will be, and when it is worth asking again (infinity: never).

        It is where a list tells another status than the one that is on its way: it may also be somebody else's.
        """
        self._pushed = {i: each for i, each in self._pushed.items() if each[1] + APPLIED_SECONDS > asked_at}
        if not self._pushed:
            return tuple(listed), math.inf
        result: list[Instance] = []
        again_at = math.inf
        for each in listed:
            health, since = self._pushed.get(each.id, (each.health, math.inf))
            if health is not each.health:
                again_at = min(again_at, since + APPLIED_SECONDS)
            result.append(each if health is each.health else replace(each, health=health))
        return result, again_at


@dataclass(slots=True)
class LaterLooks:
    """When services are read again after a lead began: what others had sent may show after the first list."""

    straggler_seconds: float
    """A write may land so long after it was sent."""
    is_custom: Callable[[ServiceRef], bool]
    """Whether the statuses of a service's instances are pushed."""
    began: float = math.inf
    _due: dict[ServiceRef, Sequence[float]] = field(default_factory=dict)

    def after(self, service: ServiceRef, asked_at: float) -> float:
        """Return when to read a service again that was read just now; infinity: not for this."""
        due = self._due[service] if service in self._due else self._first(service, asked_at)
        self._due[service] = [each for each in due if each > asked_at]
        return min(self._due[service], default=math.inf)

    def _first(self, service: ServiceRef, asked_at: float) -> Iterable[float]:
        lates = [self.straggler_seconds]
        if self.is_custom(service):
            lates.append(self.straggler_seconds + APPLIED_SECONDS)
        return [asked_at + late for late in lates if asked_at < self.began + late]
