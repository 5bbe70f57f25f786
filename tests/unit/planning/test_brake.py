"""How many may go at once, as a table and as a rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.model.changes import Register, SetHealth
from kube_registrar.model.instances import Health, Wanted
from kube_registrar.planning.brake import ABSENCE, BRAKED, LEAST, Extent, Scope, held_back, judged
from kube_registrar.planning.evidence import Cause, Evidence, Standing
from kube_registrar.planning.plan import plan
from kube_registrar.testing import builders

A = builders.registration("a", ip="10.0.0.1")
B = builders.registration("b", ip="10.0.0.2")
numbers = st.integers(0, 2_000)


def test_only_what_may_be_a_mistake_is_braked() -> None:
    assert {Cause.MISSING, Cause.CONFIGURATION, Cause.UNREACHABLE} == BRAKED
    assert {Cause.MISSING, Cause.REPLACED} == ABSENCE


@pytest.mark.parametrize(
    ("going", "recent", "present", "is_too_much"),
    [
        (0, 0, 0, False),
        (5, 0, 5, False),
        (6, 0, 6, True),
        (1, 5, 1, True),
        (1, 4, 1, False),
        (6, 0, 20, False),
        (6, 0, 19, True),
        (7, 0, 20, True),
        (30, 0, 100, False),
        (31, 0, 100, True),
        (1, 30, 70, True),  # of the hundred that were there, thirty went already
        (1, 29, 71, False),
        (500, 0, 500, True),
    ],
)
def test_more_than_five_and_more_than_thirty_per_cent_are_too_many(
    going: int, recent: int, present: int, is_too_much: bool
) -> None:
    assert Extent(going, recent, present).is_too_much is is_too_much


SOME, MANY = Extent(5, 0, 100), Extent(50, 0, 100)


@pytest.mark.parametrize(
    ("service", "registry", "scope"),
    [(SOME, SOME, None), (MANY, SOME, Scope.SERVICE), (SOME, MANY, Scope.REGISTRY), (MANY, MANY, Scope.REGISTRY)],
)
def test_too_many_in_a_service_or_in_the_registry_are_held(
    service: Extent, registry: Extent, scope: Scope | None
) -> None:
    assert judged(service, registry) is scope


@given(numbers, numbers, numbers)
def test_five_may_always_go_and_never_more_than_thirty_per_cent_beyond(going: int, recent: int, present: int) -> None:
    extent = Extent(going, recent, present)
    gone = going + recent
    if gone <= LEAST:
        assert not extent.is_too_much
    elif not extent.is_too_much:
        assert gone * 10 <= (present + recent) * 3


def known(cause: Cause) -> Evidence:
    return Evidence(Standing.DECLINED if cause is Cause.CONFIGURATION else Standing.GONE, "why", cause)


def test_what_is_held_back_is_kept_and_everything_else_goes_on() -> None:
    there = {A.instance.id: A.instance}
    made = plan(
        Wanted({B.instance.id: B}, frozenset()),
        there,
        {A.origin.uid: known(Cause.MISSING)},
        cluster_uid=builders.CLUSTER_UID,
    )
    assert made.causes == {A.instance.id: Cause.MISSING}
    held = held_back(made, {A.instance.id: "too many"})
    assert [type(change) for change in held.changes] == [Register]
    assert held.kept == {A.instance.id: "too many"}
    assert held_back(made, {}) is made


@pytest.mark.parametrize("cause", [Cause.MISSING, Cause.CONFIGURATION])
def test_an_address_that_another_live_pod_has_is_better_evidence(cause: Cause) -> None:
    heir = builders.registration("heir", ip="10.0.0.1")
    made = plan(
        Wanted({heir.instance.id: heir}, frozenset()),
        {A.instance.id: A.instance},
        {A.origin.uid: known(cause)},
        cluster_uid=builders.CLUSTER_UID,
    )
    assert made.causes == {A.instance.id: Cause.ADDRESS}


def test_a_pod_that_another_instance_stands_for_in_the_same_service_has_moved() -> None:
    other = builders.registration("a", port=9090)
    there = {A.instance.id: A.instance, other.instance.id: other.instance}
    made = plan(
        Wanted({other.instance.id: other}, frozenset()),
        there,
        {A.origin.uid: known(Cause.CONFIGURATION)},
        cluster_uid=builders.CLUSTER_UID,
    )
    assert made.causes == {A.instance.id: Cause.MOVED}


def test_another_machine_behind_a_service_does_not_stand_for_the_one_that_goes() -> None:
    service = replace(builders.origin(), kind="Service")
    other = replace(builders.registration("a", port=9090), origin=service)
    there = {A.instance.id: A.instance, other.instance.id: other.instance}
    wanted = Wanted({other.instance.id: other}, frozenset())
    evidence = {A.origin.uid: known(Cause.CONFIGURATION)}
    made = plan(wanted, there, evidence, cluster_uid=builders.CLUSTER_UID)
    assert made.causes == {A.instance.id: Cause.CONFIGURATION}


def test_of_what_is_busy_or_unknown_nothing_new_is_known() -> None:
    there = {A.instance.id: A.instance, B.instance.id: B.instance}
    made = plan(Wanted({}, frozenset()), there, {}, cluster_uid=builders.CLUSTER_UID, busy={B.instance.id})
    assert made.pending == there.keys()
    asks = Evidence(Standing.UNKNOWN, "it lives and asks", Cause.ASKS)
    made = plan(Wanted({}, frozenset()), there, {A.origin.uid: asks}, cluster_uid=builders.CLUSTER_UID)
    assert made.pending == {B.instance.id}


@pytest.mark.parametrize("cause", [None, Cause.NOT_READY, Cause.UNREACHABLE])
def test_a_mark_as_unhealthy_has_a_cause_and_can_be_held_as_a_deregistration_can(cause: Cause | None) -> None:
    ill = replace(B, instance=replace(B.instance, health=Health.UNHEALTHY), optional=True)
    there = {B.instance.id: replace(B.instance, health=Health.HEALTHY)}
    closer = {B.instance.id: Evidence(Standing.DECLINED, "its node is unreachable", cause)} if cause else {}
    wanted = Wanted({B.instance.id: ill}, frozenset())
    made = plan(wanted, there, {}, closer=closer, cluster_uid=builders.CLUSTER_UID)
    assert made.causes == {B.instance.id: cause or Cause.NOT_READY}
    assert [type(change) for change in made.changes] == [SetHealth]
    held = held_back(made, {B.instance.id: "too many"})
    assert (held.changes, held.kept) == ([], {B.instance.id: "too many"})
    busy = plan(wanted, there, {}, closer=closer, cluster_uid=builders.CLUSTER_UID, busy={B.instance.id})
    assert (busy.changes, busy.pending) == ([], {B.instance.id})


def test_a_mark_as_healthy_is_never_held() -> None:
    well = replace(B, instance=replace(B.instance, health=Health.HEALTHY))
    there = {B.instance.id: replace(B.instance, health=Health.UNHEALTHY)}
    made = plan(Wanted({B.instance.id: well}, frozenset()), there, {}, cluster_uid=builders.CLUSTER_UID)
    assert (made.causes, len(made.changes)) == ({}, 1)
    assert held_back(made, {B.instance.id: "too many"}).changes == made.changes
