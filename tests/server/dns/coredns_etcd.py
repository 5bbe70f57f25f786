"""The block of docs/etcd.md in a real CoreDNS, on a real etcd that we write to. Run it by `make test-coredns`."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kube_registrar.model.attributes import IPV4, IPV6, PORT
from kube_registrar.model.changes import Register
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing import binaries, builders
from kube_registrar.testing.contract.base import deregister, must, set_health
from kube_registrar.testing.etcd import EtcdCluster
from kube_registrar.testing.processes import Child, free_port
from tests.registries.etcd.ground import opened, service_in, until
from tests.server.dns.coredns import listens

PAGE = Path(__file__).parents[3] / "docs" / "etcd.md"
ZONE = "shop.example.com"


def block(etcd: str, own: int) -> str:
    """Return the block that the page tells people to write, with other ports, and without its cache."""
    found = re.search(r"```\n(shop\.example\.com:53 \{.*?\n\})\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    text = found[1].replace(f"{ZONE}:53", f"{ZONE}:{own}").replace("    cache 5\n", "")
    return re.sub(r"endpoint .*", f"endpoint {etcd}", text)


class Resolver:
    """Asks CoreDNS."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        reply, _ = await dns.asyncquery.udp_with_fallback(query, "127.0.0.1", port=self.port, timeout=30)
        return reply

    async def answers(self, name: str, kind: str = "A") -> set[str]:
        reply = await self.ask(name, kind)
        return {item.to_text() for each in reply.answer for item in each}


@pytest.fixture
async def registry(etcd: EtcdCluster) -> AsyncIterator[EtcdRegistry]:
    async with opened({"endpoints": list(etcd.endpoints)}) as registry:
        yield registry


@pytest.fixture
def etcd(tmp_path: Path) -> Any:
    with EtcdCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def coredns(etcd: EtcdCluster, tmp_path: Path) -> AsyncIterator[Resolver]:
    port, corefile = free_port(), tmp_path / "Corefile"
    await asyncio.to_thread(corefile.write_text, block(etcd.endpoints[0], port))
    binary = binaries.locate(["coredns"])["coredns"]
    with Child("CoreDNS", [binary, "-conf", corefile], tmp_path / "coredns.log"):
        await until(lambda: listens(port))
        yield Resolver(port)


def register(name: str, attributes: Mapping[str, str]) -> Register:
    return Register(Instance(InstanceId(name), attributes), builders.origin(name))


def dual(number: int) -> Mapping[str, str]:
    return {IPV4: f"10.0.0.{number}", IPV6: f"fd00::{number}", PORT: "8080"}


async def test_coredns_answers_addresses_and_follows_health(registry: EtcdRegistry, coredns: Resolver) -> None:
    web = await service_in(registry, ZONE, "web", records="A,AAAA", custom_health=True, ttl_seconds=7)
    await must(registry, web, register("a", dual(1)), register("b", dual(2)))
    assert await coredns.answers(f"web.{ZONE}") == {"10.0.0.1", "10.0.0.2"}
    assert await coredns.answers(f"web.{ZONE}", "AAAA") == {"fd00::1", "fd00::2"}
    assert {each.ttl for each in (await coredns.ask(f"web.{ZONE}")).answer} == {7}
    await must(registry, web, set_health("a", Health.UNHEALTHY))
    assert await coredns.answers(f"web.{ZONE}") == {"10.0.0.2"}
    await must(registry, web, set_health("a", Health.HEALTHY), deregister("b"))
    assert await coredns.answers(f"web.{ZONE}") == {"10.0.0.1"}
    assert (await coredns.ask(f"nothing.{ZONE}")).rcode() == dns.rcode.NXDOMAIN


async def test_a_dual_stack_instance_is_one_target_with_both_addresses(
    registry: EtcdRegistry, coredns: Resolver
) -> None:
    ports = await service_in(registry, ZONE, "_http._tcp", records="SRV")
    await must(registry, ports, register("a", dual(1)), register("b", dual(2)))
    reply = await coredns.ask(f"_http._tcp.{ZONE}", "SRV")
    targets = {(item.target.to_text(), item.port) for each in reply.answer for item in each}
    assert targets == {(f"{name}._http._tcp.{ZONE}.", 8080) for name in "ab"}
    assert len([item for each in reply.answer for item in each]) == 2
    beside = {item.to_text() for each in reply.additional for item in each}
    assert {"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"} <= beside
    for name, number in (("a", 1), ("b", 2)):
        assert await coredns.answers(f"{name}._http._tcp.{ZONE}") == {f"10.0.0.{number}"}
        assert await coredns.answers(f"{name}._http._tcp.{ZONE}", "AAAA") == {f"fd00::{number}"}


async def test_weight_priority_group_and_text_are_coredns_s_own(registry: EtcdRegistry, coredns: Resolver) -> None:
    ports = await service_in(registry, ZONE, "api", records="SRV")
    heavy = {**dual(1), "skydns.weight": "30", "skydns.priority": "5", "skydns.text": "hello"}
    await must(registry, ports, register("a", heavy), register("b", {**dual(2), "skydns.priority": "7"}))
    reply = await coredns.ask(f"api.{ZONE}", "SRV")
    found = {item.target.labels[0]: item.priority for each in reply.answer for item in each}
    assert found == {b"a": 5, b"b": 7}
    assert await coredns.answers(f"api.{ZONE}", "TXT") == {'"hello"'}
    group = await service_in(registry, ZONE, "grouped")
    under = await service_in(registry, ZONE, "more.grouped")
    await must(registry, group, register("c", {**dual(3), "skydns.group": "blue"}))
    await must(registry, under, register("d", {**dual(4), "skydns.group": "green"}))
    assert await coredns.answers(f"grouped.{ZONE}") == {"10.0.0.3"}
