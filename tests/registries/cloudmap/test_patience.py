"""How long the backend waits, and who goes first. Time passes here as soon as somebody sleeps."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from kube_registrar.model.changes import Change, Outcome, Urgency
from kube_registrar.model.errors import Retryable, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import client, open_registry
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.registry import CloudMapRegistry
from kube_registrar.registries.cloudmap.sweep import Sweep
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.builders import service_ref
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.contract.base import deregister, register
from tests.registries.cloudmap.account import Account, AccountClient
from tests.registries.cloudmap.scripted import Drop, Error, Script

SERVICE = service_ref()


class JumpingClock(SystemClock):
    """Time passes by sleeping alone, so that a slow machine changes no figure."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += max(seconds, 0.0)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def registry(script: Script, clock: JumpingClock) -> AsyncIterator[Registry]:
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": {"RegisterInstance": "1/1"}}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        yield registry


async def outcomes(registry: Registry, *changes: Change) -> Sequence[Outcome]:
    return [each async for each in registry.apply(SERVICE, changes)]


async def test_a_throttled_call_is_made_again_and_slower(
    registry: Registry, script: Script, clock: JumpingClock
) -> None:
    throttle = Error("ThrottlingException")
    script.on("RegisterInstance", throttle, throttle, throttle, {"OperationId": "op-register"})
    [outcome] = await outcomes(registry, register("a"))
    assert outcome.error is None
    assert len(script.asked("RegisterInstance")) == 4
    # For one token at 1 a second halved once, twice, three times; each time it recovers a little meanwhile.
    assert 8 < clock.slept < 2 + 4 + 8


async def test_a_registry_that_throttles_for_a_minute_is_left_to_the_engine(
    registry: Registry, script: Script, clock: JumpingClock
) -> None:
    script.on("RegisterInstance", Error("ThrottlingException"))
    began = clock.monotonic()
    [outcome] = await outcomes(registry, register("a"))
    assert isinstance(outcome.error, Retryable)
    assert str(outcome.error) == (
        "registering a in default:test-namespace/flask-app: Cloud Map keeps throttling RegisterInstance; "
        "lower its entry in the option rates"
    )
    assert clock.monotonic() - began >= 60
    assert clock.slept < 90
    assert len(script.asked("RegisterInstance")) < 20
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    [outcome] = await outcomes(registry, deregister("a"))
    assert outcome.error is None, "what was throttled was not done"


async def test_an_operation_that_never_ends_is_doubtful_after_five_minutes(
    registry: Registry, script: Script, clock: JumpingClock
) -> None:
    script.on("GetOperation", {"Operation": {"Status": "PENDING"}})
    [outcome] = await outcomes(registry, register("a"))
    assert isinstance(outcome.error, Unreachable)
    assert outcome.error.doubtful
    assert "operation op-register is not terminal after 300 seconds" in str(outcome.error)
    assert 300 <= clock.slept < 310
    assert len(script.asked("GetOperation")) < 75, "the interval grows"


async def test_a_doubt_ends_after_five_minutes(registry: Registry, script: Script, clock: JumpingClock) -> None:
    script.on("RegisterInstance", Drop)
    await outcomes(registry, register("a"))
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    await clock.sleep(290.0)
    [early] = await outcomes(registry, deregister("a"))
    assert early.error is not None
    await clock.sleep(10.0)
    [late] = await outcomes(registry, deregister("a"))
    assert late.error is None


async def test_urgent_changes_are_sent_first(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, send = list[object](), Client._send

    async def recorded(self: Client, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        if operation == "RegisterInstance":
            sent.append(request["InstanceId"])
        return await send(self, operation, request)

    monkeypatch.setattr(Client, "_send", recorded)
    await outcomes(registry, register("takes-the-first-token"))
    urgencies = [Urgency.REPAIR, Urgency.REGISTER, Urgency.EVICT, Urgency.REPAIR, Urgency.REGISTER]
    changes = [
        dataclasses.replace(register(f"{urgency.name}-{n}"), urgency=urgency) for n, urgency in enumerate(urgencies)
    ]
    await outcomes(registry, *changes)
    assert sent[1:] == ["EVICT-2", "REGISTER-1", "REGISTER-4", "REPAIR-0", "REPAIR-3"]


@pytest.mark.parametrize("shared", [True, False])
async def test_registering_and_deregistering_share_a_rate_unless_told_otherwise(
    script: Script, clock: JumpingClock, *, shared: bool
) -> None:
    rates = {"RegisterInstance": "1/1", "DeregisterInstance": "1/1"}
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": rates, "sharedWrites": shared}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        await outcomes(registry, register("a"))
        before = clock.slept
        script.on("DeregisterInstance", Error("InstanceNotFound"))
        await outcomes(registry, deregister("b"))
    assert (clock.slept - before > 0.5) is shared


async def test_where_threads_are_scarce_the_urgent_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "THREADS", 1)
    time = FakeClock()
    account = Account(time)
    scarce = AccountClient(account)
    async with aclosing(Sweep(scarce, time)) as sweeping, scarce.limiter:
        registry = CloudMapRegistry(scarce, DEFAULT_REGISTRY, time, sweeping, poll_seconds=0.1)
        await time.run(outcomes(registry, register("first")))
        account.requests.clear()
        await time.run(outcomes(registry, *(register(name) for name in "abc"), deregister("dead")))
    written = [request["InstanceId"] for _, request in account.requests if "InstanceId" in request]
    assert written == ["a", "dead", "b", "c"]


class Hanging(AccountClient):
    """Everything that is read of instances hangs."""

    async def _send(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        if operation == "ListInstances":
            await asyncio.Event().wait()
        return await super()._send(operation, request)


async def test_reads_that_hang_leave_threads_to_what_is_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "THREADS", 3)
    monkeypatch.setattr(client, "READERS", 2)
    time = FakeClock()
    account = Account(time)
    scarce = Hanging(account)
    async with aclosing(Sweep(scarce, time)) as sweeping, scarce.limiter:
        registry = CloudMapRegistry(scarce, DEFAULT_REGISTRY, time, sweeping, poll_seconds=0.1)
        await time.run(registry.find(SERVICE.namespace))
        reads = [asyncio.ensure_future(registry.instances(SERVICE)) for _ in range(5)]
        writes = asyncio.ensure_future(outcomes(registry, *(register(name) for name in "abc")))
        await time.advance(1.0)
        assert [request["InstanceId"] for request in account.asked("RegisterInstance")] == ["a", "b", "c"]
        for task in (*reads, writes):
            task.cancel()
        await asyncio.gather(*reads, writes, return_exceptions=True)
