"""The plan for one registry service, case by case, and the rules that no case may break."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Register, Urgency
from kube_registrar.model.identity import is_own
from kube_registrar.model.instances import Instance, Registration, Wanted
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.planning.compare import address_of, is_true_to
from kube_registrar.planning.evidence import ASKED, UNSEEN, Evidence, Standing
from kube_registrar.planning.plan import HELD, MOVING, Plan, plan
from kube_registrar.testing import builders

OURS = builders.CLUSTER_UID
LONGER = Uid(OURS + "0")
SHORTER = Uid(OURS[:-1])
GONE = Evidence(Standing.GONE, "the pod was deleted")
ENDING = Evidence(Standing.ENDING, "the pod is terminating")
DECLINED = Evidence(Standing.DECLINED, "the pod is not ready")
UNKNOWN = Evidence(Standing.UNKNOWN, "nobody knows")


def wanted(*registrations: Registration, held: Sequence[str] = ()) -> Wanted:
    return Wanted({r.instance.id: r for r in registrations}, frozenset(builders.uid_of(name) for name in held))


def observed(*registrations: Registration) -> dict[InstanceId, Instance]:
    return {r.instance.id: r.instance for r in registrations}


def known(**evidence: Evidence) -> dict[Uid, Evidence]:
    return {builders.uid_of(name): each for name, each in evidence.items()}


def planned(*args: object, **more: object) -> Plan:
    return plan(*args, cluster_uid=OURS, **more)  # type: ignore[arg-type]


def told(made: Plan) -> list[tuple[str, str]]:
    """Return (what, whose) of each change, in order."""
    return [(type(change).__name__, change.origin.name) for change in made.changes]


A = builders.registration("a", ip="10.0.0.1")
B = builders.registration("b", ip="10.0.0.2")


def test_what_is_wanted_and_missing_is_registered() -> None:
    made = planned(wanted(A), {}, {})
    assert made.changes == [Register(A.instance, A.origin, Urgency.REGISTER)]


def test_what_is_as_wanted_is_left_alone() -> None:
    assert planned(wanted(A), observed(A), {}) == Plan([], {}, [], [])


def test_what_differs_is_repaired_with_foreign_keys_carried_along() -> None:
    there = replace(A.instance, attributes={**A.instance.attributes, keys.IPV4: "10.9.9.9", "weight": "5"})
    [change] = planned(wanted(A), {there.id: there}, {}).changes
    assert isinstance(change, Register)
    assert change.urgency is Urgency.REPAIR
    assert change.instance.attributes == {**A.instance.attributes, "weight": "5"}


@pytest.mark.parametrize(
    ("evidence", "change", "kept"),
    [
        (GONE, Urgency.EVICT, ""),
        (ENDING, Urgency.EVICT, ""),
        (DECLINED, Urgency.REGISTER, ""),
        (UNKNOWN, None, "nobody knows"),
        (None, None, "nothing is known of the pod yet"),
    ],
)
def test_an_instance_that_nobody_wants_goes_only_with_evidence(
    evidence: Evidence | None, change: Urgency | None, kept: str
) -> None:
    made = planned(wanted(), observed(A), known(a=evidence) if evidence else {})
    if change is None or evidence is None:
        assert (made.changes, made.kept) == ([], {A.instance.id: kept})
    else:
        assert made.changes == [Deregister(A.instance.id, A.origin, evidence.why, change)]
        assert made.kept == {}


@pytest.mark.parametrize(
    ("evidence", "goes"), [(GONE, True), (ENDING, True), (DECLINED, False), (UNKNOWN, False), (None, False)]
)
def test_a_held_instance_stays_unless_its_pod_ends(evidence: Evidence | None, goes: bool) -> None:
    made = planned(wanted(held=["a"]), observed(A), known(a=evidence) if evidence else {})
    assert [change.instance_id for change in made.changes] == ([A.instance.id] if goes else [])
    assert made.kept == ({} if goes else {A.instance.id: HELD})


@pytest.mark.parametrize(("evidence", "goes"), [(GONE, True), (ENDING, True), (DECLINED, False)])
def test_an_instance_of_a_pod_that_moves_stays_unless_its_pod_ends(evidence: Evidence, goes: bool) -> None:
    made = planned(wanted(), observed(A), known(a=evidence), moving={builders.uid_of("a")})
    assert [change.instance_id for change in made.changes] == ([A.instance.id] if goes else [])
    assert made.kept == ({} if goes else {A.instance.id: MOVING})


def test_the_order_is_evictions_then_registers_then_departures() -> None:
    c = builders.registration("c", ip="10.0.0.3")
    made = planned(wanted(c), observed(A, B), known(a=DECLINED, b=GONE))
    assert told(made) == [("Deregister", "b"), ("Register", "c"), ("Deregister", "a")]


def test_a_busy_instance_is_left_alone() -> None:
    busy = {A.instance.id, B.instance.id}
    made = planned(wanted(A), observed(B), known(b=GONE), busy=busy)
    assert made == Plan([], {}, [], [], pending={B.instance.id})


@pytest.mark.parametrize("busy", [set(), {A.instance.id}])
def test_nobody_is_registered_into_an_address_that_is_being_left(busy: set[InstanceId]) -> None:
    heir = builders.registration("heir", ip="10.0.0.1")
    made = planned(wanted(heir, B), observed(A), known(a=GONE), busy=busy)
    assert ("Register", "heir") not in told(made)
    assert ("Register", "b") in told(made)
    assert made.waiting == [heir]


@pytest.mark.parametrize("evidence", [DECLINED, UNKNOWN, None])
def test_an_address_with_a_new_holder_is_evidence(evidence: Evidence | None) -> None:
    heir = builders.registration("heir", ip="10.0.0.1")
    made = planned(wanted(heir), observed(A), known(a=evidence) if evidence else {})
    assert told(made) == [("Deregister", "a")]
    assert isinstance(made.changes[0], Deregister)
    assert (made.changes[0].why, made.changes[0].urgency) == (
        "its address belongs to another live pod",
        Urgency.EVICT,
    )


def test_a_holder_that_only_the_watch_tells_of_is_none_where_a_direct_read_says_otherwise() -> None:
    heir = builders.registration("heir", ip="10.0.0.1")
    made = planned(wanted(heir), observed(A), known(a=UNSEEN))
    assert told(made) == [("Register", "heir")]
    assert made.kept == {A.instance.id: UNSEEN.why}


def test_while_a_direct_read_is_open_neither_old_nor_new_moves() -> None:
    """Whom the address belongs to is known in a moment; then the old one goes before the new one comes."""
    heir = builders.registration("heir", ip="10.0.0.1")
    made = planned(wanted(heir), observed(A), known(a=ASKED))
    assert (made.changes, made.waiting) == ([], [heir])
    assert made.kept == {A.instance.id: ASKED.why}


@pytest.mark.parametrize("port", [9090, None])
def test_the_same_ip_with_another_port_or_none_is_no_evidence(port: int | None) -> None:
    neighbour = builders.registration("neighbour", ip="10.0.0.1", port=port)
    made = planned(wanted(neighbour), observed(A), {})
    assert told(made) == [("Register", "neighbour")]


def test_a_pod_s_own_new_instance_at_its_address_evicts_nothing() -> None:
    renamed = replace(A.instance, id=InstanceId("former-id"))
    made = planned(wanted(A), {renamed.id: renamed}, known(a=DECLINED), moving={A.origin.uid})
    assert told(made) == [("Register", "a")]
    assert made.kept == {renamed.id: MOVING}


@pytest.mark.parametrize("uid", [LONGER, SHORTER, Uid(""), Uid(OURS.upper() + "x")])
def test_an_instance_of_another_cluster_is_never_touched_though_its_uid_begins_alike(uid: Uid) -> None:
    theirs = builders.registration("a", cluster_uid=uid, ip="10.0.0.1")
    heir = builders.registration("heir", ip="10.0.0.1")
    made = planned(wanted(heir), observed(theirs), known(a=GONE))
    assert told(made) == [("Register", "heir")]
    assert made.kept == {}


@pytest.mark.parametrize("attributes", [{}, {"by": "hand"}, {keys.CLUSTER_UID: LONGER, keys.POD_UID: "uid"}])
def test_an_id_of_ours_that_is_somebody_else_s_is_a_conflict(attributes: Mapping[str, str]) -> None:
    made = planned(wanted(A, B), {A.instance.id: Instance(A.instance.id, attributes)}, {})
    assert (told(made), made.conflicts) == ([("Register", "b")], [A])


# The rules, whatever is put together.

names = st.sampled_from(["a", "b", "c", "d"])
ips = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
clusters = st.sampled_from([OURS, OURS, LONGER, SHORTER, Uid("")])
ports = st.sampled_from([8080, 9090, None])
stages = st.sampled_from(["dev", "prod"])


@st.composite
def registrations(draw: st.DrawFn, own: bool) -> Registration:
    cluster = OURS if own else draw(clusters)
    return builders.registration(draw(names), ip=draw(ips), port=draw(ports), cluster_uid=cluster, stage=draw(stages))


@st.composite
def foreign_keys(draw: st.DrawFn, registration: Registration) -> Instance:
    """Return the registration's instance as it may be found: with foreign keys, or without ours."""
    found = dict(registration.instance.attributes)
    if draw(st.booleans()):
        found["weight"] = "5"
    if draw(st.integers(0, 9)) == 0:
        found = {"by": "hand"}
    return Instance(registration.instance.id, found)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Wanted, dict[InstanceId, Instance], dict[Uid, Evidence], set[Uid]]:
    want = draw(st.lists(registrations(own=True), max_size=4))
    there = [draw(foreign_keys(each)) for each in draw(st.lists(registrations(own=False), max_size=5))]
    held = draw(st.sets(names, max_size=2))
    evidence = draw(st.dictionaries(names, st.sampled_from([GONE, ENDING, DECLINED, UNKNOWN]), max_size=4))
    moving = draw(st.sets(names, max_size=2))
    return (
        wanted(*want, held=sorted(held)),
        {each.id: each for each in there},
        known(**evidence),
        {builders.uid_of(name) for name in moving},
    )


def origin(instance: Instance) -> Uid:
    return Uid(instance.attributes.get(keys.POD_UID, ""))


@given(situations(), st.data())
def test_no_plan_breaks_a_rule(
    situation: tuple[Wanted, dict[InstanceId, Instance], dict[Uid, Evidence], set[Uid]], data: st.DataObject
) -> None:
    want, there, evidence, moving = situation
    busy = data.draw(st.sets(st.sampled_from(sorted({*want.registrations, *there, InstanceId("-")}))))
    made = planned(want, there, evidence, busy=busy, moving=moving)
    changed = [change.instance_id for change in made.changes]
    assert len(changed) == len(set(changed)), "at most one change an instance"
    assert not busy & set(changed), "what is busy is left alone"
    holders = {a: r.origin.uid for r in want.registrations.values() for a in address_of(r.instance.attributes)}
    leaving: set[tuple[str, str]] = set()
    for change in made.changes:
        current = there.get(change.instance_id)
        assert current is None or is_own(current.attributes, OURS), "a foreign instance is touched"
        if isinstance(change, Deregister):
            assert current is not None
            assert change.instance_id not in want.registrations, "a wanted instance is deregistered"
            _check_deregistration(current, evidence, want, holders, moving)
            if change.urgency is Urgency.EVICT:
                leaving |= address_of(current.attributes)
        else:
            _check_register(change, current, want)
    for change in made.changes:
        if isinstance(change, Register):
            assert not address_of(change.instance.attributes) & leaving, "new in before old is out"


def _check_deregistration(
    current: Instance,
    evidence: Mapping[Uid, Evidence],
    want: Wanted,
    holders: Mapping[tuple[str, str], Uid],
    moving: set[Uid],
) -> None:
    uid = origin(current)
    standing = evidence.get(uid, UNKNOWN).standing
    is_taken = any(holders.get(address, uid) != uid for address in address_of(current.attributes))
    is_final = is_taken or standing in {Standing.GONE, Standing.ENDING}
    assert is_final or standing is Standing.DECLINED, "deregistered without evidence"
    assert is_final or uid not in want.held, "a held instance is deregistered"
    assert is_final or uid not in moving, "old out before new is confirmed"


def _check_register(change: Change, current: Instance | None, want: Wanted) -> None:
    assert isinstance(change, Register)
    wish = want.registrations[change.instance_id].instance
    assert is_true_to(change.instance, wish)
    assert current is None or not is_true_to(current, wish), "written though it is as wanted"
    if current is not None and "weight" in current.attributes:
        assert change.instance.attributes["weight"] == "5", "a foreign key is lost"


@given(situations())
def test_a_plan_carried_out_leaves_nothing_to_do_but_what_was_waited_for(
    situation: tuple[Wanted, dict[InstanceId, Instance], dict[Uid, Evidence], set[Uid]],
) -> None:
    want, there, evidence, moving = situation
    for _round in range(3):
        made = planned(want, there, evidence, moving=moving)
        for change in made.changes:
            if isinstance(change, Register):
                there[change.instance_id] = change.instance
            else:
                del there[change.instance_id]
    made = planned(want, there, evidence, moving=moving)
    assert (made.changes, made.waiting) == ([], [])
    missing = {i for i, r in want.registrations.items() if i not in there or not is_true_to(there[i], r.instance)}
    assert missing == {registration.instance.id for registration in made.conflicts}
