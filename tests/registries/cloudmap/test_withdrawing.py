"""A change that waits to be sent can be taken back; one that was sent cannot."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Withdrawn
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId
from kube_registrar.registries.cloudmap.registry import CloudMapRegistry
from kube_registrar.registries.cloudmap.sweep import Sweep
from kube_registrar.registries.limits import Rate
from kube_registrar.testing.builders import service_ref
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.contract.base import deregister, register
from tests.registries.cloudmap.account import Account, AccountClient, error

SERVICE = service_ref()


Opened = tuple[CloudMapRegistry, Account, FakeClock]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Open a registry on an account of its own, with the usual rates."""
    clock = FakeClock()
    account = Account(clock)
    client = AccountClient(account)
    async with aclosing(Sweep(client, clock)) as sweeping, client.limiter:
        yield CloudMapRegistry(client, DEFAULT_REGISTRY, clock, sweeping, poll_seconds=0.1), account, clock


async def collected(registry: CloudMapRegistry, changes: Sequence[Change]) -> dict[str, Outcome]:
    return {each.change.instance_id: each async for each in registry.apply(SERVICE, changes)}


async def test_what_waits_for_its_turn_is_taken_back_and_never_sent() -> None:
    clock = FakeClock()
    account = Account(clock)
    client = AccountClient(account, {"RegisterInstance": Rate(1, 1)})
    async with aclosing(Sweep(client, clock)) as sweeping, client.limiter:
        registry = CloudMapRegistry(client, DEFAULT_REGISTRY, clock, sweeping, poll_seconds=0.1)
        applying = asyncio.ensure_future(collected(registry, [register(name) for name in "abcd"]))
        await clock.advance(0.5)
        registry.withdraw(SERVICE, [InstanceId("a"), InstanceId("c"), InstanceId("d"), InstanceId("nobody")])
        found = await clock.run(applying)
        assert {name: type(each.error) for name, each in found.items()} == {
            "a": type(None),
            "b": type(None),
            "c": Withdrawn,
            "d": Withdrawn,
        }
        assert [each["InstanceId"] for each in account.asked("RegisterInstance")] == ["a", "b"]
        # Nothing is in doubt: what was never sent cannot land.
        account.always["DeregisterInstance"] = error("InstanceNotFound")
        found = await clock.run(collected(registry, [deregister("c")]))
        assert found["c"].error is None


async def test_what_was_throttled_was_not_sent_and_can_be_taken_back_again(opened: Opened) -> None:
    registry, account, clock = opened
    account.always["RegisterInstance"] = error("ThrottlingException")
    client = registry._client
    client.limiter.throttled(await client.limiter.acquire("RegisterInstance"))  # no burst is left: each try waits
    applying = asyncio.ensure_future(collected(registry, [register("a"), register("b")]))
    while len(account.asked("RegisterInstance")) < 2:
        await clock.advance(0.01)
    await clock.advance(0.021)  # both were answered, and wait
    sent = len(account.asked("RegisterInstance"))
    registry.withdraw(SERVICE, [InstanceId("a")])
    del account.always["RegisterInstance"]
    found = await clock.run(applying)
    assert {name: type(each.error) for name, each in found.items()} == {"a": Withdrawn, "b": type(None)}
    assert [each["InstanceId"] for each in account.asked("RegisterInstance")][sent:] == ["b"]
    account.always["DeregisterInstance"] = error("InstanceNotFound")
    assert (await clock.run(collected(registry, [deregister("a")])))["a"].error is None, "nothing is in doubt"


async def test_what_is_taken_back_on_its_way_ends_there_if_it_is_throttled(opened: Opened) -> None:
    registry, account, clock = opened
    account.first["RegisterInstance"] = [error("ThrottlingException")]
    applying = asyncio.ensure_future(collected(registry, [register("a")]))
    await clock.advance(0.001)
    while not registry._passages[SERVICE, InstanceId("a")].is_sent:
        await clock.advance(0.001)
    registry.withdraw(SERVICE, [InstanceId("a")])
    found = await clock.run(applying)
    assert isinstance(found["a"].error, Withdrawn)
    assert len(account.asked("RegisterInstance")) == 1


async def test_what_is_taken_back_on_its_way_and_lands_is_confirmed(opened: Opened) -> None:
    registry, account, clock = opened
    applying = asyncio.ensure_future(collected(registry, [register("a")]))
    while not account.asked("RegisterInstance"):
        await clock.advance(0.001)
    registry.withdraw(SERVICE, [InstanceId("a")])
    assert (await clock.run(applying))["a"].error is None


async def test_what_waits_for_somebody_elses_operation_can_be_taken_back(opened: Opened) -> None:
    registry, account, clock = opened
    account.takes = 60.0
    account.log.append(("theirs", "a", account.now()))
    account.first["RegisterInstance"] = [error("DuplicateRequest", DuplicateOperationId="theirs")]
    applying = asyncio.ensure_future(collected(registry, [register("a")]))
    await clock.advance(5.0)
    registry.withdraw(SERVICE, [InstanceId("a")])
    found = await clock.run(applying)
    assert isinstance(found["a"].error, Withdrawn)
    await clock.advance(120.0)
    assert len(account.asked("RegisterInstance")) == 1


async def test_closing_ends_what_was_taken_back_on_its_way(opened: Opened) -> None:
    registry, account, clock = opened
    account.takes = 60.0
    applying = asyncio.ensure_future(collected(registry, [register("a")]))
    while not account.asked("RegisterInstance"):
        await clock.advance(0.001)
    registry.withdraw(SERVICE, [InstanceId("a")])
    await clock.advance(5.0)
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
