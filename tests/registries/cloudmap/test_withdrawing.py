"""A change that waits to be sent can be taken back; one that was sent cannot."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

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
