"""What is known of a service: lists, own writes since, failures and doubts."""

import math
import random

import pytest

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Instance, Registration
from kube_registrar.runtime.backoff import FIRST_SECONDS
from kube_registrar.sync.observed import DOUBT_SECONDS, ObservedService, ObservedState
from kube_registrar.testing import builders

A = builders.registration("a", ip="10.0.0.1")
B = builders.registration("b", ip="10.0.0.2")
FLASK, OTHER = builders.service_ref(), builders.service_ref("test-namespace/other")
LOST = Unreachable("lost", doubtful=True)


def register(registration: Registration) -> Register:
    return Register(registration.instance, registration.origin)


def deregister(registration: Registration) -> Deregister:
    return Deregister(registration.instance.id, registration.origin, "the pod was deleted")


@pytest.fixture
def state() -> ObservedService:
    """A service that was read and holds nothing."""
    state = ObservedService(FLASK, builders.CLUSTER_UID, draw=random.Random(0))
    read(state)
    return state


def read(state: ObservedService, *found: Registration, at: float = 0.0) -> None:
    state.begin_list()
    state.end_list([each.instance for each in found], at, at)


def done(state: ObservedService, change: Change, error: RegistryError | None = None, now: float = 0.0) -> None:
    state.send([change])
    state.take(Outcome(change, error), now)


def test_a_list_replaces_what_was_known(state: ObservedService) -> None:
    read(state, A)
    read(state, B)
    assert set(state.instances) == {B.instance.id}
    assert state.whereabouts.of(A.origin.uid) == frozenset()
    assert state.whereabouts.of(B.origin.uid) == {FLASK}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_list_says_nothing_of_a_register_since_it_was_asked_for(state: ObservedService, is_late: bool) -> None:
    """Whether the outcome comes before the list ends, or after."""
    state.begin_list()
    state.send([register(A)])
    if not is_late:
        state.take(Outcome(register(A)), 0.0)
    state.end_list([], 0.0, 0.0)
    if is_late:
        state.take(Outcome(register(A)), 0.0)
    assert set(state.instances) == {A.instance.id}
    assert state.whereabouts.of(A.origin.uid) == {FLASK}


def test_a_list_says_nothing_of_a_write_that_was_in_flight_when_it_was_asked_for(state: ObservedService) -> None:
    read(state, A)
    state.send([deregister(A)])
    state.begin_list()
    state.take(Outcome(deregister(A)), 0.0)
    state.end_list([A.instance], 0.0, 0.0)
    assert state.instances == {}
    assert state.whereabouts.of(A.origin.uid) == frozenset()


def test_foreign_instances_are_known_by_id_only(state: ObservedService) -> None:
    state.begin_list()
    state.end_list([builders.instance("theirs", {"by": "hand"})], 0.0, 0.0)
    assert state.instances == {"theirs": Instance(builders.instance("theirs").id, {})}


def test_a_list_that_fails_leaves_what_is_known_and_is_tried_again(state: ObservedService) -> None:
    read(state, A)
    state.begin_list()
    state.fail_list(Retryable("busy", after=7.0), 100.0)
    assert (set(state.instances), state.is_readable, state.look_at) == ({A.instance.id}, True, 107.0)


def test_a_pair_of_unknown_outcome_is_left_alone_until_a_list_tells_and_others_are_not(state: ObservedService) -> None:
    read(state)
    done(state, register(A), LOST, now=50.0)
    assert (state.is_readable, state.is_settled(A.instance.id)) == (True, False)
    assert state.busy({}, 1e9) == {A.instance.id}
    state.begin_list()
    state.fail_list(Retryable("busy"), 60.0)
    assert state.busy({}, 1e9) == {A.instance.id}
    read(state, at=70.0)
    assert (state.busy({}, 1e9), state.is_settled(A.instance.id)) == (frozenset(), True)


@pytest.mark.parametrize("error", [Unreachable("down"), None])
def test_a_registry_out_of_reach_is_read_before_it_is_written_to(
    state: ObservedService, error: RegistryError | None
) -> None:
    """One answer that was lost says little of the next; one that broke the contract says it at once."""
    read(state)
    for now in (100.0, 200.0):
        assert state.is_readable
        state.begin_list()
        state.fail_list(error, now)
        assert now < state.look_at < now + 1.0
        if error is None:
            break
    assert not state.is_readable


@pytest.mark.parametrize(
    ("error", "is_readable", "is_doubtful"),
    [
        (Retryable("busy"), True, False),
        (Refused("no"), True, False),
        (NotFound("no such service"), False, False),
        (Unreachable("down"), False, False),
        (LOST, True, True),
    ],
)
def test_an_outcome_says_whether_to_look_before_the_next_write(
    state: ObservedService, error: RegistryError, is_readable: bool, is_doubtful: bool
) -> None:
    read(state)
    done(state, register(A), error, now=50.0)
    assert state.is_readable is is_readable
    assert state.look_at == (math.inf if is_readable and not is_doubtful else 50.0)
    assert state.untold == ({A.instance.id} if is_doubtful else set())
    assert state.doubtful == ({A.instance.id: 50.0 + DOUBT_SECONDS} if is_doubtful else {})
    assert (state.in_flight, state.instances) == ({}, {})


def test_a_doubt_ends_with_a_list_that_was_asked_for_after_its_time(state: ObservedService) -> None:
    done(state, register(A), LOST, now=0.0)
    read(state, at=DOUBT_SECONDS - 1.0)
    assert A.instance.id in state.doubtful
    assert DOUBT_SECONDS - 1.0 < state.look_at < math.inf
    state.begin_list()
    state.end_list([], DOUBT_SECONDS - 1.0, DOUBT_SECONDS + 1.0)  # what it says is of before
    assert A.instance.id in state.doubtful
    read(state, at=DOUBT_SECONDS)
    assert state.doubtful == {}
    assert state.look_at == math.inf


@pytest.mark.parametrize(
    ("change", "found", "is_made"),
    [
        (register(A), [A], True),
        (register(A), [builders.registration("a", ip="10.0.0.9")], False),
        (register(A), [], False),
        (deregister(A), [], True),
        (deregister(A), [A], False),
    ],
)
def test_a_list_tells_what_became_of_a_doubtful_change(
    state: ObservedService, change: Change, found: list[Registration], is_made: bool
) -> None:
    done(state, change, LOST)
    state.begin_list()
    assert state.end_list([each.instance for each in found], 1.0, 1.0) == ([change] if is_made else [])
    assert (change.instance_id in state.failed) is not is_made
    assert change.instance_id in state.doubtful  # an older write may land yet


def test_a_list_tells_nothing_of_a_change_that_is_tried_again_meanwhile(state: ObservedService) -> None:
    done(state, register(A), LOST)
    state.begin_list()
    state.send([register(A)])
    assert state.end_list([A.instance], 1.0, 1.0) == []
    assert A.instance.id in state.failed


def test_a_list_tells_nothing_of_a_change_that_was_refused(state: ObservedService) -> None:
    done(state, register(A), Refused("no"))
    state.begin_list()
    assert state.end_list([A.instance], 1.0, 1.0) == []


def test_a_pair_whose_write_was_lost_while_the_service_was_read_is_read_again_first(state: ObservedService) -> None:
    state.begin_list()
    done(state, register(A), LOST, now=1.0)
    state.end_list([], 0.0, 2.0)
    assert (state.is_readable, state.look_at) == (True, 2.0)
    assert A.instance.id in state.busy({}, math.inf)
    read(state, at=2.0)
    assert A.instance.id not in state.busy({}, math.inf)


def test_each_failure_waits_by_itself_and_a_newer_wish_waits_for_none(state: ObservedService) -> None:
    wanted = {A.instance.id: A, B.instance.id: B}
    done(state, register(A), Retryable("busy", after=5.0))
    done(state, register(B), Retryable("busy", after=9.0))
    assert state.busy(wanted, 4.9) == {A.instance.id, B.instance.id}
    assert state.next_try(wanted, 4.9) == 5.0
    assert state.busy(wanted, 5.0) == {B.instance.id}
    assert state.next_try(wanted, 5.0) == 9.0
    newer = builders.registration("b", ip="10.0.0.2", stage="dev")
    assert state.busy({**wanted, B.instance.id: newer}, 0.0) == {A.instance.id}
    assert state.busy({}, 0.0) == frozenset()
    assert state.next_try({}, 0.0) == math.inf


def test_a_deregister_that_failed_does_not_delay_a_register(state: ObservedService) -> None:
    read(state, A)
    done(state, deregister(A), Retryable("busy", after=5.0))
    assert state.busy({}, 0.0) == {A.instance.id}
    assert state.busy({A.instance.id: A}, 0.0) == frozenset()


def test_what_is_in_flight_is_busy_whatever_is_wanted(state: ObservedService) -> None:
    state.send([register(A)])
    assert state.busy({}, 0.0) == {A.instance.id}


def test_failures_grow_apart_and_end_with_a_success(state: ObservedService) -> None:
    waits = []
    for _ in range(12):
        done(state, register(A), Refused("no"), now=0.0)
        waits.append(state.failed[A.instance.id].not_before)
    assert max(waits[:2]) <= 1.0
    assert 3.0 <= max(waits[7:]) <= 30.0
    done(state, register(A))
    assert state.failed == {}


def test_failures_of_what_is_neither_wanted_nor_there_are_forgotten(state: ObservedService) -> None:
    read(state, B)
    done(state, register(A), Refused("no"))
    done(state, deregister(B), Refused("no"))
    state.forget_attempts({})
    assert set(state.failed) == {B.instance.id}


def test_two_instances_of_a_pod_in_a_service_count_apart(state: ObservedService) -> None:
    second = builders.registration("a", port=9090)
    read(state, A, second)
    done(state, deregister(A))
    assert state.whereabouts.of(A.origin.uid) == {FLASK}
    done(state, deregister(second))
    assert state.whereabouts.of(A.origin.uid) == frozenset()


def test_a_service_that_vanishes_is_forgotten_but_for_what_is_in_flight() -> None:
    states = ObservedState(builders.CLUSTER_UID)
    state = states.of(FLASK)
    read(state, A)
    done(state, register(builders.registration("c")), LOST)
    state.send([register(B)])
    states.forget(FLASK)
    assert (state.doubtful, state.failed) == ({}, {})
    assert states.of(FLASK) is state
    assert (state.instances, state.is_readable, set(state.in_flight)) == ({}, False, {B.instance.id})
    assert states.holding(A.origin.uid) == frozenset()
    state.take(Outcome(register(B), NotFound("no such service")), 0.0)
    states.forget(FLASK)
    assert states.services() == []


def test_asking_what_a_service_holds_does_not_make_it_known() -> None:
    states = ObservedState(builders.CLUSTER_UID)
    assert states.instances(OTHER) == {}
    assert states.services() == []


def test_a_list_that_fails_is_asked_for_again_soon_however_long_pairs_are_in_doubt(state: ObservedService) -> None:
    done(state, register(A), LOST)
    for number in range(1, 8):  # looks for what may still land come ever more seldom
        read(state, A, at=float(number))
    assert state.doubtful
    state.begin_list()
    state.fail_list(Retryable("busy"), 100.0)
    assert state.look_at <= 100.0 + FIRST_SECONDS


def test_what_is_to_be_written_anew_is_unseen_until_a_list_tells_of_it(state: ObservedService) -> None:
    read(state, A)
    assert not state.unseen([A.instance.id]), "the list itself shows what is wrong"
    assert state.unseen([A.instance.id])
    state.begin_list()
    assert state.unseen([A.instance.id])
    state.end_list([A.instance], 1.0, 1.0)
    assert not state.unseen([A.instance.id])


def test_a_service_that_is_made_again_waits_for_no_list_of_the_one_before(state: ObservedService) -> None:
    observed = ObservedState(builders.CLUSTER_UID)
    before = observed.of(FLASK)
    for number in range(5):
        read(before, A, at=float(number))
    before.unseen([])
    assert before.unseen([A.instance.id])
    observed.forget(FLASK)
    after = observed.of(FLASK)
    after.unseen([A.instance.id])
    read(after, A)
    assert not after.unseen([A.instance.id])
