"""Everything at once, for longer: five times the histories of `test_state_machine`."""

import pytest

from tests.engine.model.machine import TIMES, histories
from tests.engine.test_state_machine import AskingMachine, LeadershipMachine, PodMachine

pytestmark = [pytest.mark.extended, pytest.mark.timeout(1800 * max(1.0, TIMES))]


class LongPods(PodMachine):
    """Pods that ask for themselves."""


class LongAsking(AskingMachine):
    """Pods, and whoever else asks for them."""


class LongLeadership(LeadershipMachine):
    """Two replicas, one of which leads at a time."""


LongPods.TestCase.settings = histories(400)
LongAsking.TestCase.settings = histories(400)
LongLeadership.TestCase.settings = histories(200)
TestLongPods = LongPods.TestCase
TestLongAsking = LongAsking.TestCase
TestLongLeadership = LongLeadership.TestCase
