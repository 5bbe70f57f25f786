"""Policies can only subtract: a truth table, and whatever is thrown at them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.model.changes import Change, Deregister, Register, SetHealth
from kube_registrar.model.instances import Health, Wanted
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import InstanceId
from kube_registrar.planning.evidence import Evidence, Standing
from kube_registrar.planning.plan import Plan, plan
from kube_registrar.planning.policy import WITHHELD, restrained, split
from kube_registrar.testing import builders

NEW = Register(builders.instance("new"), builders.origin())
REPLACEMENT = Register(builders.instance("there"), builders.origin())
REMOVAL = Deregister(InstanceId("gone"), builders.origin(), "the pod was deleted")
HEALTH = SetHealth(InstanceId("there"), builders.origin(), Health.UNHEALTHY)
ALL: Sequence[Change] = (NEW, REPLACEMENT, REMOVAL, HEALTH)
THERE = frozenset({InstanceId("there"), InstanceId("gone")})

TRUTH = {
    Policy.SYNC: (True, True, True, True),
    Policy.UPSERT_ONLY: (True, True, False, True),
    Policy.CREATE_ONLY: (True, False, False, False),
    Policy.OBSERVE: (False, False, False, False),
}
"""For each policy: is a new instance registered, one that is there replaced, one removed, one's health set?"""


@pytest.mark.parametrize("policy", Policy)
def test_the_truth_table(policy: Policy) -> None:
    parts = split(ALL, THERE, policy)
    assert list(parts.allowed) == [change for change, sent in zip(ALL, TRUTH[policy], strict=True) if sent]
    assert list(parts.withheld) == [change for change, sent in zip(ALL, TRUTH[policy], strict=True) if not sent]


@pytest.mark.parametrize(
    ("policy", "makes", "updates", "removes"),
    [
        (Policy.SYNC, True, True, True),
        (Policy.UPSERT_ONLY, True, True, False),
        (Policy.CREATE_ONLY, True, False, False),
        (Policy.OBSERVE, False, False, False),
    ],
)
def test_the_same_table_for_namespaces_and_services(policy: Policy, makes: bool, updates: bool, removes: bool) -> None:
    assert (policy.makes, policy.updates, policy.removes) == (makes, updates, removes)


IDS = st.sampled_from("abcdef").map(InstanceId)
CHANGES = st.one_of(
    IDS.map(lambda each: Register(builders.instance(each), builders.origin())),
    IDS.map(lambda each: Deregister(each, builders.origin(), "gone")),
    IDS.map(lambda each: SetHealth(each, builders.origin(), Health.HEALTHY)),
)


@given(st.lists(CHANGES), st.frozensets(IDS), st.sampled_from(Policy))
def test_whatever_the_changes_each_is_allowed_or_withheld_in_its_order(
    changes: list[Change], there: frozenset[InstanceId], policy: Policy
) -> None:
    parts = split(changes, there, policy)
    allowed, withheld = list(parts.allowed), list(parts.withheld)
    rest = iter(changes)
    assert all(any(change is each for each in rest) for change in allowed)  # a subsequence: nothing added, none moved
    assert sorted(map(id, (*allowed, *withheld))) == sorted(map(id, changes))


@given(st.lists(CHANGES), st.frozensets(IDS))
def test_each_policy_allows_no_more_than_the_one_before_it_and_observe_nothing(
    changes: list[Change], there: frozenset[InstanceId]
) -> None:
    order = (Policy.SYNC, Policy.UPSERT_ONLY, Policy.CREATE_ONLY, Policy.OBSERVE)
    allowed = [{id(change) for change in split(changes, there, policy).allowed} for policy in order]
    assert allowed[0] == {id(change) for change in changes}
    assert allowed[0] >= allowed[1] >= allowed[2] >= allowed[3] == set()


def test_a_plan_keeps_what_is_not_deregistered_and_says_why() -> None:
    made = Plan(ALL, {InstanceId("held"): "its pod cannot be read"})
    under = restrained(made, THERE, Policy.UPSERT_ONLY)
    assert list(under.changes) == [NEW, REPLACEMENT, HEALTH]
    assert list(under.withheld) == [REMOVAL]
    assert under.kept == {InstanceId("held"): "its pod cannot be read", InstanceId("gone"): WITHHELD}


def test_a_plan_of_which_nothing_is_withheld_stays_the_plan_that_it_is() -> None:
    made = Plan(ALL)
    assert restrained(made, THERE, Policy.SYNC) is made


def test_where_nothing_is_removed_nobody_waits_for_an_address_to_be_left() -> None:
    old, new = builders.registration("old", ip="10.0.0.1"), builders.registration("new", ip="10.0.0.1")
    wanted = Wanted({new.instance.id: new})
    observed = {old.instance.id: old.instance}
    gone = {old.origin.uid: Evidence(Standing.GONE, "the pod was deleted")}
    usual = plan(wanted, observed, gone, cluster_uid=builders.CLUSTER_UID)
    assert ([type(change) for change in usual.changes], list(usual.waiting)) == ([Deregister], [new])
    made = plan(wanted, observed, gone, cluster_uid=builders.CLUSTER_UID, removes=Policy.UPSERT_ONLY.removes)
    under = restrained(made, observed, Policy.UPSERT_ONLY)
    assert ([change.instance_id for change in under.changes], list(under.waiting)) == ([new.instance.id], [])
    assert [change.instance_id for change in under.withheld] == [old.instance.id]
