"""What a registry service holds, as far as we know: its last list, and our own writes since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.identity import is_own, origin_of
from kube_registrar.model.instances import Instance, Registration
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.runtime.backoff import Backoff

DOUBT_SECONDS = 300.0
"""A write of unknown outcome may land this late; the service is looked at until then."""


@dataclass(slots=True)
class Attempt:
    """A change that failed, and when it may be tried again (monotonic seconds)."""

    change: Change
    backoff: Backoff = field(default_factory=Backoff)
    not_before: float = 0.0


@dataclass(slots=True)
class ObservedService:
    """The state of one registry service. Foreign instances are known by id only."""

    service: ServiceRef
    cluster_uid: Uid
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    is_listed: bool = False
    """Whether a list has ever been read; nothing is planned before."""
    is_stale: bool = True
    """Whether the next look at the service begins with a list."""
    in_flight: dict[InstanceId, Change] = field(default_factory=dict)
    failed: dict[InstanceId, Attempt] = field(default_factory=dict)
    doubtful: dict[InstanceId, float] = field(default_factory=dict)
    """Pairs whose last write has an unknown outcome, and until when (monotonic seconds) it may land."""
    by_origin: dict[Uid, set[ServiceRef]] = field(default_factory=dict)
    """Shared by all services of a registry: where instances of a pod may be. It may say too much, never too little."""
    _written: set[InstanceId] | None = None

    def begin_list(self) -> None:
        """Note that a list is asked for: what is written from now on is newer than what it says."""
        self._written = set(self.in_flight)
        self.is_stale = False

    def end_list(self, listed: Sequence[Instance]) -> None:
        """Take in a whole list, except for pairs written since it was asked for."""
        newer = self._written or set()
        self._written = None
        fresh = {i.id: self._slim(i) for i in listed if i.id not in newer}
        kept = {instance_id: i for instance_id, i in self.instances.items() if instance_id in newer}
        self.instances = fresh | kept
        self.is_listed = True
        for origin in origins(self.own()):
            self.by_origin.setdefault(origin, set()).add(self.service)

    def fail_list(self) -> None:
        """Note that the list was not read: what is known stays as it was."""
        self._written = None
        self.is_stale = True

    def _slim(self, instance: Instance) -> Instance:
        return instance if is_own(instance.attributes, self.cluster_uid) else Instance(instance.id, {})

    def own(self) -> Iterable[Instance]:
        """Return this cluster's instances."""
        return (i for i in self.instances.values() if is_own(i.attributes, self.cluster_uid))

    def send(self, changes: Iterable[Change]) -> None:
        """Note that these changes are on their way."""
        for change in changes:
            self.in_flight[change.instance_id] = change
            self._touch(change.instance_id)

    def take(self, outcome: Outcome, now: float) -> float | None:
        """Take in what came of a change; return the seconds to wait before the next try if it failed."""
        change = outcome.change
        self.in_flight.pop(change.instance_id, None)
        self._touch(change.instance_id)
        if outcome.error is None:
            self._confirm(change)
            return None
        if isinstance(outcome.error, Unreachable) and outcome.error.doubtful:
            self.doubtful[change.instance_id] = now + DOUBT_SECONDS
            self.is_stale = True
        attempt = self.failed.setdefault(change.instance_id, Attempt(change))
        attempt.change = change
        delay = attempt.backoff.failed(getattr(outcome.error, "after", 0.0))
        attempt.not_before = now + delay
        return delay

    def _confirm(self, change: Change) -> None:
        self.failed.pop(change.instance_id, None)
        if isinstance(change, Register):
            self.instances[change.instance_id] = change.instance
            self.by_origin.setdefault(change.origin.uid, set()).add(self.service)
        elif isinstance(change, Deregister):
            self.instances.pop(change.instance_id, None)
            self._forget_origin(change.origin.uid)

    def _forget_origin(self, origin: Uid) -> None:
        services = self.by_origin.get(origin)
        if services is not None and origin not in origins(self.own()):
            services.discard(self.service)
            if not services:
                del self.by_origin[origin]

    def _touch(self, instance_id: InstanceId) -> None:
        if self._written is not None:
            self._written.add(instance_id)

    def busy(self, wanted: Mapping[InstanceId, Registration], now: float) -> frozenset[InstanceId]:
        """Return the instances to leave alone: a change is in flight, or the same failed a moment ago."""
        waiting = {
            instance_id
            for instance_id, attempt in self.failed.items()
            if attempt.not_before > now and not _is_newer(wanted.get(instance_id), attempt.change)
        }
        return frozenset(self.in_flight) | waiting

    def settle_doubts(self, now: float) -> None:
        """Forget doubts whose time is over; the list that was read after it was the last look."""
        self.doubtful = {instance_id: until for instance_id, until in self.doubtful.items() if until > now}

    def forget_attempts(self, known: Iterable[InstanceId]) -> None:
        """Drop failures of instances that are neither wanted nor there any more."""
        for instance_id in set(self.failed) - set(known) - set(self.instances):
            del self.failed[instance_id]


def _is_newer(wish: Registration | None, tried: Change) -> bool:
    """Whether the wish is another one than what was tried."""
    if wish is None:
        return isinstance(tried, Register)
    return not isinstance(tried, Register) or dict(tried.instance.attributes) != {
        **tried.instance.attributes,
        **wish.instance.attributes,
    }


class ObservedState:
    """All registry services of one registry, and which of them hold instances of a pod."""

    def __init__(self, cluster_uid: Uid) -> None:
        self._cluster_uid = cluster_uid
        self._by_origin: dict[Uid, set[ServiceRef]] = {}
        self._services: dict[ServiceRef, ObservedService] = {}

    def of(self, service: ServiceRef) -> ObservedService:
        """Return the state of a service, empty and unlisted at first."""
        if service not in self._services:
            self._services[service] = ObservedService(service, self._cluster_uid, by_origin=self._by_origin)
        return self._services[service]

    def services(self) -> Sequence[ServiceRef]:
        """Return every service that was ever looked at."""
        return list(self._services)

    def holding(self, origin: Uid) -> frozenset[ServiceRef]:
        """Return the services that may hold instances of a pod."""
        return frozenset(self._by_origin.get(origin, ()))

    def forget(self, service: ServiceRef) -> None:
        """Drop a service that the registry no longer has."""
        self._services.pop(service, None)


def origins(instances: Iterable[Instance]) -> frozenset[Uid]:
    """Return the UIDs of the pods that these own instances stand for."""
    return frozenset(origin_of(i.attributes).uid for i in instances)
