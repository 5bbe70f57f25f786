"""The plan for one registry service: wanted × observed × evidence → changes.

The order of things in a service:

1. What is gone, terminating or terminal is deregistered at once and waits for nothing.
2. What is wanted is registered; if its address is still that of an instance on its way out, old goes before new.
3. An instance whose pod lives goes only once every registration that its pod wants elsewhere is confirmed.

An instance is touched only if it carries this cluster's UID. One without evidence stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.model.changes import Change, Deregister, Register, SetHealth, Urgency, takes_out
from kube_registrar.model.identity import is_own, origin_of
from kube_registrar.model.instances import Health, Instance, Registration, Wanted
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.planning.compare import address_of, is_true_to, with_foreign_keys
from kube_registrar.planning.evidence import ASKED, UNKNOWN, Cause, Evidence, Standing

_NOTHING: Mapping[InstanceId, Evidence] = {}
HELD = "what its pod asks for cannot be read just now"
FOREIGN_ID = "an instance of that id belongs to somebody else and is left alone; it must be removed by its owner"
ESTRANGED_ID = (
    "its instance carries another cluster name and is left alone; if this cluster was renamed, run kube-registrar "
    "takeover --from this cluster's UID"
)
MOVING = "its pod's registration elsewhere is not confirmed yet"
ADDRESS_TAKEN = Evidence(Standing.GONE, "its address belongs to another live pod", Cause.ADDRESS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in one registry service, and what is left alone for which reason."""

    changes: Sequence[Change] = ()
    kept: Mapping[InstanceId, str] = field(default_factory=dict)
    """Own instances that nobody wants and that stay, or are to be marked and are not: why, in plain words."""
    conflicts: Sequence[Registration] = ()
    """Wanted registrations whose id somebody else's instance has: never overwritten."""
    waiting: Sequence[Registration] = ()
    """Wanted registrations whose address an instance on its way out still has: they come when that one is gone."""
    withheld: Sequence[Change] = ()
    """What would be done if the policy of the registry let it: `planning.policy` moves it here from `changes`."""
    causes: Mapping[InstanceId, Cause] = field(default_factory=dict)
    """Of what kind the evidence is for each deregistration in `changes`, and for each mark as unhealthy."""
    pending: AbstractSet[InstanceId] = frozenset()
    """Those of them of which nothing new is known: whatever was found before stands."""


def unaccounted(wanted: Wanted, observed: Iterable[Instance], cluster_uid: Uid) -> Sequence[Instance]:
    """Return the own instances that nobody wants: those whose removal needs evidence."""
    return [
        instance
        for instance in observed
        if instance.id not in wanted.registrations and is_own(instance.attributes, cluster_uid)
    ]


def plan(
    wanted: Wanted,
    observed: Mapping[InstanceId, Instance],
    evidence: Mapping[Uid, Evidence],
    *,
    closer: Mapping[InstanceId, Evidence] = _NOTHING,
    cluster_uid: Uid,
    busy: AbstractSet[InstanceId] = frozenset(),
    moving: AbstractSet[Uid] = frozenset(),
    removes: bool = True,
) -> Plan:
    """Return what to do.

    `evidence`: by the UID of whom unaccounted instances stand for; one that is missing is unknown.
    `closer`: of single instances, where more is known of one; also why some are wanted as unhealthy.
    `busy`: instances with a change in flight or waiting for its next try; they are left alone.
    `moving`: pods with a wanted registration, anywhere, that is not confirmed yet.
    `removes`: whether deregistrations will be sent; where they will not, nobody waits for an address to be left.
    """
    suspects = unaccounted(wanted, observed.values(), cluster_uid)
    taken = _addresses(wanted) if suspects else {}
    evictions: list[Change] = []
    departures: list[Change] = []
    kept: dict[InstanceId, str] = {}
    causes: dict[InstanceId, Cause] = {}
    pending: set[InstanceId] = set()
    there = _standing(wanted) if suspects else frozenset()
    leaving: set[tuple[str, str]] = set()
    for instance in suspects:
        known = _evidence(instance, closer.get(instance.id), evidence, taken, there)
        if (known.is_final or known == ASKED) and removes:  # who is asked about may be gone: a moment, and it is known
            leaving |= address_of(instance.attributes)
        if instance.id in busy:
            pending.add(instance.id)
            continue
        why_kept = _why_kept(instance, known, wanted, moving)
        if why_kept:
            kept[instance.id] = why_kept
            if why_kept == MOVING or known.cause is None:
                pending.add(instance.id)
            continue
        causes[instance.id] = known.cause or Cause.SEEN
        if known.is_final:
            evictions.append(_deregister(instance, known, Urgency.EVICT))
        else:
            departures.append(_deregister(instance, known, Urgency.REGISTER))
    due = _due(wanted, observed, busy)
    conflicts = [r for r in due if _is_foreign(observed.get(r.instance.id), cluster_uid)]
    waiting = [r for r in due if leaving and address_of(r.instance.attributes) & leaving]
    blocked = {r.instance.id for r in (*conflicts, *waiting)}
    registers = [_register(r, observed) for r in due if r.instance.id not in blocked]
    marks = list(_ailing(wanted, observed, busy, closer))
    causes |= {each.instance_id: _cause(each.instance_id, closer) for each in marks if takes_out(each)}
    pending |= {each for each in busy if _is_to_be_marked(wanted.registrations.get(each))}
    changes = [*evictions, *registers, *marks, *departures]
    return Plan(changes, kept, conflicts, waiting, causes=causes, pending=frozenset(pending))


def _standing(wanted: Wanted) -> AbstractSet[Uid]:
    """Return the pods that have an instance here. A Service may have many, each for another machine."""
    return {r.origin.uid for r in wanted.registrations.values() if r.origin.kind == "Pod" and not r.optional}


def _addresses(wanted: Wanted) -> Mapping[tuple[str, str], Uid]:
    registrations = wanted.registrations.values()
    return {address: r.origin.uid for r in registrations for address in address_of(r.instance.attributes)}


def _evidence(
    instance: Instance,
    closer: Evidence | None,
    evidence: Mapping[Uid, Evidence],
    taken: Mapping[tuple[str, str], Uid],
    there: AbstractSet[Uid],
) -> Evidence:
    """Return what counts. `there`: the pods that another instance stands for, or will, in the same service."""
    uid = origin_of(instance.attributes).uid
    known = closer or evidence.get(uid, UNKNOWN)
    if known.is_final and known.cause is not Cause.MISSING:
        return known
    if known.cause is Cause.ASKS or known == ASKED:
        return known  # the watch may lag, and its holder be the one that is gone: a direct read knows better
    holders = {taken[address] for address in address_of(instance.attributes) if address in taken}
    if holders - {uid}:
        return ADDRESS_TAKEN
    if known.cause is Cause.CONFIGURATION and uid in there:
        return Evidence(known.standing, known.why, Cause.MOVED)
    return known


def _why_kept(instance: Instance, known: Evidence, wanted: Wanted, moving: AbstractSet[Uid]) -> str:
    uid = origin_of(instance.attributes).uid
    if known.is_final:
        return ""
    if wanted.holds(uid, instance.id):
        return HELD
    if known.standing is Standing.UNKNOWN:
        return known.why
    return MOVING if uid in moving else ""


def _deregister(instance: Instance, known: Evidence, urgency: Urgency) -> Deregister:
    return Deregister(instance.id, origin_of(instance.attributes), known.why, urgency)


def _due(
    wanted: Wanted, observed: Mapping[InstanceId, Instance], busy: AbstractSet[InstanceId]
) -> Sequence[Registration]:
    """Return the registrations that are not there as wanted, and with which nothing is being done."""
    return [
        registration
        for instance_id, registration in wanted.registrations.items()
        if instance_id not in busy and not is_met(registration, observed.get(instance_id))
    ]


def is_met(registration: Registration, current: Instance | None) -> bool:
    """Whether a registration is there as wanted, its health aside; an optional one may be missing."""
    if current is None:
        return registration.optional
    return is_true_to(current, registration.instance)


def _ailing(
    wanted: Wanted,
    observed: Mapping[InstanceId, Instance],
    busy: AbstractSet[InstanceId],
    closer: Mapping[InstanceId, Evidence],
) -> Iterable[SetHealth]:
    """Yield what makes the health of instances that are otherwise as wanted that of their pods, where it is ours."""
    for instance_id, registration in wanted.registrations.items():
        health, current = registration.instance.health, observed.get(instance_id)
        if current is None or health is Health.UNKNOWN or current.health is health or instance_id in busy:
            continue
        if is_true_to(current, registration.instance):
            why = closer[instance_id].why if instance_id in closer else ""
            yield SetHealth(instance_id, registration.origin, health, why=why)


def _cause(instance_id: InstanceId, closer: Mapping[InstanceId, Evidence]) -> Cause:
    """Return why an instance is to be marked as unhealthy."""
    known = closer.get(instance_id)
    return (known and known.cause) or Cause.NOT_READY


def _is_to_be_marked(registration: Registration | None) -> bool:
    return registration is not None and registration.instance.health is Health.UNHEALTHY


def _is_foreign(current: Instance | None, cluster_uid: Uid) -> bool:
    return current is not None and not is_own(current.attributes, cluster_uid)


def _register(registration: Registration, observed: Mapping[InstanceId, Instance]) -> Register:
    current = observed.get(registration.instance.id)
    urgency = Urgency.REGISTER if current is None else Urgency.REPAIR
    return Register(with_foreign_keys(registration.instance, current), registration.origin, urgency)
