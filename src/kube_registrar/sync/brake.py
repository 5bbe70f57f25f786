"""The brake of one registry: what waits a moment until it is known how much is to go, what is held, what may go.

`planning.brake` has the rule; here is what it needs to remember. Of what is to go for a reason that may be a mistake,
up to five within a minute go at once where somebody wrote it so. Everything else of that kind waits until nothing
more has come for a second, for a mistake reaches pods one by one: then all of it goes, or all of it is held.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum

from kube_registrar.model.changes import Change, Deregister, Register, takes_out
from kube_registrar.model.refs import InstanceId, Origin, RegistryName, ServiceRef
from kube_registrar.planning.brake import (
    ABSENCE,
    BRAKED,
    LEAST,
    SECOND_LIST_SECONDS,
    STANDING_SECONDS,
    WINDOW_SECONDS,
    Extent,
    Scope,
    held_back,
    judged,
)
from kube_registrar.planning.evidence import Cause
from kube_registrar.planning.plan import Plan
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.evidence import EvidenceOfPods
from kube_registrar.sync.observed import ObservedService, ObservedState
from kube_registrar.sync.reporting import Hold, Reporter
from kube_registrar.sync.second_list import SecondLists

GATHER_SECONDS = 1.0
"""What comes within this time of each other is judged together."""
MOST_SECONDS = 10.0
"""Nothing waits longer than this to be judged, however much goes on coming."""
SWARM_SECONDS = 10.0
"""More than five pods that became unready within this time wait a second: their nodes may be unreachable."""
RECHECK_SECONDS = 15.0
RETURN_SECONDS = 30.0
"""A node that is back says so at once, and of its pods later: a kubelet compares what it wrote of them every ten."""
SLACK_SECONDS = 2.0
"""A second list is asked for so late that it counts for all that was held within this time."""
DUPLICATE = "duplicate-cluster"
_GO = -math.inf
_SOON = 1e-6
LOOKING = "it stays until it is known how many others are to go with it"
"""Why an instance stays for the moment that this takes."""


class Stage(Enum):
    """How far the brake is with an instance."""

    WAITING = "waiting"
    HELD = "held"
    FREE = "free"


@dataclass(slots=True)
class Candidate:
    """An instance that is to go, or to be marked as unhealthy (`is_mark`). Times are monotonic seconds."""

    service: ServiceRef
    instance_id: InstanceId
    origin: Origin
    cause: Cause
    why: str
    since: float
    is_mark: bool = False
    stage: Stage = Stage.WAITING
    held_since: float = 0.0
    node_back_since: float = math.inf
    """Since when its node is reachable again while it is held because it was not."""
    why_held: str = ""
    released_by: str = ""
    freed_at: float = -math.inf

    @property
    def is_held_for_its_node(self) -> bool:
        """Whether it is held because its node was unreachable."""
        return self.stage is Stage.HELD and self.cause is Cause.UNREACHABLE


@dataclass(slots=True)
class Brake:
    """Hears of every plan of one registry, and subtracts from it."""

    registry: RegistryName
    observed: ObservedState
    evidence: EvidenceOfPods
    second: SecondLists
    reporter: Reporter
    clock: Clock
    is_unsettled: Callable[[], bool]
    """Whether what is configured has changed and has not reached every pod yet."""
    is_reading: Callable[[str], bool]
    """Whether something that is newly selected in a Kubernetes namespace has not been read yet: until then nobody can
    say what is asked for there."""
    duplicate: str = ""
    """Set once another writer has our identity: which instance shows it."""
    strangers: set[tuple[ServiceRef, InstanceId]] = field(default_factory=set)
    """Own instances that appeared while we ran, and that we did not write."""
    _candidates: dict[ServiceRef, dict[InstanceId, Candidate]] = field(default_factory=dict)
    _recent: deque[tuple[float, ServiceRef]] = field(default_factory=deque)
    """When braked kinds of departures were let go by themselves, and where."""
    _unready: deque[float] = field(default_factory=deque)
    _latest: float = -math.inf
    """When the last candidate of a braked kind came."""

    # What the plans tell.

    def restrain(self, made: Plan, state: ObservedService) -> tuple[Plan, float]:
        """Return the plan without what may not go now, and when to plan this service again (monotonic)."""
        here = self._candidates.get(state.service)
        if not here and not made.causes:  # the usual case
            return made, math.inf
        going = {change.instance_id: change for change in made.changes if takes_out(change)}
        here = self._updated(here or {}, going, made, state)
        if not here:
            self._candidates.pop(state.service, None)
            return made, math.inf
        self._candidates[state.service] = here
        was_holding = bool(self.held())
        kept: dict[InstanceId, str] = {}
        newly: list[Candidate] = []
        again_at = math.inf
        extents = self._extents(state.service)
        for instance_id in [i for i in going if i in here]:  # of the others nothing new is known
            each = here[instance_id]
            was_held = each.stage is Stage.HELD
            until = self._until(each, extents)
            if until == _GO:
                continue
            kept[each.instance_id] = each.why_held or LOOKING
            again_at = min(again_at, until)
            if each.stage is Stage.HELD and not was_held:
                newly.append(each)
        if newly:
            told = [Hold(each.origin, each.instance_id, each.why, each.why_held, each.is_mark) for each in newly]
            self.reporter.held(state.service, told, is_first=not was_holding)
        return _explained(held_back(made, kept), here), again_at

    def _updated(
        self,
        here: dict[InstanceId, Candidate],
        going: Mapping[InstanceId, Change],
        made: Plan,
        state: ObservedService,
    ) -> dict[InstanceId, Candidate]:
        """Return the candidates of a service as the plan has them."""
        now = self.clock.monotonic()
        result = {i: each for i, each in here.items() if i in made.pending and i in state.instances and i not in going}
        for instance_id, change in going.items():
            cause = made.causes[instance_id]
            if cause in ABSENCE:
                self._suspect(state.service, instance_id, change.origin)
            if cause not in BRAKED and cause is not Cause.NOT_READY and not (self.duplicate and cause in ABSENCE):
                continue
            known = here.get(instance_id)
            if known is not None and known.is_held_for_its_node and cause is Cause.NOT_READY:
                known.node_back_since = min(known.node_back_since, now)
            elif known is not None and known.cause is cause:
                known.node_back_since = math.inf
            else:
                is_mark, why = not isinstance(change, Deregister), "" if isinstance(change, Register) else change.why
                known = Candidate(state.service, instance_id, change.origin, cause, why, now, is_mark=is_mark)
                self._latest = now if cause in BRAKED else self._latest
            result[instance_id] = known
        return result

    # What may go.

    def _until(self, each: Candidate, extents: "_Extents") -> float:
        """Return until when a candidate has to stay; _GO: it may go."""
        now = self.clock.monotonic()
        if each.cause is Cause.CONFIGURATION and (settled_at := self._until_settled(each, now)) > now:
            return settled_at  # also what was let go: it may be asked for again by now
        if each.stage is Stage.FREE:
            return _GO
        if self.duplicate and each.cause in ABSENCE:
            self._hold(each, f"its deregistration is held: {self.duplicate}", DUPLICATE)
            return math.inf
        if each.stage is Stage.HELD:
            return self._until_released(each, now)
        if each.cause is Cause.NOT_READY:
            return self._until_nodes_are_known(each, extents.unready, now)
        if each.cause is Cause.CONFIGURATION and extents.registry.going + extents.registry.recent <= LEAST:
            return self._let_go(each, now)
        judged_at = min(self._latest + GATHER_SECONDS, each.since + MOST_SECONDS)
        if now + _SOON < judged_at:
            return judged_at
        scope = judged(extents.service, extents.registry)
        if scope is None:
            return self._let_go(each, now)
        extent = extents.registry if scope is Scope.REGISTRY else extents.service
        self._hold(each, _told(each, scope, extent), each.cause.value)
        return self._until_released(each, now)

    def _until_settled(self, each: Candidate, now: float) -> float:
        """Return until when it is waited for what is configured to be known of every pod."""
        if self.is_reading(each.origin.namespace):
            return now + RECHECK_SECONDS
        most = max(each.since, each.freed_at) + MOST_SECONDS
        return most if self.is_unsettled() and now + _SOON < most else now

    def _let_go(self, each: Candidate, now: float) -> float:
        each.stage = Stage.FREE
        self._recent.append((now, each.service))
        return _GO

    def _until_nodes_are_known(self, each: Candidate, swarm: int, now: float) -> float:
        if swarm > LEAST and now + _SOON < each.since + GATHER_SECONDS:
            return each.since + GATHER_SECONDS
        each.stage = Stage.FREE
        self._unready.append(now)
        return _GO

    def _hold(self, each: Candidate, why: str, guard: str) -> None:
        if each.stage is not Stage.HELD:
            each.stage, each.held_since = Stage.HELD, self.clock.monotonic()
            self.reporter.blocked(self.registry, guard)
        each.why_held = why

    def _until_released(self, each: Candidate, now: float) -> float:
        if each.cause in ABSENCE:
            return self._until_listed(each, now)
        if each.node_back_since != math.inf:
            due = each.node_back_since + RETURN_SECONDS
            return due if now + _SOON < due else self._release(each, "its node is back and it is still not ready")
        due = each.held_since + STANDING_SECONDS
        if now + _SOON >= due:
            minutes = STANDING_SECONDS / 60
            return self._release(each, f"this has been so for {minutes:.0f} minutes")
        return min(due, now + RECHECK_SECONDS) if each.cause is Cause.UNREACHABLE else due

    def _until_listed(self, each: Candidate, now: float) -> float:
        """Return until when a missing pod is waited for: until a second list of all pods lacks it too."""
        due = each.held_since + SECOND_LIST_SECONDS
        if now + _SOON < due + SLACK_SECONDS:
            return due + SLACK_SECONDS
        there = self.second.of(each.origin, due)
        if there is None:
            return max(self.second.again_at(each.origin), now + RECHECK_SECONDS)
        if each.origin.uid in there:
            self.evidence.disprove(each.origin.uid)
            each.held_since = now
            return now
        return self._release(each, "a second full list of pods lacks it too")

    def _release(self, each: Candidate, why: str) -> float:
        each.stage, each.released_by, each.freed_at = Stage.FREE, why, self.clock.monotonic()
        self.reporter.released(each.service, each.instance_id, why)
        return _GO

    # How much is to go.

    def _extents(self, service: ServiceRef) -> "_Extents":
        """Count. Letting some go changes none of the sums that are looked at."""
        now = self.clock.monotonic()
        while self._recent and self._recent[0][0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        while self._unready and self._unready[0] <= now - SWARM_SECONDS:
            self._unready.popleft()
        left = [each for each in self._all() if each.stage is not Stage.FREE]
        going = Counter(each.service for each in left if each.cause in BRAKED)
        recent = Counter(where for _, where in self._recent)
        there = self.observed.whereabouts
        return _Extents(
            Extent(going[service], recent[service], there.present[service]),
            Extent(going.total(), recent.total(), there.present.total()),
            len(self._unready) + sum(1 for each in left if each.cause is Cause.NOT_READY),
        )

    def _all(self) -> Iterable[Candidate]:
        return (each for here in self._candidates.values() for each in here.values())

    # Another writer with our identity.

    def _suspect(self, service: ServiceRef, instance_id: InstanceId, origin: Origin) -> None:
        """Note that there is another writer, if this instance shows it: nobody here wrote it or saw its pod."""
        if self.duplicate or (service, instance_id) not in self.strangers or self.evidence.saw(origin.uid):
            return
        self.duplicate = (
            f"{instance_id} appeared in {service}, which this cluster's kube-registrar did not write, for a pod that "
            "this cluster does not have, so another cluster writes with this cluster's identity"
        )
        self.reporter.duplicate(self.registry, self.duplicate)

    # What is asked from outside.

    def held(self) -> Sequence[Candidate]:
        """Return what is held."""
        return [each for each in self._all() if each.stage is Stage.HELD]

    def waiting(self) -> AbstractSet[ServiceRef]:
        """Return the services in which something waits to be judged, or to go."""
        return {each.service for each in self._all() if each.stage is not Stage.HELD}

    def missing(self, kube_namespace: str) -> AbstractSet[ServiceRef]:
        """Return the services in which instances of missing pods of a Kubernetes namespace are held."""
        return {e.service for e in self.held() if e.cause in ABSENCE and e.origin.namespace == kube_namespace}

    def approve(self, approved: AbstractSet[tuple[ServiceRef, InstanceId]]) -> Mapping[ServiceRef, int]:
        """Let these go, as far as they are held; return how many in which services."""
        found = [each for each in self.held() if (each.service, each.instance_id) in approved]
        for each in found:
            self._release(each, "somebody approved it")
        return Counter(each.service for each in found)


@dataclass(frozen=True, slots=True)
class _Extents:
    """How much is to go from a service and from the registry, and how many pods became unready lately."""

    service: Extent
    registry: Extent
    unready: int


def _told(each: Candidate, scope: Scope, extent: Extent) -> str:
    where = each.service.namespace.registry if scope is Scope.REGISTRY else each.service
    what, would = ("mark as UNHEALTHY", "go, or be marked,") if each.is_mark else ("deregistration", "go")
    return (
        f"its {what} is held: {extent.going + extent.recent} of {extent.present + extent.recent} instances in "
        f"{scope} {where} would {would} within {WINDOW_SECONDS:.0f} s, and at most {extent.allowance} may"
    )


def _explained(made: Plan, here: Mapping[InstanceId, Candidate]) -> Plan:
    """Say in each deregistration that was held what released it."""
    released = {i: each.released_by for i, each in here.items() if each.released_by}
    if not released:
        return made
    changes = [
        replace(c, why=f"{c.why}; it was held, and {released[c.instance_id]}")
        if isinstance(c, Deregister) and c.instance_id in released
        else c
        for c in made.changes
    ]
    return replace(made, changes=changes)
