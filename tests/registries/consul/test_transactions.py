"""Changes go in bounded transactions, with an outcome each; writes of unknown end never land behind our back."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.errors import NotFound, RegistryError, Unreachable
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.consul import changes as consul_changes
from kube_registrar.registries.consul import client as consul_client
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import apply, deregister, listed, must, register, set_health
from tests.registries.consul.ground import CREATOR, made, new_consul, opened

pytestmark = pytest.mark.extended

Sent = list[Sequence[Mapping[str, Any]]]


@pytest.fixture
def sent(registry: ConsulRegistry, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """The operations of every transaction that is sent."""
    seen: Sent = []
    transact = consul_client.Client.transact

    async def noting(self: consul_client.Client, operations: Any, about: str) -> Any:
        seen.append(operations)
        return await transact(self, operations, about)

    monkeypatch.setattr(consul_client.Client, "transact", noting)
    return seen


async def test_a_hundred_changes_are_a_few_transactions_of_64_at_most(
    registry: ConsulRegistry, fresh: str, sent: Sent
) -> None:
    service = await made(registry, f"{fresh}/web", custom_health=True)
    sent.clear()
    await must(registry, service, *(register(f"i-{number}") for number in range(100)))
    assert len(sent) == 4
    assert max(map(len, sent)) <= 64
    sent.clear()
    await must(registry, service, *(deregister(f"i-{number}") for number in range(31)))
    assert [len(operations) for operations in sent] == [32]


async def test_the_changes_that_consul_does_not_take_are_sent_no_more_and_the_others_once_more(
    registry: ConsulRegistry, fresh: str, sent: Sent
) -> None:
    service = await made(registry, f"{fresh}/web", custom_health=True)
    sent.clear()
    bad = [set_health("none-1", Health.HEALTHY), set_health("none-2", Health.UNHEALTHY)]
    outcomes = await apply(registry, service, register("a"), *bad, register("b"))
    assert {str(name) for name, each in outcomes.items() if each.error is None} == {"a", "b"}
    assert all(isinstance(outcomes[each.instance_id].error, NotFound) for each in bad)
    assert len(sent) == 2


async def test_a_transaction_that_would_be_too_large_is_two(
    registry: ConsulRegistry, fresh: str, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await made(registry, f"{fresh}/web")
    monkeypatch.setattr(consul_changes, "MOST_BYTES", 20_000)
    sent.clear()
    large = {f"key-{number}": "v" * 500 for number in range(10)}
    await must(registry, service, *(register(f"i-{number}", large) for number in range(8)))
    assert len(sent) > 2
    assert len(await listed(registry, service)) == 8


async def test_a_record_that_somebody_wrote_meanwhile_is_read_anew(consul: Consul, fresh: str) -> None:
    async with opened(consul) as ours, opened(consul) as theirs:
        service = await made(ours, f"{fresh}/web")
        await must(ours, service, register("a"))
        found = next(each for each in await theirs.find(service.namespace) if each.spec.ref == service)
        await theirs.ensure(found.spec, CREATOR)
        await theirs._resources.renew(service, "the test")
        await must(ours, service, register("b"), deregister("a"))
        assert set(await listed(ours, service)) == {"b"}
        await must(ours, service, deregister("b"))
        await theirs.remove(service)
        outcomes = await apply(ours, service, register("c"), deregister("b"))
        assert isinstance(outcomes[InstanceId("c")].error, NotFound)
        assert outcomes[InstanceId("b")].error is None


async def test_a_write_whose_end_nobody_heard_does_not_land_after_the_next_one(
    tmp_path: Path, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server hangs (SIGSTOP) with the register in its socket, goes on, and carries it out late, or never."""
    monkeypatch.setattr(consul_client, "WRITE_TIMEOUT_SECONDS", 0.3)
    with new_consul(tmp_path) as consul:
        async with opened(consul) as registry:
            service = await made(registry, f"{fresh}/web")
            await must(registry, service, register("first"))
            consul.child.signal(signal.SIGSTOP)
            outcome = (await apply(registry, service, register("late")))[InstanceId("late")]
            assert isinstance(outcome.error, Unreachable)
            assert outcome.error.doubtful
            consul.child.signal(signal.SIGCONT)
            monkeypatch.setattr(consul_client, "WRITE_TIMEOUT_SECONDS", 3.0)
            await done(registry, service, "late")
            index = registry._shelf.known(service)
            assert index is not None
            assert index.record.epoch == 1
            assert set(await listed(registry, service)) == {"first"}


async def done(registry: ConsulRegistry, service: Any, name: str) -> None:
    """Deregister until that is confirmed."""
    for _ in range(100):
        if (await apply(registry, service, deregister(name)))[InstanceId(name)].error is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the deregistration was never confirmed")


async def test_a_server_that_was_killed_is_said_and_nothing_is_lost(tmp_path: Path, fresh: str) -> None:
    with new_consul(tmp_path) as consul:
        async with opened(consul) as registry:
            service = await made(registry, f"{fresh}/web", custom_health=True)
            await must(registry, service, register("a"), register("b"))
            await must(registry, service, set_health("b", Health.UNHEALTHY))
            consul.kill()
            with pytest.raises(Unreachable, match="no connection to Consul at http://127"):
                await registry.instances(service)
            outcomes = await apply(registry, service, register("c"), deregister("a"))
            assert all(isinstance(each.error, Unreachable) for each in outcomes.values())
            consul.start()
            assert set(await listed(registry, service)) == {"a", "b"}
            await must(registry, service, register("c"), deregister("a"))
            found = {each.id: each.health for each in await registry.instances(service)}
            assert found == {"b": Health.UNHEALTHY, "c": Health.HEALTHY}


async def test_without_a_leader_nothing_is_answered_and_that_is_said(tmp_path: Path) -> None:
    """A quorum that is lost: two servers are expected, and one is there."""
    consul = new_consul(tmp_path, settings={"bootstrap_expect": 2, "performance": {"rpc_hold_timeout": "1s"}})
    try:
        consul.launch()
        async with opened(consul) as registry:
            error: RegistryError | None = None
            for _ in range(200):
                with pytest.raises(RegistryError) as raised:
                    await registry.find(None)
                error = raised.value
                if "No cluster leader" in str(error):
                    break
                await asyncio.sleep(0.05)
            assert isinstance(error, Unreachable)
            assert "No cluster leader" in str(error)
    finally:
        consul.kill()
