"""When the readiness gate opens: a truth table, and whatever is thrown at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.model.instances import Health, Registration
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.planning.gate import Closed, Open, Seen, decide, is_waiting
from kube_registrar.testing import builders

WANTED = builders.registration("web")
OTHER = builders.registration("web", "test-namespace/other")
THERE = Seen(WANTED.instance)
OTHER_THERE = Seen(OTHER.instance)
OUTDATED = replace(WANTED.instance, attributes={**WANTED.instance.attributes, "AWS_INSTANCE_PORT": "9090"})
FOREIGN = builders.instance(WANTED.instance.id)
MISSING = Seen(None)


@dataclass(frozen=True)
class Asks:
    """What a pod asks for."""

    registrations: Sequence[Registration] = (WANTED,)
    held: bool = False
    unready: frozenset[ServiceRef] = frozenset()
    absent_because: str = ""
    unresolved: bool = False


def gated(**overrides: Any) -> Pod:
    return builders.pod("web", **({"gated": True} | overrides))


def decided(asks: Asks, *seen: Seen, pod: Pod | None = None, observes_all: bool = False) -> Open | Closed | None:
    known = {registration.instance.id: each for registration, each in zip(asks.registrations, seen, strict=True)}
    return decide(pod or gated(), asks, lambda each: known[each.instance.id], observes_all=observes_all)


def shown(verdict: Open | Closed | None) -> str:
    """Return the reason of an open gate, `closed`, or `nothing` where nothing is to be decided."""
    return verdict.reason if isinstance(verdict, Open) else "closed" if verdict else "nothing"


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({}, "Registered"),
        ({"gate": "False"}, "Registered"),
        ({"gate": "Unknown"}, "Registered"),
        ({"gate": "True"}, "nothing"),
        ({"gated": False}, "nothing"),
        ({"terminating": True}, "nothing"),
        ({"phase": "Succeeded"}, "nothing"),
        ({"phase": "Failed"}, "nothing"),
        ({"ready": False}, "closed"),
    ],
)
def test_only_a_living_pod_with_a_closed_gate_and_ready_containers_is_let_through(
    pod: dict[str, Any], expected: str
) -> None:
    assert shown(decided(Asks(), THERE, pod=gated(**pod))) == expected


@pytest.mark.parametrize(
    ("asks", "seen", "expected"),
    [
        (Asks(), [THERE], "Registered"),
        (Asks(), [MISSING], "closed"),
        (Asks(), [Seen(OUTDATED)], "closed"),
        (Asks(), [Seen(FOREIGN)], "closed"),
        (Asks(), [replace(THERE, settled=False)], "closed"),
        (Asks((WANTED, OTHER)), [THERE, OTHER_THERE], "Registered"),
        (Asks((WANTED, OTHER)), [THERE, MISSING], "closed"),
        (Asks((WANTED, OTHER)), [MISSING, OTHER_THERE], "closed"),
        (Asks(held=True), [THERE], "closed"),
        (Asks((), held=True), [], "closed"),
        (Asks((), held=True, unresolved=True), [], "closed"),
        (Asks((), unready=frozenset({WANTED.service})), [], "closed"),
        (Asks(unready=frozenset({OTHER.service})), [THERE], "closed"),
        (Asks((), absent_because="nothing asks for it"), [], "NothingToRegister"),
    ],
)
def test_the_truth_table(asks: Asks, seen: list[Seen], expected: str) -> None:
    assert shown(decided(asks, *seen)) == expected


@pytest.mark.parametrize(
    ("policy", "missing", "outdated", "foreign"),
    [
        (Policy.SYNC, "closed", "closed", "closed"),
        (Policy.UPSERT_ONLY, "closed", "closed", "closed"),
        (Policy.CREATE_ONLY, "closed", "Withheld", "closed"),
        (Policy.OBSERVE, "Withheld", "Withheld", "closed"),
    ],
)
def test_what_a_policy_withholds_does_not_stop_a_rollout(
    policy: Policy, missing: str, outdated: str, foreign: str
) -> None:
    found = [shown(decided(Asks(), Seen(each, policy=policy))) for each in (None, OUTDATED, FOREIGN)]
    assert found == [missing, outdated, foreign]
    assert shown(decided(Asks(), Seen(WANTED.instance, policy=policy))) == "Registered"


def test_what_one_registry_withholds_does_not_excuse_another() -> None:
    observed = Seen(None, policy=Policy.OBSERVE)
    assert shown(decided(Asks((WANTED, OTHER)), observed, MISSING)) == "closed"
    assert shown(decided(Asks((WANTED, OTHER)), observed, OTHER_THERE)) == "Withheld"


def test_a_reference_to_what_is_not_there_stops_no_rollout_where_nothing_is_ever_made() -> None:
    asks = Asks((), held=True, unresolved=True, absent_because="it is being made")
    assert shown(decided(asks, observes_all=True)) == "Withheld"
    assert shown(decided(replace(asks, unresolved=False), observes_all=True)) == "closed"


def test_an_instance_that_is_marked_as_unhealthy_is_not_found_and_so_not_enough() -> None:
    wanted = replace(WANTED, instance=replace(WANTED.instance, health=Health.HEALTHY))
    asks = Asks((wanted,))
    found = {health: shown(decided(asks, Seen(replace(wanted.instance, health=health)))) for health in Health}
    assert found == {Health.HEALTHY: "Registered", Health.UNHEALTHY: "closed", Health.UNKNOWN: "closed"}


def test_only_what_follows_from_what_is_not_there_must_have_lasted() -> None:
    verdicts = [
        decided(Asks(), THERE),
        decided(Asks(), Seen(None, policy=Policy.OBSERVE)),
        decided(Asks(())),
        decided(Asks((), held=True, unresolved=True), observes_all=True),
    ]
    assert [isinstance(each, Open) and each.must_last for each in verdicts] == [False, False, True, True]


@pytest.mark.parametrize(
    ("pod", "asks", "seen", "why"),
    [
        ({"ready": False}, Asks(), [THERE], "its containers are not ready"),
        ({}, Asks((), held=True, absent_because="it is being made"), [], "what it asks for is held: it is being made"),
        (
            {},
            Asks((), unready=frozenset({WANTED.service}), absent_because="the pod has no address yet"),
            [],
            "the pod has no address yet",
        ),
        (
            {},
            Asks((WANTED, OTHER)),
            [THERE, MISSING],
            f"not confirmed by the registry yet: {OTHER.instance.id} in {OTHER.service}",
        ),
    ],
)
def test_a_closed_gate_says_what_it_waits_for(pod: dict[str, Any], asks: Asks, seen: list[Seen], why: str) -> None:
    assert decided(asks, *seen, pod=gated(**pod)) == Closed(why)


def test_before_its_wish_is_worked_out_nothing_is_certain() -> None:
    assert shown(decide(gated(), None, lambda _: THERE)) == "closed"


def test_many_registrations_make_no_endless_message() -> None:
    many = [builders.registration("web", f"test-namespace/service-{number}") for number in range(50)]
    verdict = decided(Asks(many), *(Seen(each.instance) for each in many))
    assert isinstance(verdict, Open)
    assert verdict.message.endswith("; and 45 more")
    assert len(verdict.message) < 1_024


# Whatever is thrown at it.

PODS = st.builds(
    gated,
    gated=st.booleans(),
    gate=st.sampled_from(["", "True", "False", "Unknown"]),
    ready=st.booleans(),
    terminating=st.booleans(),
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
)
REGISTRATIONS = [builders.registration("web", f"test-namespace/service-{number}") for number in range(3)]
ASKS = st.builds(
    Asks,
    registrations=st.lists(st.sampled_from(REGISTRATIONS), unique_by=lambda each: each.instance.id),
    held=st.booleans(),
    unready=st.sampled_from([frozenset(), frozenset({WANTED.service})]),
    absent_because=st.just("because"),
    unresolved=st.booleans(),
)
STATES = st.sampled_from(["there", "outdated", "foreign", "missing"])
KNOWN = st.fixed_dictionaries(
    {each.instance.id: st.tuples(STATES, st.booleans(), st.sampled_from(Policy)) for each in REGISTRATIONS}
)


def seen_of(registration: Registration, known: Mapping[InstanceId, tuple[str, bool, Policy]]) -> Seen:
    state, settled, policy = known[registration.instance.id]
    instance = registration.instance
    current = {
        "there": instance,
        "outdated": replace(instance, attributes={**instance.attributes, "AWS_INSTANCE_PORT": "9"}),
        "foreign": builders.instance(instance.id),
        "missing": None,
    }[state]
    return Seen(current, settled, policy)


@given(PODS, ASKS, KNOWN, st.booleans())
def test_whatever_is_thrown_at_it_a_gate_opens_only_for_one_of_its_three_reasons(
    pod: Pod, asks: Asks, known: dict[InstanceId, tuple[str, bool, Policy]], observes_all: bool
) -> None:
    verdict = decide(pod, asks, lambda each: seen_of(each, known), observes_all=observes_all)
    if not is_waiting(pod):
        assert verdict is None
        return
    if isinstance(verdict, Closed):
        assert verdict.why
        return
    assert isinstance(verdict, Open)
    assert pod.ready
    assert not asks.unready
    states = [known[each.instance.id] for each in asks.registrations]
    confirmed = [state == "there" and settled for state, settled, _ in states]
    match verdict.reason:
        case "Registered":
            assert states
            assert all(confirmed)
            assert not asks.held
        case "NothingToRegister":
            assert not states
            assert not asks.held
        case "Withheld":
            withheld = [
                (state == "missing" and not policy.makes) or (state == "outdated" and not policy.updates)
                for state, _, policy in states
            ]
            assert all(ok or kept for ok, kept in zip(confirmed, withheld, strict=True))
            assert not asks.held or (observes_all and asks.unresolved)
        case other:
            raise AssertionError(other)


@given(PODS, ASKS, KNOWN)
def test_under_sync_a_gate_never_opens_before_everything_is_confirmed(
    pod: Pod, asks: Asks, known: dict[InstanceId, tuple[str, bool, Policy]]
) -> None:
    synced = {each: (state, settled, Policy.SYNC) for each, (state, settled, _) in known.items()}
    verdict = decide(pod, asks, lambda each: seen_of(each, synced))
    everything = all(synced[each.instance.id][:2] == ("there", True) for each in asks.registrations)
    may_open = is_waiting(pod) and pod.ready and everything and not asks.held and not asks.unready
    assert isinstance(verdict, Open) == may_open
