"""Everything at once: whatever happens, no pod that wants its instance loses it, and in the end all is as it should be.

Machines draw histories and play them against the real engine. What is sent is looked at the moment it is sent, and at
quiet points, with everything healed, what is registered is compared with what an oracle of its own says that the pods
want. `tests/engine/model` has what they are made of, and `tests/engine/mutants` shows that they find what is wrong.
"""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from kube_registrar.model.policy import Policy
from tests.engine.model.asking import AskingRules
from tests.engine.model.asks import BY_LABEL, MARKING, SERVICE_ASKS, SERVICES, Selecting
from tests.engine.model.leading import LeadRules
from tests.engine.model.machine import TIMES, histories
from tests.engine.model.pods import LabelRules, asks, clear_asks
from tests.engine.model.troubles import OtherWriters
from tests.engine.model.truth import NAMES


class PodMachine(LabelRules, OtherWriters):
    """Pods that ask for themselves, whatever policy the registry has."""

    @initialize(
        annotations=st.lists(clear_asks, min_size=len(NAMES), max_size=len(NAMES)),
        is_wild=st.booleans(),
        slowness=st.sampled_from([0.0, 1.0, 7.0]),
        policy=st.sampled_from([Policy.SYNC] * 5 + [Policy.UPSERT_ONLY, Policy.CREATE_ONLY, Policy.OBSERVE]),
    )
    def start(self, annotations: list[dict[str, str]], is_wild: bool, slowness: float, policy: Policy) -> None:
        self.is_wild, self.slowness = is_wild, slowness
        self.begin()
        for number, (name, wanted) in enumerate(zip(NAMES, annotations, strict=True)):
            self.do(self.truth.make_pod, name, number, annotations=wanted)
        if policy is not Policy.SYNC:  # from now on, over what is registered by then
            self.pass_time(10.0)
            self.run(self.leader.stop())
            self.policy = policy
            self.leader.obey(policy)
            self.run(self.leader.begin({}, leads=True))


class AskingMachine(AskingRules, OtherWriters):
    """Pods, and whoever else asks for them."""

    @initialize(
        annotations=st.lists(asks | st.just({}), min_size=len(NAMES), max_size=len(NAMES)),
        services=st.lists(st.sampled_from(SERVICE_ASKS) | st.just({}), min_size=2, max_size=2),
        selecting=st.sampled_from([(), (BY_LABEL,), (MARKING,), (BY_LABEL, MARKING)]),
        is_wild=st.booleans(),
        slowness=st.sampled_from([0.0, 1.0, 7.0]),
    )
    def start(
        self,
        annotations: list[dict[str, str]],
        services: list[dict[str, str]],
        selecting: tuple[Selecting, ...],
        is_wild: bool,
        slowness: float,
    ) -> None:
        self.is_wild, self.slowness = is_wild, slowness
        for number, (name, wanted) in enumerate(zip(NAMES, annotations, strict=True)):
            self.truth.make_pod(name, number, annotations=wanted)
        for name, wanted in zip(sorted(SERVICES), services, strict=True):
            self.truth.services["default", name] = replace(SERVICES[name], annotations=wanted)
            self.truth.endpoints_follow(name, shared=name == "web")
        for one in selecting:
            self.truth.select(one, one.name)
        self.begin()


class LeadershipMachine(LeadRules, AskingMachine):
    """Two replicas, one of which leads at a time."""


PodMachine.TestCase.settings = histories(80)
AskingMachine.TestCase.settings = histories(80)
LeadershipMachine.TestCase.settings = histories(40)
# A machine that is stopped by a time-out is played again by Hypothesis, which then speaks of inconsistent data.
patiently = pytest.mark.timeout(900 * max(1.0, TIMES))
TestPods = patiently(PodMachine.TestCase)
TestAsking = patiently(AskingMachine.TestCase)
TestLeadership = patiently(LeadershipMachine.TestCase)
