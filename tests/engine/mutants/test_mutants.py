"""The test of the test: with each planted bug the machines find something that must never be, and without none."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engine.model.machine import Machine, Violated
from tests.engine.mutants import planted
from tests.engine.mutants.planted import Mutant
from tests.engine.test_state_machine import AskingMachine, LeadershipMachine, PodMachine

pytestmark = pytest.mark.extended

HISTORIES = 500
"""The most that a mutant gets. Most are found within ten, the rarest within forty or so: which histories are drawn
depends a little on what else has been imported."""
WITHOUT = 50
"""How many are played without one."""

MUTANTS: list[tuple[Mutant, type[Machine]]] = [
    (planted.deletes_before_sync, AskingMachine),
    (planted.names_instances_by_address, PodMachine),
    (planted.swallows_failures, PodMachine),
    (planted.forgets_what_may_still_land, PodMachine),
    (planted.takes_missing_for_deleted, PodMachine),
    (planted.acts_before_it_has_read, AskingMachine),
    (planted.sees_one_slice_of_a_service, AskingMachine),
    (planted.writes_while_it_stands_by, LeadershipMachine),
    (planted.has_no_brake, AskingMachine),
    (planted.sends_twice, PodMachine),
    (planted.forgets_policies, PodMachine),
    (planted.overwrites_unseen, PodMachine),
]


def play(machine: type[Machine], histories: int) -> None:
    """Play the same histories as ever, until the first violation: nothing is made smaller, for nobody reads it."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            print_blob=False,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mutant", "machine"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_planted_bug_is_found(mutant: Mutant, machine: type[Machine]) -> None:
    with mutant(), pytest.raises(Violated):
        play(machine, HISTORIES)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [PodMachine, AskingMachine, LeadershipMachine])
def test_without_one_nothing_is_found(machine: type[Machine]) -> None:
    play(machine, WITHOUT)
