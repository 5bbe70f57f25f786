"""Memory and disk never come apart, and both stay within bounds."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef
from kube_registrar.model.specs import NamespaceSpec
from kube_registrar.registries.embedded import open_registry, storage
from kube_registrar.registries.embedded.database import FILE
from kube_registrar.registries.embedded.history import history
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.registries.embedded.state import State
from kube_registrar.testing.clock import FakeClock


def picture(state: State) -> dict[str, Any]:
    """Return everything that a state holds, as plain values."""
    return {
        "namespaces": {key: (item.record, item.tags) for key, item in state.namespaces.items()},
        "services": {key: (item.record, item.tags, item.revision) for key, item in state.services.items()},
        "instances": {key: item.instances for key, item in state.services.items()},
        "names": sorted(state.by_http_name),
        "operations": state.log,
        "last": (state.sequence, state.revision),
    }


def on_disk(folder: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return picture(storage.load(connection).state)


class Client:
    """Does one thing after the other, drawn by dice; errors of Cloud Map's are part of it."""

    def __init__(self, registry: EmbeddedRegistry, dice: random.Random) -> None:
        self.registry = registry
        self.dice = dice
        self.errors: dict[str, int] = {}
        self.done = 0

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            try:
                await self.step()
                self.done += 1
            except CloudMapError as error:
                self.errors[error.code] = self.errors.get(error.code, 0) + 1

    async def call(self, operation: str, **members: Any) -> Any:
        return await self.registry.execute(operation, validated(operation, members))

    async def step(self) -> None:
        state = self.registry._core.state
        namespace = self.dice.choice([*state.namespaces, "ns-none"])
        service = self.dice.choice([*state.services, "srv-none"])
        arn = f"arn:aws:servicediscovery:us-east-1:000000000000:service/{service}"
        instance = {"ServiceId": service, "InstanceId": f"i-{self.dice.randrange(4)}"}
        name = f"n{self.dice.randrange(4)}"
        kind = self.dice.randrange(100)
        match kind:
            case _ if kind < 9:
                await self.call("CreateHttpNamespace", Name=name)
            case _ if kind < 10:
                await self.call("UpdateHttpNamespace", Id=namespace, Namespace={"Description": name})
            case _ if kind < 11:
                await self.call("DeleteNamespace", Id=namespace)
            case _ if kind < 30:
                await self.call("CreateService", Name=name, NamespaceId=namespace, HealthCheckCustomConfig={})
            case _ if kind < 35:
                await self.call("DeleteService", Id=service)
            case _ if kind < 40:
                await self.call("TagResource", ResourceARN=arn, Tags=[{"Key": name, "Value": name}])
            case _ if kind < 50:
                await self.call("UpdateInstanceCustomHealthStatus", **instance, Status="UNHEALTHY")
            case _ if kind < 80:
                await self.call("RegisterInstance", **instance, Attributes={"n": name})
            case _:
                await self.call("DeregisterInstance", **instance)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("simulate", ["", "operation-delay=1s-5s,late-failure=0.2"])
async def test_memory_and_disk_never_come_apart(tmp_path: Path, seed: int, simulate: str) -> None:
    """Four clients at once, and time passes: whatever they did, what is on the disk is what is in memory."""
    clock = FakeClock()
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        for name in ("n0", "n1"):
            await registry.ensure(NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, name)), "me")
    config = {"data": tmp_path, "simulate": f"seed={seed},custom-health-delay=5s{simulate and ','}{simulate}"}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        clients = [Client(registry, random.Random(seed * 10 + number)) for number in range(4)]
        for _ in range(60):
            await asyncio.gather(*(client.run(4) for client in clients))
            await clock.advance(1)
        state = registry._core.state
    assert picture(state) == on_disk(tmp_path)
    assert sum(client.done for client in clients) > 100
    met = {code for client in clients for code in client.errors}
    assert {"NamespaceNotFound", "ServiceNotFound", "InstanceNotFound", "ResourceInUse"} <= met
    assert "InternalFailure" not in met
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        await clock.advance(60)
    assert {entry.status for entry in history(tmp_path)} <= {"SUCCESS", "FAIL"}


async def test_old_operations_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by age, on the disk too; what is younger stays."""
    monkeypatch.setattr("kube_registrar.registries.embedded.ledger._PRUNE_EVERY", 10)
    monkeypatch.setattr(storage, "OPERATIONS_KEPT", 25)
    clock = FakeClock()
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:

        async def update(times: int) -> None:
            for _ in range(times):
                await registry.execute("UpdateHttpNamespace", {"Id": target, "Namespace": {"Description": "x"}})

        first = (await registry.execute("CreateHttpNamespace", {"Name": "a"}))["OperationId"]
        found = await registry.execute("GetOperation", {"OperationId": first})
        target = found["Operation"]["Targets"]["NAMESPACE"]
        await update(59)
        state = registry._core.state
        assert [item.sequence for item in state.log] == list(range(36, 61))
        with pytest.raises(CloudMapError, match="There is no operation"):
            await registry.execute("GetOperation", {"OperationId": first})
        await clock.advance(storage.OPERATION_SECONDS + 1)
        await update(10)
        assert [item.sequence for item in state.log] == list(range(61, 71))
    assert picture(state) == on_disk(tmp_path)


async def test_an_operation_under_way_is_never_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.registries.embedded.ledger._PRUNE_EVERY", 1)
    monkeypatch.setattr(storage, "OPERATIONS_KEPT", 1)
    clock = FakeClock()
    config = {"data": tmp_path, "simulate": "operation-delay=10s"}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        await registry.execute("CreateHttpNamespace", {"Name": "a"})
        await clock.advance(9)
        later = (await registry.execute("CreateHttpNamespace", {"Name": "b"}))["OperationId"]
        await clock.advance(1)
        await registry.execute("CreateHttpNamespace", {"Name": "c"})
        found = await registry.execute("GetOperation", {"OperationId": later})
        assert found["Operation"]["Status"] == "PENDING"


async def test_the_history_tells_what_was_asked_for_in_its_order(tmp_path: Path) -> None:
    clock = FakeClock(time=1000.0)
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        await registry.execute("CreateHttpNamespace", {"Name": "ns"})
        parent = (await registry.find(None))[0].id
        made = await registry.execute("CreateService", {"Name": "web", "NamespaceId": parent})
        target = {"ServiceId": made["Service"]["Id"], "InstanceId": "a"}
        await clock.advance(1)
        await registry.execute("RegisterInstance", {**target, "Attributes": {"k": "1"}})
        await clock.advance(1)
        await registry.execute("RegisterInstance", {**target, "Attributes": {"k": "2"}})
        await registry.execute("DeregisterInstance", target)
        # Beside the process that has it open.
        entries = await asyncio.to_thread(history, tmp_path)
    assert [(each.operation, each.service, each.instance_id, each.attributes, each.created) for each in entries] == [
        ("CREATE_NAMESPACE", "ns", "", {}, 1000.0),
        ("REGISTER_INSTANCE", "ns/web", "a", {"k": "1"}, 1001.0),
        ("REGISTER_INSTANCE", "ns/web", "a", {"k": "2"}, 1002.0),
        ("DEREGISTER_INSTANCE", "ns/web", "a", {}, 1002.0),
    ]
    assert {each.status for each in entries} == {"SUCCESS"}
    assert history(tmp_path) == entries
