"""How simulated troubles are written, and what is said when they are written wrongly."""

from random import Random

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.simulation import KEYS, Rate, Simulation, Span, simulation

KNOWN = ", ".join(KEYS)


def test_every_switch_may_be_given() -> None:
    text = (
        "latency=20ms, operation-delay=0.3s-1s,late-failure=0.1,throttle=50/100,throttle.RegisterInstance=5/10,"
        "faults=0.2,lost-replies=0.05,hangs=0.01,custom-health-delay=1m,seed=7,throttle.CreateService+DeleteService=1/2"
    )
    assert simulation(text) == Simulation(
        latency=Span(0.02, 0.02),
        operation_delay=Span(0.3, 1.0),
        late_failure=0.1,
        throttle={"": Rate(50, 100), "RegisterInstance": Rate(5, 10), "CreateService+DeleteService": Rate(1, 2)},
        faults=0.2,
        lost_replies=0.05,
        hangs=0.01,
        custom_health_delay=60.0,
        seed=7,
    )


def test_nothing_is_no_trouble() -> None:
    assert simulation("") == simulation({}) == Simulation()


def test_a_mapping_has_the_same_keys() -> None:
    wanted: dict[str, object] = {"faults": 0.2, "latency": "20ms", "seed": 7}
    assert simulation(wanted) == simulation("faults=0.2,latency=20ms,seed=7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency", "simulate has 'latency': write key=value, such as latency=20ms"),
        ("faults=0.1,faults=0.2", "simulate has faults twice: give it once"),
        ("latncy=1s", f"simulate has the unknown key 'latncy': known are {KNOWN}; did you mean latency?"),
        ("xyz=1", f"simulate has the unknown key 'xyz': known are {KNOWN}"),
        ("latency=20", "simulate has latency=20: write a duration such as 20ms, or two such as 0.3s-1s"),
        (
            "operation-delay=1s-",
            "simulate has operation-delay=1s-: write a duration such as 20ms, or two such as 0.3s-1s",
        ),
        (
            "operation-delay=2s-1s",
            "simulate has operation-delay=2s-1s: the first duration must not be the longer one",
        ),
        ("custom-health-delay=now", "simulate has custom-health-delay=now: write a duration, such as 20ms, 0.3s or 1m"),
        ("faults=1.1", "simulate has faults=1.1: write a chance from 0 to 1, such as 0.1"),
        ("late-failure=-1", "simulate has late-failure=-1: write a chance from 0 to 1, such as 0.1"),
        ("lost-replies=nan", "simulate has lost-replies=nan: write a chance from 0 to 1, such as 0.1"),
        (
            "throttle=50",
            "simulate has throttle=50: write per-second/burst, such as 50/100, the burst at least 1",
        ),
        (
            "throttle=0/5",
            "simulate has throttle=0/5: write per-second/burst, such as 50/100, the burst at least 1",
        ),
        (
            "throttle.RegisterInstances=1/1",
            "simulate has throttle.RegisterInstances: no operation has that name; RegisterInstance is one",
        ),
        (
            "throttle.RegisterInstance+Deregister=1/1",
            "simulate has throttle.RegisterInstance+Deregister: no operation has that name; DeregisterInstance is one",
        ),
        ("seed=1.5", "simulate has seed=1.5: write a whole number"),
    ],
)
def test_a_switch_that_is_written_wrongly_is_named(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        simulation(text)
    assert str(caught.value) == message


def test_a_rate_of_an_operation_goes_before_that_of_all() -> None:
    both = simulation("throttle=50/100,throttle.GetOperation=1/2")
    assert (both.rate("GetOperation"), both.rate("ListServices")) == (Rate(1, 2), Rate(50, 100))
    assert simulation("throttle.GetOperation=1/2").rate("ListServices") is None


def test_a_span_is_drawn_between_its_ends() -> None:
    drawn = [Span(1.0, 2.0).draw(Random(1)) for _ in range(2)]
    assert drawn[0] == drawn[1] != 1.0
    assert 1.0 <= drawn[0] <= 2.0
    assert Span(1.0, 1.0).draw(Random(1)) == 1.0
