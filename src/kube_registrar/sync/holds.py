"""What is held back, as it is said on our own kinds, and what approving it there releases.

A RegistryNamespace speaks for all of its registry namespace. A RegistryService speaks for the pods of its own
Kubernetes namespace in its registry service: several may stand for the same one, and nobody approves for another.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.model.reasons import (
    CLUSTER_NAME_DIFFERS,
    CLUSTER_UID_DIFFERS,
    DELETIONS_APPROVED,
    DELETIONS_HELD,
    DUPLICATE_CLUSTER,
    Problem,
)
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef, registry_of
from kube_registrar.planning.evidence import Cause
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.brake import Brake, Candidate
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.reporting import Reporter

APPROVE = "approve"
"""The annotation of ours on a RegistryNamespace or RegistryService whose value is the token of what is approved."""
NAMED = 20
"""Pods that a status names."""
_TOKENS = 10
"""Tokens of each object that are remembered: those that somebody may have read and not written yet."""

ObjectKey = tuple[str, str, str]
"""Kind, Kubernetes namespace (empty for a RegistryNamespace), name."""
Ids = frozenset[tuple[ServiceRef, InstanceId]]
Others = Mapping[ServiceRef, tuple[Mapping[str, int], Mapping[str, int]]]
"""Instances that are nearly ours: how many have which other cluster name, and which other UID."""

CAUSES: Mapping[Cause, tuple[str, str]] = {
    Cause.MISSING: ("Missing", "missing pods whose deletion nobody saw"),
    Cause.REPLACED: ("Replaced", "pods that have another one of their name"),
    Cause.CONFIGURATION: (
        "Configuration",
        "live pods that nothing asks for any more, or endpoints that their Services no longer have",
    ),
    Cause.UNREACHABLE: ("Unreachable", "pods or Services whose nodes are unreachable"),
}
"""The word for each kind of evidence in a status, and in a sentence."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is held, for one object. `since`: seconds since 1970. `pods`: the first ones, as `namespace/name`."""

    count: int
    since: float
    token: str
    causes: Mapping[str, int]
    pods: Sequence[str]
    stay: str = ""
    """In plain words, how they stay, and against what."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an object says: what is held, and the conditions that hold, by their type."""

    held: Held | None = None
    conditions: Mapping[str, Problem] = field(default_factory=dict)


NOTHING = Notice()
TYPES = (DELETIONS_HELD.name, DUPLICATE_CLUSTER.name, CLUSTER_NAME_DIFFERS.name, CLUSTER_UID_DIFFERS.name)
"""The conditions that a notice may have; each is also the reason for which it is True."""


@dataclass(slots=True)
class Holds:
    """Knows what every object has offered to approve. `brakes`: of each registry."""

    brakes: Mapping[RegistryName, Brake]
    catalog: Catalog
    reporter: Reporter
    clock: Clock
    _offered: dict[ObjectKey, OrderedDict[str, Ids]] = field(default_factory=dict)
    _taken: dict[ObjectKey, str] = field(default_factory=dict)
    """The approval that was acted upon last."""
    _told: set[tuple[ObjectKey, str]] = field(default_factory=set)
    _others: Others = field(default_factory=dict)
    _epoch: float = field(init=False)
    """Seconds from 1970 to the clock's zero, as it was once: taken anew, what is told would change by itself."""

    def __post_init__(self) -> None:
        """Set the clocks against each other."""
        self._epoch = self.clock.time() - self.clock.monotonic()

    # What is said.

    def notices(self) -> Mapping[ObjectKey, Notice]:
        """Return what each object says; those that are not in it say nothing. Say in events what is new."""
        held: dict[ServiceRef, list[Candidate]] = {}
        for each in (each for brake in self.brakes.values() for each in brake.held()):
            held.setdefault(each.service, []).append(each)
        others = self._settled_others()
        is_duplicate = any(brake.duplicate for brake in self.brakes.values())
        result: dict[ObjectKey, Notice] = {}
        if held or others or is_duplicate:
            for thing in self.catalog.objects():
                ref = self._ref(thing)
                if ref is not None:
                    notice = self._notice(thing, ref, held, others)
                    if notice != NOTHING:
                        result[key_of(thing)] = notice
        self._offered = {key: offered for key, offered in self._offered.items() if key in result and result[key].held}
        self._tell(result)
        return result

    def _notice(
        self,
        thing: CustomObject,
        ref: NamespaceRef | ServiceRef,
        held: Mapping[ServiceRef, Sequence[Candidate]],
        others: Others,
    ) -> Notice:
        conditions: dict[str, Problem] = {}
        what = _status_of(thing, ref, held, self._epoch)
        if what is not None:
            status, ids = what
            offered = self._offered.setdefault(key_of(thing), OrderedDict())
            offered[status.token] = ids
            if len(offered) > _TOKENS:
                offered.popitem(last=False)
            conditions[DELETIONS_HELD.name] = self._held_problem(thing, status)
        brake = self.brakes.get(registry_of(ref))
        if brake is not None and brake.duplicate:
            conditions[DUPLICATE_CLUSTER.name] = Problem.of(DUPLICATE_CLUSTER, why=brake.duplicate)
        within = [counts for service, counts in others.items() if _is_within(service, ref)]
        for problem in _differing(self.catalog, within):
            conditions[problem.reason] = problem
        return Notice(what[0] if what else None, conditions)

    def _held_problem(self, thing: CustomObject, status: Held) -> Problem:
        words = dict(CAUSES.values())
        causes = ", ".join(f"{count} of {words[word]}" for word, count in status.causes.items())
        what = argument_of(thing)
        problem = Problem.of(DELETIONS_HELD, count=status.count, stay=status.stay, causes=causes, what=what)
        given = thing.annotations.get(APPROVE, "")
        if not given or given in {status.token, self._taken.get(key_of(thing))}:
            return problem
        stale = f"{problem.message}. The approval {given[:40]!r} is of something else than what is held now"
        return Problem(problem.reason, stale)

    def _settled_others(self) -> Others:
        """Return whose instances are nearly ours, once two looks agree: after a start they are found one by one."""
        found: Others = {
            state.service: (dict(state.other_names), {str(uid): n for uid, n in state.other_uids.items()})
            for brake in self.brakes.values()
            for state in brake.observed.states()
            if state.other_names or state.other_uids
        }
        before, self._others = self._others, found
        return found if before == found else {}

    def _tell(self, notices: Mapping[ObjectKey, Notice]) -> None:
        news = {(key, type_) for key, notice in notices.items() for type_ in notice.conditions}
        if news - self._told:
            things = {key_of(thing): thing for thing in self.catalog.objects()}
            for key, type_ in sorted(news - self._told):
                self.reporter.about(things[key], "Warning", notices[key].conditions[type_])
        self._told = news

    # What is approved.

    def approve(self, thing: CustomObject) -> Iterable[ServiceRef]:
        """Act upon the approval that an object carries; return the services in which something may go now.

        What it approves is what the object offered under this token, and no more: neither what was held since, nor
        what is held after a restart, nor what belongs to others.
        """
        token, key = thing.annotations.get(APPROVE, ""), key_of(thing)
        ids = self._offered.get(key, OrderedDict()).get(token)
        if not token or ids is None or self._taken.get(key) == token:
            return ()
        self._taken[key] = token
        services: set[ServiceRef] = set()
        count = 0
        for brake in self.brakes.values():
            released = brake.approve(ids)
            services |= released.keys()
            count += sum(released.values())
        self.reporter.about(thing, "Normal", Problem.of(DELETIONS_APPROVED, count=count))
        return services

    def _ref(self, thing: CustomObject) -> NamespaceRef | ServiceRef | None:
        if thing.kind == "RegistryService":
            return self.catalog.service_of(thing.namespace, thing.name)
        declared = self.catalog.namespace_of(thing.name)
        return declared.ref if declared else None


def key_of(thing: CustomObject) -> ObjectKey:
    """Return the key of an object."""
    return (thing.kind, thing.namespace, thing.name)


def argument_of(thing: CustomObject) -> str:
    """Name an object as the command line takes it."""
    where = f" -n {thing.namespace}" if thing.namespace else ""
    return f"{thing.kind.lower()}/{thing.name}{where}"


def _is_within(service: ServiceRef, ref: NamespaceRef | ServiceRef) -> bool:
    return ref in {service, service.namespace}


def _status_of(
    thing: CustomObject,
    ref: NamespaceRef | ServiceRef,
    held: Mapping[ServiceRef, Sequence[Candidate]],
    epoch: float,
) -> tuple[Held, Ids] | None:
    found = [
        each
        for service, here in held.items()
        if _is_within(service, ref)
        for each in here
        if not thing.namespace or each.origin.namespace == thing.namespace
    ]
    if not found:
        return None
    ids = frozenset((each.service, each.instance_id) for each in found)
    causes = Counter(CAUSES[each.cause][0] for each in found)
    pods = sorted({f"{each.origin.namespace}/{each.origin.name}" for each in found})
    held_since = min(each.held_since for each in found)
    status = Held(
        count=len(found),
        since=held_since + epoch,
        token=_token(found, epoch),
        causes=dict(sorted(causes.items())),
        pods=pods[:NAMED],
        stay=_stay(found),
    )
    return status, ids


def _stay(found: Sequence[Candidate]) -> str:
    marks = sum(each.is_mark for each in found)
    if not marks:
        return "stay registered although nobody wants them"
    if marks == len(found):
        return "stay HEALTHY although what they stand for is not ready"
    return "stay as they are although nobody wants them, or what they stand for is not ready"


def _token(found: Iterable[Candidate], epoch: float) -> str:
    """Hash what is held and since when: the same instances, held again another day, are another matter."""
    text = "\n".join(sorted(f"{each.service} {each.instance_id} {each.held_since + epoch:.3f}" for each in found))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differing(catalog: Catalog, counts: Iterable[tuple[Mapping[str, int], Mapping[str, int]]]) -> Iterable[Problem]:
    names: Counter[str] = Counter()
    uids: Counter[str] = Counter()
    for by_name, by_uid in counts:
        names.update(by_name)
        uids.update(by_uid)
    world = catalog.world
    if names:
        found = ", ".join(f"{count} instances of cluster {name!r}" for name, count in sorted(names.items()))
        yield Problem.of(CLUSTER_NAME_DIFFERS, found=found, name=world.cluster_name, uid=world.cluster_uid)
    if uids:
        found = ", ".join(f"{count} instances of cluster UID {uid}" for uid, count in sorted(uids.items()))
        yield Problem.of(CLUSTER_UID_DIFFERS, found=found, name=world.cluster_name)
