"""Whatever wants to go, and whenever: within any minute no more go by themselves than may."""

from collections.abc import Mapping
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.changes import Deregister
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, ServiceRef
from kube_registrar.planning.brake import LEAST, WINDOW_SECONDS
from kube_registrar.planning.evidence import Cause
from kube_registrar.planning.plan import Plan
from kube_registrar.sync.brake import Brake
from kube_registrar.sync.evidence import EvidenceOfPods
from kube_registrar.sync.observed import ObservedState
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.second_list import SecondLists
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from tests.engine.harness import FLASK, OTHER, Notebook

steps = st.lists(
    st.tuples(
        st.sampled_from([FLASK, OTHER]),
        st.integers(1, 12),
        st.sampled_from([Cause.MISSING, Cause.CONFIGURATION, Cause.UNREACHABLE, Cause.NOT_READY]),
        st.sampled_from([0.0, 0.3, 0.9, 1.1, 5.0, 20.0, 61.0]),
    ),
    min_size=1,
    max_size=25,
)


class NoList:
    """A second list that never comes."""

    def of(self, *_: object) -> None:
        return None

    def again_at(self, _: str) -> float:
        return 0.0


class Table:
    """A brake, two services, and what has gone from them of itself."""

    def __init__(self, sizes: Mapping[ServiceRef, int]) -> None:
        self.clock = FakeClock()
        self.observed = ObservedState(builders.CLUSTER_UID)
        notebook = Notebook()
        second = cast("SecondLists", NoList())
        evidence = cast("EvidenceOfPods", None)  # nobody is asked before a second list
        self.brake = Brake(
            DEFAULT_REGISTRY,
            self.observed,
            evidence,
            second,
            Reporter(notebook, notebook),
            self.clock,
            lambda: False,
            lambda _namespace: False,
        )
        self.going: dict[ServiceRef, dict[InstanceId, Cause]] = {service: {} for service in sizes}
        self.gone: list[tuple[float, ServiceRef, Cause]] = []
        self.sizes: list[tuple[float, dict[ServiceRef, int]]] = []
        for service, size in sizes.items():
            state = self.observed.of(service)
            made = [builders.registration(f"{service.name}-{number}", service).instance for number in range(size)]
            state.end_list(made, 0.0, 0.0)
        self.note()

    def note(self) -> None:
        self.sizes.append((self.clock.monotonic(), dict(self.observed.whereabouts.present)))

    def more(self, service: ServiceRef, count: int, cause: Cause) -> None:
        left = [each for each in self.observed.of(service).instances if each not in self.going[service]]
        self.going[service] |= dict.fromkeys(left[:count], cause)
        self.plan(service)

    def plan(self, service: ServiceRef) -> None:
        state, going = self.observed.of(service), self.going[service]
        origin = builders.origin()
        changes = [Deregister(each, origin, "why") for each in going]
        made, _ = self.brake.restrain(Plan(changes, causes=dict(going)), state)
        now = self.clock.monotonic()
        for change in made.changes:
            cause = going.pop(change.instance_id)
            if cause is not Cause.NOT_READY:
                self.gone.append((now, service, cause))
            left: list[Instance] = [each for each in state.instances.values() if each.id != change.instance_id]
            state.begin_list()
            state.end_list(left, now, now)
        self.note()

    def check(self) -> None:
        for moment, _, _ in self.gone:
            began = moment - WINDOW_SECONDS
            before = [sizes for at, sizes in self.sizes if at <= began] or [self.sizes[0][1]]
            here = [service for at, service, _ in self.gone if began < at <= moment]
            for count, size in (
                *((here.count(service), before[-1].get(service, 0)) for service in (FLASK, OTHER)),
                (len(here), sum(before[-1].values())),
            ):
                assert count <= max(LEAST, size * 3 // 10)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), steps)
def test_within_any_minute_no_more_than_five_or_thirty_per_cent_go_by_themselves(
    flask: int, other: int, played: list[tuple[ServiceRef, int, Cause, float]]
) -> None:
    table = Table({FLASK: flask, OTHER: other})
    total = 0.0
    for service, count, cause, seconds in played:
        if total + seconds > 290.0:  # then what is held is let go for having been so for five minutes
            break
        total += seconds
        table.clock._now += seconds
        table.more(service, count, cause)
        for each in (FLASK, OTHER):
            table.plan(each)
        table.check()
