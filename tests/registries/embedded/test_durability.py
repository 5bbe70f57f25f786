"""What was answered is kept: over a restart, over kill -9, over a disk that is full."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.embedded.history import history
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.testing.clock import FakeClock
from tests.wire.harness import Server

SERVER = """
import asyncio, sys
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve

async def main():
    folder, switches = sys.argv[1:]
    clock = SystemClock()
    async with open_registry({"data": folder, "simulate": switches}, "default", clock) as registry:
        async with serve(app(registry, simulation(switches), clock), "127.0.0.1", 0) as port:
            print(port, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def opened(folder: Path, clock: Clock, simulate: str = "") -> AsyncIterator[EmbeddedRegistry]:
    config = {"data": folder, "simulate": simulate}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        yield registry


async def call(registry: EmbeddedRegistry, operation: str, **members: Any) -> Any:
    return await registry.execute(operation, members)


async def make(registry: EmbeddedRegistry) -> str:
    """Make a namespace and a service with a custom health check; return the service's id."""
    operation = (await call(registry, "CreateHttpNamespace", Name="test-namespace"))["OperationId"]
    target = (await call(registry, "GetOperation", OperationId=operation))["Operation"]["Targets"]["NAMESPACE"]
    made = await call(registry, "CreateService", Name="web", NamespaceId=target, HealthCheckCustomConfig={})
    return str(made["Service"]["Id"])


async def contents(registry: EmbeddedRegistry) -> dict[str, Any]:
    """Return all that a client can see."""
    services = (await call(registry, "ListServices"))["Services"]
    seen: dict[str, Any] = {
        "namespaces": (await call(registry, "ListNamespaces"))["Namespaces"],
        "services": [await call(registry, "GetService", Id=each["Id"]) for each in services],
        "operations": [
            await call(registry, "GetOperation", OperationId=each["Id"])
            for each in (await call(registry, "ListOperations"))["Operations"]
        ],
    }
    for each in services:
        identifier = each["Id"]
        names = {"NamespaceName": "test-namespace", "ServiceName": each["Name"]}
        listed = (await call(registry, "ListInstances", ServiceId=identifier))["Instances"]
        seen[identifier] = (
            [await call(registry, "GetInstance", ServiceId=identifier, InstanceId=item["Id"]) for item in listed],
            await call(registry, "GetInstancesHealthStatus", ServiceId=identifier),
            await call(registry, "DiscoverInstancesRevision", **names),
            await call(registry, "ListTagsForResource", ResourceARN=each["Arn"]),
        )
    return seen


async def test_a_restart_changes_nothing_that_can_be_seen(tmp_path: Path) -> None:
    clock = SystemClock()
    async with opened(tmp_path, clock, "custom-health-delay=0s") as registry:
        identifier = await make(registry)
        for number in range(5):
            await call(
                registry,
                "RegisterInstance",
                ServiceId=identifier,
                InstanceId=f"i-{number}",
                Attributes={"k": f"größe {number}"},
                CreatorRequestId="me",
            )
        await call(registry, "DeregisterInstance", ServiceId=identifier, InstanceId="i-3")
        change = {"ServiceId": identifier, "InstanceId": "i-2", "Status": "UNHEALTHY"}
        await call(registry, "UpdateInstanceCustomHealthStatus", **change)
        arn = (await call(registry, "GetService", Id=identifier))["Service"]["Arn"]
        await call(registry, "TagResource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
        before = await contents(registry)
    async with opened(tmp_path, clock) as registry:
        assert await contents(registry) == before


async def test_revisions_never_go_back(tmp_path: Path) -> None:
    """Not when the clock does, not over a restart, not for a service that is made anew."""
    clock = FakeClock(time=2_000_000_000.0)
    names = {"NamespaceName": "test-namespace", "ServiceName": "web"}
    async with opened(tmp_path, clock) as registry:
        identifier = await make(registry)
        await call(registry, "RegisterInstance", ServiceId=identifier, InstanceId="a", Attributes={})
        await call(registry, "DeregisterInstance", ServiceId=identifier, InstanceId="a")
        seen = [(await call(registry, "DiscoverInstancesRevision", **names))["InstancesRevision"]]
        namespace = (await call(registry, "ListNamespaces"))["Namespaces"][0]["Id"]
        await call(registry, "DeleteService", Id=identifier)
    assert seen[0] >= 2_000_000_000_000
    async with opened(tmp_path, FakeClock(time=1_000_000_000.0)) as registry:
        made = await call(registry, "CreateService", Name="web", NamespaceId=namespace)
        seen.append((await call(registry, "DiscoverInstancesRevision", **names))["InstancesRevision"])
        request = {"ServiceId": made["Service"]["Id"], "InstanceId": "a", "Attributes": {}}
        await call(registry, "RegisterInstance", **request)
        seen.append((await call(registry, "DiscoverInstancesRevision", **names))["InstancesRevision"])
    assert seen == sorted(set(seen))


async def test_operations_under_way_go_on_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, clock) as registry:
        identifier = await make(registry)
        await call(registry, "RegisterInstance", ServiceId=identifier, InstanceId="old", Attributes={})
    target = {"ServiceId": identifier, "InstanceId": "new"}
    async with opened(tmp_path, clock, "operation-delay=10s") as registry:
        begun = [
            await call(registry, "RegisterInstance", **target, Attributes={"a": "b"}),
            await call(registry, "DeregisterInstance", ServiceId=identifier, InstanceId="old"),
            await call(registry, "CreateHttpNamespace", Name="second", Tags=[{"Key": "k", "Value": "v"}]),
        ]
        operations = [each["OperationId"] for each in begun]
        await clock.advance(4)
    async with opened(tmp_path, clock) as registry:

        async def statuses() -> list[str]:
            asked = [await call(registry, "GetOperation", OperationId=each) for each in operations]
            return [each["Operation"]["Status"] for each in asked]

        await clock.advance(5)
        assert await statuses() == ["PENDING"] * 3
        with pytest.raises(CloudMapError) as caught:
            await call(registry, "RegisterInstance", **target, Attributes={})
        assert caught.value.members == {"DuplicateOperationId": operations[0]}
        await clock.advance(2)
        # The writer's answers come from its thread; an own write stands behind them.
        await call(registry, "CreateHttpNamespace", Name="third")
        assert await statuses() == ["SUCCESS"] * 3
        listed = (await call(registry, "ListInstances", ServiceId=identifier))["Instances"]
        assert [(each["Id"], each["Attributes"]) for each in listed] == [("new", {"a": "b"})]
        found = {each["Name"]: each["Arn"] for each in (await call(registry, "ListNamespaces"))["Namespaces"]}
        assert await call(registry, "ListTagsForResource", ResourceARN=found["second"]) == {
            "Tags": [{"Key": "k", "Value": "v"}]
        }


async def test_a_health_update_that_waits_takes_effect_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, clock) as registry:
        identifier = await make(registry)
        target = {"ServiceId": identifier, "InstanceId": "a"}
        await call(registry, "RegisterInstance", **target, Attributes={})
        await call(registry, "UpdateInstanceCustomHealthStatus", **target, Status="UNHEALTHY")
        await clock.advance(20)
    async with opened(tmp_path, clock) as registry:

        async def status() -> Any:
            return (await call(registry, "GetInstancesHealthStatus", ServiceId=identifier))["Status"]["a"]

        await clock.advance(9)
        assert await status() == "HEALTHY"
        await clock.advance(2)
        await call(registry, "CreateHttpNamespace", Name="stands-behind-it")
        assert await status() == "UNHEALTHY"


async def until_it_fails(registry: EmbeddedRegistry, request: dict[str, Any]) -> tuple[CloudMapError, dict[str, Any]]:
    """Register until that fails; return how, and what could be seen just before."""
    for number in range(1000):
        before = await contents(registry)
        try:
            await call(registry, "RegisterInstance", **request, InstanceId=f"i-{number}")
        except CloudMapError as error:
            return error, before
    raise AssertionError("the disk never was full")


async def test_a_full_disk_refuses_and_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, SystemClock()) as registry:
        identifier = await make(registry)
        connection = registry._core.writer._connection
        await asyncio.to_thread(connection.execute, "PRAGMA max_page_count = 1")
        request = {"ServiceId": identifier, "Attributes": {f"k{number}": "v" * 900 for number in range(5)}}
        error, before = await until_it_fails(registry, request)
        assert error.code == "InternalFailure"
        assert error.message == "The registry could not store this (database or disk is full); nothing was changed"
        assert await contents(registry) == before
        await asyncio.to_thread(connection.execute, "PRAGMA max_page_count = 1000000")
        await call(registry, "RegisterInstance", **request, InstanceId="a")
        after = await contents(registry)
    async with opened(tmp_path, SystemClock()) as registry:
        assert await contents(registry) == after


async def test_a_disk_that_became_read_only_refuses_and_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, SystemClock()) as registry:
        identifier = await make(registry)
        connection = registry._core.writer._connection
        await asyncio.to_thread(connection.execute, "PRAGMA query_only = ON")
        request = {"ServiceId": identifier, "Attributes": {}}
        error, before = await until_it_fails(registry, request)
        assert error.message == (
            "The registry could not store this (attempt to write a readonly database); nothing was changed"
        )
        assert await contents(registry) == before
        await asyncio.to_thread(connection.execute, "PRAGMA query_only = OFF")
        await call(registry, "RegisterInstance", **request, InstanceId="a")
        after = await contents(registry)
    async with opened(tmp_path, SystemClock()) as registry:
        assert await contents(registry) == after


@contextmanager
def process(folder: Path, switches: str) -> Iterator[tuple[Server, subprocess.Popen[str]]]:
    """Run a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, folder, switches], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield Server(int(running.stdout.readline())), running
        finally:
            running.kill()


@pytest.mark.parametrize("switches", ["", "operation-delay=50ms-200ms"])
def test_kill_9_under_load_loses_nothing_that_was_answered(tmp_path: Path, switches: str) -> None:
    """Eight clients write; when 200 writes are answered the process is killed. Each answered write must be there."""
    answered: dict[str, tuple[str, str]] = {}
    enough = threading.Event()

    def client(server: Server, identifier: str, number: int) -> None:
        for turn in range(100_000):
            name, mark = f"i-{number}-{turn}", f"{number}/{turn}"
            try:
                answer = server.call(
                    "RegisterInstance", ServiceId=identifier, InstanceId=name, Attributes={"mark": mark}
                )
            except (OSError, ValueError, json.JSONDecodeError):
                return
            assert answer.status == 200
            answered[name] = (answer.body["OperationId"], mark)
            if len(answered) >= 200:
                enough.set()

    with process(tmp_path, switches) as (server, running):
        operation = server.call("CreateHttpNamespace", Name="test-namespace").body["OperationId"]
        while (found := server.call("GetOperation", OperationId=operation).body["Operation"])["Status"] != "SUCCESS":
            pass
        made = server.call("CreateService", Name="web", NamespaceId=found["Targets"]["NAMESPACE"])
        identifier = made.body["Service"]["Id"]
        clients = [threading.Thread(target=client, args=(server, identifier, number)) for number in range(8)]
        for each in clients:
            each.start()
        assert enough.wait(60)
        running.send_signal(signal.SIGKILL)
        for each in clients:
            each.join(60)

    kept = {entry.instance_id: entry for entry in history(tmp_path) if entry.operation == "REGISTER_INSTANCE"}
    assert set(answered) <= set(kept)
    assert {name: kept[name].attributes["mark"] for name in answered} == {
        name: mark for name, (_, mark) in answered.items()
    }
    with process(tmp_path, "") as (server, _):
        for name, (operation, mark) in answered.items():
            while server.call("GetOperation", OperationId=operation).body["Operation"]["Status"] == "PENDING":
                pass
            got = server.call("GetInstance", ServiceId=identifier, InstanceId=name)
            assert (got.status, got.body["Instance"]["Attributes"]) == (200, {"mark": mark})
