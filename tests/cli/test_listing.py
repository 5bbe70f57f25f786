"""`namespaces`, `services`, `instances`, and `discover --watch`, as processes against a registry that is real."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from kube_registrar.cli.listing.changes import Event, Seen, by_id, changes
from kube_registrar.model.changes import Deregister, Register
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, Origin, ServiceRef, Uid
from kube_registrar.model.simulation import Simulation
from kube_registrar.model.specs import (
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    ServiceSpec,
)
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from tests.warm import processes as warm

HTTP, DNS = NamespaceRef(DEFAULT_REGISTRY, "apps"), NamespaceRef(DEFAULT_REGISTRY, "corp.example")
WEB, API = ServiceRef(HTTP, "web"), ServiceRef(DNS, "api")
SECONDS = 30.0


def register(name: str, address: str, **attributes: str) -> Register:
    instance = Instance(InstanceId(name), {"AWS_INSTANCE_IPV4": address, **attributes})
    return Register(instance, Origin("Pod", "default", name, Uid(name)))


async def change(registry: EmbeddedRegistry, service: ServiceRef, *wanted: Register | Deregister) -> None:
    assert [outcome.error async for outcome in registry.apply(service, wanted)] == [None] * len(wanted)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[EmbeddedRegistry]:
    async with open_registry({"data": str(tmp_path / "data")}, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield registry


@pytest.fixture
async def endpoint(registry: EmbeddedRegistry) -> AsyncIterator[str]:
    async with serve(app(registry, Simulation(), SystemClock()), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def filled(registry: EmbeddedRegistry, endpoint: str) -> str:
    """Two registry namespaces, a service in each, an instance in each."""
    await registry.ensure(NamespaceSpec(HTTP, description="for the apps"), "test")
    await registry.ensure(NamespaceSpec(DNS, NamespaceType.DNS_PRIVATE, vpc_id="vpc-1"), "test")
    await registry.ensure(ServiceSpec(WEB, health_check=HealthCheckType.CUSTOM), "test")
    await registry.ensure(ServiceSpec(API, dns=DnsSettings([DnsRecord(RecordType.A, 10)])), "test")
    await change(
        registry, WEB, register("web-1", "10.0.0.1", AWS_INSTANCE_PORT="80", KUBE_NAMESPACE="shop", stage="dev")
    )
    await change(registry, API, register("api-1", "10.0.0.2"))
    return endpoint


def _environment() -> Mapping[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}


async def listed(*args: str) -> tuple[int, str, str]:
    """Run a command in a process of its own, without any AWS settings; return code, output without ids, and error."""
    done = await asyncio.to_thread(warm.run, list(args), _environment())
    return done.returncode, re.sub(r"\b(ns|srv)-\w+", r"\1-ID", done.stdout), done.stderr


async def test_registry_namespaces_are_listed(filled: str) -> None:
    assert await listed("namespaces", "--endpoint-url", filled) == (
        0,
        "NAMESPACE      TYPE          ID\napps           HTTP          ns-ID\ncorp.example   DNS_PRIVATE   ns-ID\n",
        "",
    )
    code, out, _ = await listed("namespaces", "-o", "json", "--endpoint-url", filled)
    arn = "arn:aws:servicediscovery:us-east-1:000000000000:namespace/ns-ID"
    assert (code, json.loads(out)) == (
        0,
        {
            "Namespaces": [
                {"Id": "ns-ID", "Arn": arn, "Name": "apps", "Type": "HTTP", "Description": "for the apps"},
                {"Id": "ns-ID", "Arn": arn, "Name": "corp.example", "Type": "DNS_PRIVATE"},
            ]
        },
    )


async def test_registry_services_are_listed_of_one_namespace_or_of_all(filled: str) -> None:
    code, out, _ = await listed("services", "--endpoint-url", filled)
    head, *rows = (line.split() for line in out.splitlines())
    assert (code, head) == (0, ["NAMESPACE", "SERVICE", "RECORDS", "HEALTH-CHECK", "ID"])
    assert rows == [["apps", "web", "-", "Custom", "srv-ID"], ["corp.example", "api", "A/10", "-", "srv-ID"]]
    code, out, _ = await listed("services", "corp.example", "-o", "json", "--endpoint-url", filled)
    (service,) = json.loads(out)["Services"]
    assert (service["Name"], service["NamespaceName"]) == ("api", "corp.example")
    assert service["DnsConfig"] == {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]}
    assert "HealthCheckCustomConfig" not in service


async def test_instances_are_listed_whatever_their_health(registry: EmbeddedRegistry, filled: str) -> None:
    await change(registry, WEB, register("web-2", "10.0.0.3", AWS_INIT_HEALTH_STATUS="UNHEALTHY"))
    code, out, _ = await listed("instances", "apps", "--endpoint-url", filled)
    assert code == 0
    assert [line.split()[:5] for line in out.splitlines()] == [
        ["SERVICE", "INSTANCE", "ADDRESS", "PORT", "HEALTH"],
        ["web", "web-1", "10.0.0.1", "80", "HEALTHY"],
        ["web", "web-2", "10.0.0.3", "-", "UNHEALTHY"],
    ]
    code, out, _ = await listed("instances", "corp.example", "api", "-o", "json", "--endpoint-url", filled)
    (instance,) = json.loads(out)["Instances"]
    assert instance["InstanceId"] == "api-1"
    assert instance["Attributes"] == {"AWS_INSTANCE_IPV4": "10.0.0.2"}


async def test_what_is_not_there_is_said_on_standard_error(filled: str, registry: EmbeddedRegistry) -> None:
    await registry.ensure(NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "empty")), "test")
    assert await listed("services", "empty", "--endpoint-url", filled) == (0, "", "empty has no registry services\n")
    assert await listed("instances", "empty", "--endpoint-url", filled) == (0, "", "empty has no instances\n")
    code, out, err = await listed("instances", "nowhere", "--endpoint-url", filled)
    assert (code, out) == (1, "")
    assert err.startswith("kube-registrar: ")
    assert "nowhere" in err


async def test_a_registry_without_anything_is_said_to_be_so(endpoint: str) -> None:
    said = "registry default has no registry namespaces\n"
    assert await listed("namespaces", "--endpoint-url", endpoint) == (0, "", said)


async def test_a_watch_shows_each_change_as_it_comes(registry: EmbeddedRegistry, filled: str) -> None:
    args = ["discover", "apps", "web", "--watch", "--interval", "0.2", "--endpoint-url", filled]
    watching = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kube_registrar", *args, stdout=asyncio.subprocess.PIPE, env=dict(_environment())
    )
    try:
        assert watching.stdout is not None

        async def line() -> list[str]:
            assert watching.stdout is not None
            return (await asyncio.wait_for(watching.stdout.readline(), SECONDS)).decode().split()

        assert (await line())[0] == "INSTANCE"
        assert (await line())[0] == "web-1"
        await change(registry, WEB, register("web-2", "10.0.0.3"))
        assert (await line())[1:4] == ["+", "web-2", "10.0.0.3"]
        await change(registry, WEB, register("web-2", "10.0.0.4"))
        assert (await line())[1:4] == ["~", "web-2", "10.0.0.4"]
        await change(
            registry,
            WEB,
            Deregister(InstanceId("web-1"), Origin("Pod", "default", "web-1", Uid("web-1")), "it is not wanted"),
        )
        assert (await line())[1:4] == ["-", "web-1", "10.0.0.1"]
        watching.send_signal(2)
        assert await asyncio.wait_for(watching.wait(), SECONDS) == 130
    finally:
        if watching.returncode is None:
            watching.kill()
            await watching.wait()


def test_changes_are_what_is_gone_and_then_what_is_new_or_different() -> None:
    one, two = Instance(InstanceId("1"), {"a": "1"}), Instance(InstanceId("2"), {"a": "2"})
    other = Instance(InstanceId("2"), {"a": "3"})
    assert list(changes(by_id([one, two]), by_id([other]))) == [Seen(Event.DELETED, one), Seen(Event.MODIFIED, other)]
    assert list(changes({}, by_id([two, one]))) == [Seen(Event.ADDED, one), Seen(Event.ADDED, two)]
    assert list(changes(by_id([one]), by_id([one]))) == []
