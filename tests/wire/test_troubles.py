"""Simulated troubles at the wire."""

import asyncio
import http.client
from pathlib import Path

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.simulation import simulation
from kube_registrar.server.cloudmap.simulation import Troubles
from kube_registrar.testing.clock import FakeClock
from tests.wire.harness import namespace, register, running, service


async def codes(troubles: Troubles, operation: str, times: int) -> list[str]:
    """Return how an operation fares, again and again."""
    found = []
    for _ in range(times):
        try:
            await troubles.before(operation)
            found.append("")
        except CloudMapError as error:
            found.append(error.code)
    return found


async def test_a_bucket_is_full_at_first_and_fills_again() -> None:
    clock = FakeClock()
    troubles = Troubles(simulation("throttle.RegisterInstance=2/3"), clock)
    throttled = "ThrottlingException"
    assert await codes(troubles, "RegisterInstance", 5) == ["", "", "", throttled, throttled]
    assert await codes(troubles, "DeregisterInstance", 5) == [""] * 5
    await clock.advance(0.5)
    assert await codes(troubles, "RegisterInstance", 2) == ["", throttled]
    await clock.advance(60)
    assert await codes(troubles, "RegisterInstance", 4) == ["", "", "", throttled]


async def test_each_operation_has_a_bucket_of_its_own() -> None:
    troubles = Troubles(simulation("throttle=1/1"), FakeClock())
    for operation in ("RegisterInstance", "GetOperation"):
        assert await codes(troubles, operation, 2) == ["", "ThrottlingException"]


async def test_operations_that_are_joined_share_a_bucket() -> None:
    switches = "throttle=1/1,throttle.RegisterInstance+DeregisterInstance=1/3"
    troubles = Troubles(simulation(switches), FakeClock())
    assert await codes(troubles, "RegisterInstance", 2) == ["", ""]
    assert await codes(troubles, "DeregisterInstance", 2) == ["", "ThrottlingException"]
    assert await codes(troubles, "GetOperation", 2) == ["", "ThrottlingException"]


async def test_an_answer_that_hangs_outlasts_the_time_out_of_the_sdk() -> None:
    clock = FakeClock()
    hanging = asyncio.ensure_future(Troubles(simulation("hangs=1"), clock).hang())
    await clock.advance(61.0)
    assert not hanging.done()
    await clock.advance(60.0)
    assert hanging.done()


async def test_discoveries_have_the_code_of_the_service_model() -> None:
    troubles = Troubles(simulation("throttle=1/1"), FakeClock())
    for operation in ("DiscoverInstances", "DiscoverInstancesRevision"):
        assert await codes(troubles, operation, 2) == ["", "RequestLimitExceeded"]


async def test_a_seed_makes_the_dice_repeatable() -> None:
    runs = [await codes(Troubles(simulation(f"faults=0.5,seed={seed}"), FakeClock()), "x", 64) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {"", "InternalFailure"}


async def test_latency_comes_before_all_else() -> None:
    clock = FakeClock()
    waiting = asyncio.ensure_future(Troubles(simulation("latency=20ms,faults=1"), clock).before("GetService"))
    await clock.advance(0.019)
    assert not waiting.done()
    await clock.advance(0.002)
    assert isinstance(waiting.exception(), CloudMapError)


def test_throttles_have_their_status_and_header(tmp_path: Path) -> None:
    with running(tmp_path, "throttle=0.001/1") as server:
        server.call("ListServices")
        answer = server.call("ListServices")
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ThrottlingException")
        assert answer.body == {"__type": "ThrottlingException", "message": "Rate exceeded (simulated)"}
        names = {"NamespaceName": "a", "ServiceName": "b"}
        server.call("DiscoverInstances", **names)
        answer = server.call("DiscoverInstances", **names)
        assert (answer.status, answer.body["__type"]) == (429, "RequestLimitExceeded")


def test_a_fault_has_done_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "faults=1") as server:
        answer = server.call("CreateHttpNamespace", Name="a")
        assert (answer.status, answer.body["__type"]) == (500, "InternalFailure")
    with running(tmp_path) as server:
        assert server.call("ListNamespaces").body == {"Namespaces": []}


def test_a_lost_reply_has_done_it(tmp_path: Path) -> None:
    with running(tmp_path, "lost-replies=1") as server, pytest.raises((ConnectionError, http.client.HTTPException)):
        server.call("CreateHttpNamespace", Name="a")
    with running(tmp_path) as server:
        assert [each["Name"] for each in server.call("ListNamespaces").body["Namespaces"]] == ["a"]


def test_a_part_of_all_replies_is_lost(tmp_path: Path) -> None:
    with running(tmp_path, "lost-replies=0.5,seed=3") as server:
        lost = 0
        for _ in range(40):
            try:
                server.call("ListServices")
            except (ConnectionError, http.client.HTTPException):
                lost += 1
        assert 5 < lost < 35


def test_the_default_of_a_registry_has_no_troubles(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        api = server.client()
        identifier = service(api, namespace(api))
        for number in range(50):
            register(api, identifier, f"i-{number}")
        assert len(api.list_instances(ServiceId=identifier)["Instances"]) == 50
