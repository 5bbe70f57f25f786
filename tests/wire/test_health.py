"""Custom health: set at first, changed after a while, forgotten by a new registration."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.waiting import wait_until
from tests.wire.harness import Server, error_of, namespace, register, running, service


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def slow(tmp_path: Path, clock: FakeClock) -> Iterator[Server]:
    """Run a registry that waits 30 seconds, as Cloud Map does, by a clock that stands still."""
    with running(tmp_path / "slow", clock=clock) as server:
        yield server


@pytest.fixture
def checked(slow: Server) -> tuple[Any, str]:
    """Give a client and a service with a custom health check and one instance."""
    api = slow.client()
    identifier = service(api, namespace(api), HealthCheckCustomConfig={"FailureThreshold": 1})
    register(api, identifier)
    return api, identifier


def status(api: Any, identifier: str) -> str:
    answer: str = api.get_instances_health_status(ServiceId=identifier, Instances=["i-1"])["Status"]["i-1"]
    return answer


def wish(api: Any, identifier: str, value: str) -> None:
    api.update_instance_custom_health_status(ServiceId=identifier, InstanceId="i-1", Status=value)


def becomes(api: Any, identifier: str, value: str) -> None:
    """Wait until the status is this one: the clock has struck, the writer may still be at it."""
    wait_until(lambda: status(api, identifier) == value, lambda: f"status {value}", seconds=10)


def test_the_first_status_is_the_one_asked_for_or_healthy(api: Any) -> None:
    identifier = service(api, namespace(api), HealthCheckCustomConfig={})
    register(api, identifier, "a")
    register(api, identifier, "b", AWS_INIT_HEALTH_STATUS="UNHEALTHY")
    register(api, identifier, "c", AWS_INIT_HEALTH_STATUS="HEALTHY")
    answer = api.get_instances_health_status(ServiceId=identifier)
    assert answer["Status"] == {"a": "HEALTHY", "b": "UNHEALTHY", "c": "HEALTHY"}
    assert error_of(register, api=api, service_id=identifier, AWS_INIT_HEALTH_STATUS="UNKNOWN") == (
        "InvalidInput",
        "Attributes[AWS_INIT_HEALTH_STATUS] is 'UNKNOWN': HEALTHY or UNHEALTHY is allowed",
    )


def test_an_update_takes_effect_after_thirty_seconds(slow: Server, clock: FakeClock, checked: tuple[Any, str]) -> None:
    wish(*checked, "UNHEALTHY")
    slow.run(clock.advance(29.9))
    assert status(*checked) == "HEALTHY"
    slow.run(clock.advance(0.2))
    becomes(*checked, "UNHEALTHY")


def test_the_same_value_again_hastens_and_delays_nothing(
    slow: Server, clock: FakeClock, checked: tuple[Any, str]
) -> None:
    wish(*checked, "UNHEALTHY")
    slow.run(clock.advance(20))
    wish(*checked, "UNHEALTHY")
    slow.run(clock.advance(9))
    assert status(*checked) == "HEALTHY"
    slow.run(clock.advance(1.1))
    becomes(*checked, "UNHEALTHY")


def test_an_update_that_is_taken_back_in_time_never_happened(
    slow: Server, clock: FakeClock, checked: tuple[Any, str]
) -> None:
    wish(*checked, "UNHEALTHY")
    slow.run(clock.advance(20))
    wish(*checked, "HEALTHY")
    slow.run(clock.advance(20))
    wish(*checked, "UNHEALTHY")
    slow.run(clock.advance(20))
    assert status(*checked) == "HEALTHY"
    slow.run(clock.advance(10.1))
    becomes(*checked, "UNHEALTHY")


def test_a_new_registration_begins_anew(slow: Server, clock: FakeClock, checked: tuple[Any, str]) -> None:
    api, identifier = checked
    wish(api, identifier, "UNHEALTHY")
    register(api, identifier, stage="dev")
    slow.run(clock.advance(60))
    assert status(api, identifier) == "HEALTHY"


def test_only_a_custom_check_takes_a_status(api: Any) -> None:
    identifier = service(api, namespace(api))
    register(api, identifier)
    call = api.update_instance_custom_health_status
    assert error_of(call, ServiceId=identifier, InstanceId="i-1", Status="HEALTHY") == (
        "CustomHealthNotFound",
        "Service 'flask-app' has no custom health check: only a service with HealthCheckCustomConfig takes a status",
    )


def test_what_is_not_there_has_no_status(api: Any) -> None:
    identifier = service(api, namespace(api), HealthCheckCustomConfig={})
    call = api.update_instance_custom_health_status
    assert error_of(call, ServiceId=identifier, InstanceId="i-1", Status="HEALTHY")[0] == "InstanceNotFound"
    assert error_of(call, ServiceId="srv-none", InstanceId="i-1", Status="HEALTHY")[0] == "ServiceNotFound"
    register(api, identifier)
    many = api.get_instances_health_status
    assert error_of(many, ServiceId=identifier, Instances=["i-1", "i-2"])[0] == "InstanceNotFound"


def test_statuses_are_paged_by_hand(api: Any) -> None:
    identifier = service(api, namespace(api))
    for name in "abc":
        register(api, identifier, name)
    first = api.get_instances_health_status(ServiceId=identifier, MaxResults=2)
    second = api.get_instances_health_status(ServiceId=identifier, MaxResults=2, NextToken=first["NextToken"])
    assert (list(first["Status"]), list(second["Status"])) == (["a", "b"], ["c"])
    assert "NextToken" not in second
    chosen = api.get_instances_health_status(ServiceId=identifier, Instances=["c", "a", "c"])
    assert chosen["Status"] == {"a": "UNKNOWN", "c": "UNKNOWN"}
