"""What a registry service holds, as far as we know: its last list, and our own writes since."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Conflict, NotFound, RegistryError, Unreachable
from kube_registrar.model.identity import is_estranged, is_namesake, is_own, origin_of
from kube_registrar.model.instances import Instance, Registration
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.planning.compare import is_true_to
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.sync.pushes import Pushes
from kube_registrar.sync.whereabouts import Whereabouts

DOUBT_SECONDS = 300.0
"""A write of unknown outcome may land this late; the service is looked at until then."""


@dataclass(slots=True)
class Attempt:
    """A change that failed, and when it may be tried again (monotonic seconds)."""

    change: Change
    backoff: Backoff
    not_before: float = 0.0
    is_doubtful: bool = False
    """Whether it may have been made all the same."""
    is_unclear: bool = False
    """Whether nobody knows what is there now, and a look is about to tell."""
    is_unanswered: bool = False
    """Whether it failed because the registry did not answer."""


@dataclass(slots=True)
class ObservedService:
    """The state of one registry service. All times are monotonic seconds.

    Foreign instances are known by id only; so are those with this cluster's UID and another cluster name, but for it.
    """

    service: ServiceRef
    cluster_uid: Uid
    whereabouts: Whereabouts = field(default_factory=Whereabouts)
    draw: random.Random = field(default_factory=random.Random)
    cluster_name: str = ""
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    is_readable: bool = False
    """Whether a list was read and nothing since says that the service may be gone or out of reach."""
    look_at: float = -math.inf
    """When to read it in full next."""
    in_flight: dict[InstanceId, Change] = field(default_factory=dict)
    failed: dict[InstanceId, Attempt] = field(default_factory=dict)
    doubtful: dict[InstanceId, float] = field(default_factory=dict)
    """Pairs whose last write has an unknown outcome, and until when it may land."""
    untold: set[InstanceId] = field(default_factory=set)
    """Those of them, and of what somebody else wrote first, that no list has told of since: they are not written to
    until one has. Others may be."""
    other_names: Counter[str] = field(default_factory=Counter)
    """Of instances with this cluster's UID: which other cluster names they carry, how often."""
    other_uids: Counter[Uid] = field(default_factory=Counter)
    """Of instances with this cluster's name: which other UIDs they carry, how often."""
    appeared: frozenset[InstanceId] = frozenset()
    """Own instances that the last list has, and that were not there before, and that we did not write."""
    drift: int = 0
    """How many own instances the last list showed changed or missing, and not by us."""
    is_look_failed: bool = False
    """Whether the last list was not read: the next one is due when it is due, and no sooner."""
    _is_just_listed: bool = False
    """Whether nothing was planned since the last list."""
    _lists: int = 0
    """How many lists were begun."""
    _listed: int = 0
    """Which of them was the last that was read."""
    _awaited: dict[InstanceId, int] = field(default_factory=dict)
    """Instances that are to be written anew once a list tells of them, and after how many lists that came up."""
    _unlisted: AbstractSet[InstanceId] = frozenset()
    """Pairs of which the last list told nothing, for something was done with them meanwhile."""
    _pushes: Pushes = field(default_factory=Pushes)
    _was_listed: bool = False
    _written: set[InstanceId] | None = None
    _look_backoff: Backoff = field(init=False)
    """Of lists that were not read."""
    _doubt_backoff: Backoff = field(init=False)
    """Of lists that were read and leave pairs in doubt."""

    def __post_init__(self) -> None:
        self._look_backoff = Backoff(draw=self.draw)
        self._doubt_backoff = Backoff(draw=self.draw)

    # Reading in full.

    def look_by(self, moment: float) -> None:
        """Ask for a list at this moment or sooner."""
        self.look_at = min(self.look_at, moment)

    def begin_list(self) -> None:
        """Note that a list is asked for: what is written from now on is newer than what it says."""
        self._written = set()
        self._lists += 1
        self._is_just_listed = False
        self.look_at = math.inf

    def end_list(self, listed: Sequence[Instance], asked_at: float, now: float) -> Sequence[Change]:
        """Take in a whole list, except for pairs that were sent, or came to an end, since it was asked for.

        Return the changes of unknown outcome that it shows to be made. A pair is doubtful on, until a list that was
        asked for after its time: an older write of it may still land.
        """
        newer = self._written or set()
        self._written = None
        listed, pushed_at = self._pushes.seen(listed, asked_at)
        self._listed, self._unlisted = self._lists, newer
        self._is_just_listed, self.is_look_failed = True, False
        self._look_backoff.succeeded()
        self.untold &= newer
        before, ours = self.instances, newer | self.in_flight.keys() | self.doubtful.keys() | self.failed.keys()
        self.instances = {i.id: self._slim(i) for i in listed if i.id not in newer}
        self.instances |= {instance_id: i for instance_id, i in before.items() if instance_id in newer}
        self.whereabouts.replace(self.service, self._origins(before), self._origins(self.instances))
        self.drift = self._drift(before, ours) if self._was_listed else 0
        new = [i for i in listed if i.id not in before and i.id not in ours] if self._was_listed else []
        self.appeared = frozenset(i.id for i in new if self._is_ours(i) and keys.TAKEN_OVER not in i.attributes)
        self._was_listed = True
        self._count_others(listed)
        self.is_readable = self.look_at > now  # else something has come up since it was asked for
        self.look_by(pushed_at)
        self.doubtful = {instance_id: until for instance_id, until in self.doubtful.items() if until > asked_at}
        if self.untold:
            self.look_by(now)
        elif self.doubtful:
            self.look_by(now + self._doubt_backoff.failed())
        else:
            self._doubt_backoff.succeeded()
        told = (each for instance_id, each in self.failed.items() if instance_id not in self.untold)
        made = [each.change for each in told if each.is_doubtful and self._is_made(each.change)]
        for change in made:
            del self.failed[change.instance_id]
        return made

    def _drift(self, before: Mapping[InstanceId, Instance], ours: AbstractSet[InstanceId]) -> int:
        """Count own instances that are not as they were known; `ours`: with which something is being done, or was."""
        return sum(
            1
            for instance_id, known in before.items()
            if instance_id not in ours
            and is_own(known.attributes, self.cluster_uid)
            and ((found := self.instances.get(instance_id)) is None or found.attributes != known.attributes)
        )

    def _is_made(self, change: Change) -> bool:
        current = self.instances.get(change.instance_id)
        match change:
            case Register():
                return current is not None and is_true_to(current, change.instance)
            case Deregister():
                return current is None
            case SetHealth():
                return current is not None and current.health is change.health

    def unseen(self, overwritten: Iterable[InstanceId]) -> AbstractSet[InstanceId]:
        """Return those instances of which no list tells that was begun since they are to be written anew.

        To be called with all of them for each plan. What the last list itself shows to be wrong needs no other.
        """
        now = self._lists - 1 if self._is_just_listed else self._lists
        self._is_just_listed = False
        since = {each: self._awaited.get(each, now) for each in overwritten}
        self._awaited = {i: n for i, n in since.items() if self._listed <= n or i in self._unlisted}
        return self._awaited.keys()

    def fail_list(self, error: RegistryError | None, now: float) -> None:
        """Note that the list was not read: what is known stays as it was.

        A registry out of reach is not written to either until it can be read again: one list, not a write an instance.
        One answer that was lost says little of the next.
        """
        self._written = None
        self.is_look_failed = True
        self.look_by(now + self._look_backoff.failed(getattr(error, "after", 0.0)))
        if error is None or (isinstance(error, Unreachable) and self._look_backoff.failures > 1):
            self.is_readable = False

    def abandon_list(self, now: float) -> None:
        """Note that the list was not asked for after all: it is due as soon as it can be."""
        self._written = None
        self.look_by(now)

    def retry(self, now: float) -> None:
        """Make everything due that the registry did not answer to: it answers again. What it holds may be older."""
        self._look_backoff.succeeded()
        self.look_by(now)
        for attempt in self.failed.values():
            if attempt.is_unanswered:
                attempt.backoff.succeeded()
                attempt.not_before = now

    def vanish(self) -> None:
        """Note that the registry no longer has the service. What is in flight stays so until its outcome is known."""
        self.whereabouts.replace(self.service, self._origins(self.instances), ())
        self.instances.clear()
        self.failed.clear()
        self.doubtful.clear()  # what may still land has nowhere to
        self.untold.clear()
        self._pushes.clear()
        self._awaited.clear()
        self._written = None
        self._was_listed, self.appeared = False, frozenset()
        self._count_others(())
        self.is_readable = False
        self.look_at = -math.inf
        self._look_backoff.succeeded()
        self._doubt_backoff.succeeded()

    def _slim(self, instance: Instance) -> Instance:
        if self._is_ours(instance):
            return instance
        is_nearly = is_estranged(instance.attributes, self.cluster_uid, self.cluster_name)
        return Instance(instance.id, {keys.CLUSTER: instance.attributes[keys.CLUSTER]} if is_nearly else {})

    @property
    def estranged(self) -> frozenset[InstanceId]:
        """The instances with this cluster's UID and another cluster name."""
        return frozenset(i for i, each in self.instances.items() if each.attributes.keys() == {keys.CLUSTER})

    def _is_ours(self, instance: Instance) -> bool:
        uid, name = self.cluster_uid, self.cluster_name
        return is_own(instance.attributes, uid) and not is_estranged(instance.attributes, uid, name)

    def _count_others(self, listed: Sequence[Instance]) -> None:
        uid, name = self.cluster_uid, self.cluster_name
        found = [i.attributes for i in listed]
        self.other_names = Counter(a[keys.CLUSTER] for a in found if is_estranged(a, uid, name))
        self.other_uids = Counter(Uid(a[keys.CLUSTER_UID]) for a in found if is_namesake(a, uid, name))

    def _origins(self, instances: Mapping[InstanceId, Instance]) -> Sequence[Uid]:
        own = (i.attributes for i in instances.values() if is_own(i.attributes, self.cluster_uid))
        return [origin_of(attributes).uid for attributes in own]

    # Writing.

    def send(self, changes: Iterable[Change]) -> None:
        """Note that these changes are on their way."""
        for change in changes:
            self.in_flight[change.instance_id] = change
            self._touch(change.instance_id)

    def take(self, outcome: Outcome, now: float) -> Attempt | None:
        """Take in what came of a change; return the failed attempt, if it is one."""
        change, error = outcome.change, outcome.error
        self.in_flight.pop(change.instance_id, None)
        self._touch(change.instance_id)
        if error is None:
            self._confirm(change, now)
            return None
        is_doubtful = isinstance(error, Unreachable) and error.doubtful
        if is_doubtful:
            self.doubtful[change.instance_id] = now + DOUBT_SECONDS
        is_unclear = is_doubtful or isinstance(error, Conflict)
        if is_unclear:
            self.untold.add(change.instance_id)
            if self._written is None:  # else once the list that is under way has come
                self.look_by(now)
        elif isinstance(error, NotFound | Unreachable):
            self.is_readable = False  # gone or out of reach: look before the next write
            self.look_by(now)
        attempt = self.failed.setdefault(change.instance_id, Attempt(change, Backoff(draw=self.draw)))
        attempt.change, attempt.is_doubtful, attempt.is_unclear = change, is_doubtful, is_unclear
        attempt.is_unanswered = isinstance(error, Unreachable)
        attempt.not_before = now + attempt.backoff.failed(getattr(error, "after", 0.0))
        return attempt

    def withdrawn(self, change: Change) -> None:
        """Note that a change was not sent after all: nothing is known anew."""
        self.in_flight.pop(change.instance_id, None)

    def _confirm(self, change: Change, now: float) -> None:
        self.failed.pop(change.instance_id, None)
        if isinstance(change, SetHealth):
            self._pushes.note(change.instance_id, change.health, now)
            known = self.instances.get(change.instance_id)
            if known is not None:
                self.instances[change.instance_id] = replace(known, health=change.health)
        if isinstance(change, Deregister):
            self._pushes.forget(change.instance_id)
        if isinstance(change, Register | Deregister):
            before = self.instances.pop(change.instance_id, None)
            after = {change.instance_id: _upserted(change, before)} if isinstance(change, Register) else {}
            self.instances |= after
            gone = {change.instance_id: before} if before else {}
            self.whereabouts.replace(self.service, self._origins(gone), self._origins(after))

    def _touch(self, instance_id: InstanceId) -> None:
        if self._written is not None:
            self._written.add(instance_id)

    # Failures.

    def is_settled(self, instance_id: InstanceId) -> bool:
        """Whether what is there stays there: nothing is on its way, nor of an outcome that no look has told since."""
        return instance_id not in self.in_flight and instance_id not in self.untold

    def busy(self, wanted: Mapping[InstanceId, Registration], now: float) -> frozenset[InstanceId]:
        """Return the instances to leave alone: a change is in flight, of unknown outcome, or failed a moment ago."""
        waiting = {instance_id for instance_id, attempt in self.failed.items() if _waits(attempt, wanted, now)}
        return frozenset(self.in_flight) | self.untold | waiting

    def next_try(self, wanted: Mapping[InstanceId, Registration], now: float) -> float:
        """Return when the first of the changes that failed may be tried again; infinity if none waits."""
        waiting = (attempt.not_before for attempt in self.failed.values() if _waits(attempt, wanted, now))
        return min(waiting, default=math.inf)

    def forget_attempts(self, wanted: Mapping[InstanceId, Registration]) -> None:
        """Drop failures of instances that are neither wanted nor there any more."""
        for instance_id in [each for each in self.failed if each not in wanted and each not in self.instances]:
            del self.failed[instance_id]


def _upserted(change: Register, before: Instance | None) -> Instance:
    """Return what is there after a register: one of what was there changes its attributes, and not its health."""
    return replace(change.instance, health=before.health) if before else change.instance


def _waits(attempt: Attempt, wanted: Mapping[InstanceId, Registration], now: float) -> bool:
    return attempt.not_before > now and not _is_newer(wanted.get(attempt.change.instance_id), attempt.change)


def _is_newer(wish: Registration | None, tried: Change) -> bool:
    """Whether the wish is another one than what was tried."""
    if wish is None:
        return not isinstance(tried, Deregister)
    if isinstance(tried, SetHealth):
        return wish.instance.health is not tried.health
    if isinstance(tried, Deregister):
        return True
    return any(tried.instance.attributes.get(key) != value for key, value in wish.instance.attributes.items())


class ObservedState:
    """All registry services of one registry, and which of them hold instances of a pod."""

    def __init__(self, cluster_uid: Uid, draw: random.Random | None = None, cluster_name: str = "") -> None:
        self.whereabouts = Whereabouts()
        self._cluster_uid = cluster_uid
        self._cluster_name = cluster_name
        self._draw = draw or random.Random()
        self._services: dict[ServiceRef, ObservedService] = {}

    def of(self, service: ServiceRef) -> ObservedService:
        """Return the state of a service, empty and unread at first."""
        if service not in self._services:
            self._services[service] = ObservedService(
                service, self._cluster_uid, self.whereabouts, self._draw, self._cluster_name
            )
        return self._services[service]

    def instances(self, service: ServiceRef) -> Mapping[InstanceId, Instance]:
        """Return what a service holds; nothing if it was never looked at."""
        state = self._services.get(service)
        return state.instances if state else {}

    def states(self) -> Iterable[ObservedService]:
        """Return the state of every service that is looked at."""
        return self._services.values()

    def is_settled(self, service: ServiceRef, instance_id: InstanceId) -> bool:
        """Whether nothing is under way with an instance: see `ObservedService.is_settled`."""
        state = self._services.get(service)
        return state is None or state.is_settled(instance_id)

    def services(self) -> Sequence[ServiceRef]:
        """Return every service that is looked at."""
        return list(self._services)

    def holding(self, origin: Uid) -> frozenset[ServiceRef]:
        """Return the services that hold instances of a pod."""
        return self.whereabouts.of(origin)

    def forget(self, service: ServiceRef) -> None:
        """Note that the registry no longer has a service."""
        state = self._services.get(service)
        if state is not None:
            state.vanish()
            if not state.in_flight:
                del self._services[service]
