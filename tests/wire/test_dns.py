"""DNS of a real embedded registry: what is asked of the API is seen in DNS, and what DNS cannot hold is refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry, opening
from kube_registrar.registries.embedded.checks.checker import Checker
from kube_registrar.registries.embedded.checks.endpoints import Endpoint
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.server.dns import serving
from kube_registrar.testing.clock import FakeClock

LOCAL = "127.0.0.1"


@dataclass
class Place:
    """A registry, and DNS in front of it."""

    registry: EmbeddedRegistry
    port: int

    async def do(self, operation: str, **members: Any) -> Any:
        return await self.registry.execute(operation, validated(operation, members))

    async def namespace(self, name: str = "shop.local", **members: Any) -> str:
        kind = "CreatePrivateDnsNamespace" if "Vpc" in members else "CreatePublicDnsNamespace"
        return await self._made(await self.do(kind, Name=name, **members))

    async def _made(self, answer: Any) -> str:
        found: Any = (await self.do("GetOperation", OperationId=answer["OperationId"]))["Operation"]
        assert found["Status"] == "SUCCESS", found
        identifier: str = found["Targets"]["NAMESPACE"]
        return identifier

    async def service(self, parent: str, name: str = "web", *types: str, **members: Any) -> str:
        config = {"DnsRecords": [{"Type": type_, "TTL": 60} for type_ in types or ("A",)]}
        routing = {"RoutingPolicy": members.pop("RoutingPolicy", "MULTIVALUE")}
        found = await self.do("CreateService", Name=name, NamespaceId=parent, DnsConfig=config | routing, **members)
        identifier: str = found["Service"]["Id"]
        return identifier

    async def register(self, service: str, instance: str = "i-1", number: int = 1, **attributes: str) -> None:
        given = {"AWS_INSTANCE_IPV4": f"10.0.0.{number}", "AWS_INSTANCE_PORT": "80"} | attributes
        await self.do("RegisterInstance", ServiceId=service, InstanceId=instance, Attributes=given)

    async def ask(self, name: str, type_: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, type_)
        reply = await dns.asyncquery.udp(query, LOCAL, port=self.port, timeout=30)
        over_tcp = await dns.asyncquery.tcp(query, LOCAL, port=self.port, timeout=30)
        assert (reply.rcode(), reply.authority) == (over_tcp.rcode(), over_tcp.authority)
        return reply

    async def addresses(self, name: str = "web.shop.local") -> list[str]:
        return sorted(row.address for rrset in (await self.ask(name)).answer for row in rrset)

    async def refusal(self, operation: str, **members: Any) -> tuple[str, str]:
        with pytest.raises(CloudMapError) as caught:
            await self.do(operation, **members)
        return caught.value.code, caught.value.message


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def place(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Place]:
    async with (
        open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry,
        serving.serve(registry.zones, LOCAL, 0) as (port, _),
    ):
        yield Place(registry, port)


async def test_an_instance_is_in_dns_when_its_registration_is_answered(place: Place) -> None:
    service = await place.service(await place.namespace())
    assert (await place.ask("web.shop.local")).rcode() == dns.rcode.NOERROR
    for number in range(1, 10):
        await place.register(service, f"i-{number}", number)
    found = await place.ask("web.shop.local")
    assert len(found.answer[0]) == 8
    for number in range(2, 10):
        await place.do("DeregisterInstance", ServiceId=service, InstanceId=f"i-{number}")
    assert await place.addresses() == ["10.0.0.1"]
    await place.register(service, "i-1", 7)
    assert await place.addresses() == ["10.0.0.7"]


@pytest.mark.parametrize("members", [{"Vpc": "vpc-1"}, {}], ids=["private", "public"])
async def test_both_kinds_of_dns_namespaces_are_answered_and_leave_with_their_end(
    place: Place, members: dict[str, str]
) -> None:
    parent = await place.namespace("shop.local", **members)
    service = await place.service(parent)
    await place.register(service)
    assert await place.addresses() == ["10.0.0.1"]
    await place.do("DeregisterInstance", ServiceId=service, InstanceId="i-1")
    await place.do("DeleteService", Id=service)
    assert (await place.ask("web.shop.local")).rcode() == dns.rcode.NXDOMAIN
    await place.do("DeleteNamespace", Id=parent)
    assert (await place.ask("web.shop.local")).rcode() == dns.rcode.REFUSED


async def test_what_has_no_dns_is_not_answered(place: Place) -> None:
    http = await place._made(await place.do("CreateHttpNamespace", Name="http.local"))
    await place.do("CreateService", Name="web", NamespaceId=http)
    parent = await place.namespace()
    await place.do("CreateService", Name="api-only", NamespaceId=parent)
    assert (await place.ask("web.http.local")).rcode() == dns.rcode.REFUSED
    assert (await place.ask("api-only.shop.local")).rcode() == dns.rcode.NXDOMAIN


async def test_custom_health_decides_when_it_takes_effect(place: Place, clock: FakeClock) -> None:
    service = await place.service(await place.namespace(), HealthCheckCustomConfig={})
    await place.register(service, "i-1", 1)
    await place.register(service, "i-2", 2, AWS_INIT_HEALTH_STATUS="UNHEALTHY")
    assert await place.addresses() == ["10.0.0.1"]
    await place.do("UpdateInstanceCustomHealthStatus", ServiceId=service, InstanceId="i-1", Status="UNHEALTHY")
    assert await place.addresses() == ["10.0.0.1"]
    await clock.advance(31)
    async with asyncio.timeout(30):  # The clock has turned, and the change is being stored.
        while await place.addresses() == ["10.0.0.1"]:
            pass
    assert await place.addresses() == ["10.0.0.1", "10.0.0.2"]


async def test_what_the_registry_finds_unhealthy_leaves_dns_and_comes_back(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick = {"10.0.0.1"}

    async def probe(endpoint: Endpoint) -> str:
        return "no connection" if endpoint.address in sick else ""

    monkeypatch.setattr(opening, "Checker", partial(Checker, probe=probe))
    async with (
        open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry,
        serving.serve(registry.zones, LOCAL, 0) as (port, _),
    ):
        place = Place(registry, port)
        service = await place.service(await place.namespace(), HealthCheckConfig={"Type": "TCP"})
        await place.register(service, "i-1", 1)
        await place.register(service, "i-2", 2)
        both = ["10.0.0.1", "10.0.0.2"]

        async def becomes(wanted: list[str]) -> None:
            await clock.advance(34)
            async with asyncio.timeout(30):  # The clock has turned, and what was found is being stored.
                while await place.addresses() != wanted:
                    pass

        assert await place.addresses() == both
        await becomes(["10.0.0.2"])
        sick.clear()
        await becomes(both)
        sick.add("10.0.0.2")
        await becomes(["10.0.0.1"])
        await place.do("UpdateService", Id=service, Service={"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 60}]}})
        assert await place.addresses() == both, "what is not checked counts as healthy"


async def test_ttls_of_an_update_are_answered(place: Place) -> None:
    parent = await place.namespace(Properties={"DnsProperties": {"SOA": {"TTL": 7}}})
    service = await place.service(parent)
    await place.register(service)
    assert (await place.ask("x.shop.local")).authority[0].ttl == 7
    change = {"Properties": {"DnsProperties": {"SOA": {"TTL": 9}}}}
    await place.do("UpdatePublicDnsNamespace", Id=parent, Namespace=change)
    assert (await place.ask("x.shop.local")).authority[0].ttl == 9
    await place.do("UpdateService", Id=service, Service={"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 3}]}})
    assert (await place.ask("web.shop.local")).answer[0].ttl == 3
    await place.do("UpdateService", Id=service, Service={"Description": "no records any more"})
    assert (await place.ask("web.shop.local")).rcode() == dns.rcode.NXDOMAIN


async def test_srv_and_cname_and_weighted_are_answered(place: Place) -> None:
    parent = await place.namespace()
    ports = await place.service(parent, "_http._tcp", "SRV")
    await place.register(ports, "Pod.1", 1, AWS_INSTANCE_IPV6="fd00::1", AWS_INSTANCE_PORT="8080")
    reply = await place.ask("_HTTP._tcp.shop.local", "SRV")
    assert reply.answer[0][0].to_text() == "1 1 8080 Pod.1._http._tcp.shop.local."
    assert len(reply.additional) == 2
    assert await place.addresses("pod.1._http._tcp.shop.local") == ["10.0.0.1"]
    alias = await place.service(parent, "alias", "CNAME", RoutingPolicy="WEIGHTED")
    await place.register(alias, AWS_INSTANCE_CNAME="www.example.org")
    assert (await place.ask("alias.shop.local")).answer[0][0].to_text() == "www.example.org."
    one = await place.service(parent, "one", "A", RoutingPolicy="WEIGHTED")
    for number in range(3):
        await place.register(one, f"i-{number}", number)
    assert len(await place.addresses("one.shop.local")) == 1


async def test_a_registry_that_is_opened_again_is_answered_as_before(tmp_path: Path, clock: FakeClock) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        first = Place(registry, 0)
        await first.register(await first.service(await first.namespace()))
    async with (
        open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry,
        serving.serve(registry.zones, LOCAL, 0) as (port, _),
    ):
        assert await Place(registry, port).addresses() == ["10.0.0.1"]


# What DNS cannot hold.


async def test_dns_namespaces_whose_names_differ_in_case_only_are_refused_in_any_vpc_and_type(place: Place) -> None:
    await place.namespace("Shop.local", Vpc="vpc-1")
    refused = ("NamespaceAlreadyExists", "There is a private DNS namespace named 'Shop.local' already")
    assert await place.refusal("CreatePrivateDnsNamespace", Name="shop.local", Vpc="vpc-1") == refused
    assert await place.refusal("CreatePrivateDnsNamespace", Name="shop.local", Vpc="vpc-2") == refused
    assert await place.refusal("CreatePublicDnsNamespace", Name="shop.LOCAL") == refused
    await place._made(await place.do("CreateHttpNamespace", Name="shop.local"))
    await place.namespace("Shop.local", Vpc="vpc-2")


@pytest.mark.parametrize("instance", ["x" * 64, "a..b", ".a", "a."])
async def test_an_id_that_is_no_label_is_refused_where_it_must_be_one(place: Place, instance: str) -> None:
    parent = await place.namespace()
    ports = await place.service(parent, "ports", "SRV")
    code, message = await place.refusal(
        "RegisterInstance",
        ServiceId=ports,
        InstanceId=instance,
        Attributes={"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"},
    )
    assert code == "InvalidInput"
    assert message.endswith("in a service with SRV records 63 characters are the most of a DNS label")
    await place.register(await place.service(parent, "web", "A"), instance)


async def test_an_id_that_makes_the_name_too_long_is_refused(place: Place) -> None:
    parent = await place.namespace(".".join(["n" * 63] * 2))
    ports = await place.service(parent, f"{'s' * 61}.x", "SRV")
    await place.register(ports, "i" * 61)
    code, message = await place.refusal(
        "RegisterInstance",
        ServiceId=ports,
        InstanceId="i" * 62,
        Attributes={"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"},
    )
    assert code == "InvalidInput"
    assert message.endswith("with the names of service and namespace it has 254 characters, 253 are allowed")
    assert len((await place.ask(f"{'s' * 61}.x.{'.'.join(['n' * 63] * 2)}", "SRV")).answer) == 1


async def test_a_name_that_is_taken_in_dns_is_refused_to_instances(place: Place) -> None:
    parent = await place.namespace()
    ports = await place.service(parent, "b", "SRV")
    await place.service(parent, "A.b")
    other = await place.service(parent, "c.b", "SRV")
    await place.register(other, "x")
    await place.register(ports, "Pod")
    await place.register(ports, "Pod", 2)
    attributes = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"}
    for instance, taken in (
        ("a", "there is a service 'A.b', and both would be one name in DNS"),
        ("X.c", "the instance 'x' of service 'c.b' has this name in DNS"),
        ("pod", "the instance 'Pod' of service 'b' has this name in DNS"),
    ):
        code, message = await place.refusal(
            "RegisterInstance", ServiceId=ports, InstanceId=instance, Attributes=attributes
        )
        assert (code, message) == ("InvalidInput", f"InstanceId is {instance!r}: {taken}; choose another id")


async def test_a_name_that_is_taken_in_dns_is_refused_to_services(place: Place) -> None:
    parent = await place.namespace()
    await place.register(await place.service(parent, "b", "SRV"), "Pod")
    config = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
    assert await place.refusal("CreateService", Name="pod.b", NamespaceId=parent, DnsConfig=config) == (
        "InvalidInput",
        "Name is 'pod.b': the instance 'Pod' of service 'b' has this name in DNS; choose another name",
    )
    await place.do("CreateService", Name="pod.b", NamespaceId=parent)


@pytest.mark.parametrize("cname", ["a..b", "x" * 64, ".".join(["x" * 63] * 4), ""])
async def test_an_alias_must_be_a_domain_name(place: Place, cname: str) -> None:
    alias = await place.service(await place.namespace(), "alias", "CNAME", RoutingPolicy="WEIGHTED")
    code, message = await place.refusal(
        "RegisterInstance", ServiceId=alias, InstanceId="x", Attributes={"AWS_INSTANCE_CNAME": cname}
    )
    assert code == "InvalidInput"
    assert "a domain name has labels of 1 to 63 characters, joined by dots, 253 in all" in message


async def test_the_zone_itself_cannot_be_an_alias(place: Place) -> None:
    parent = await place.namespace()
    config = {"DnsRecords": [{"Type": "CNAME", "TTL": 60}], "RoutingPolicy": "WEIGHTED"}
    code, _ = await place.refusal("CreateService", Name=".", NamespaceId=parent, DnsConfig=config)
    assert code == "InvalidInput"
    await place.register(await place.service(parent, ".", "A"))
    assert await place.addresses("shop.local") == ["10.0.0.1"]


async def test_the_longest_namespace_is_a_zone_and_has_one_service_that_stands_for_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    name = ".".join(["n" * 63, "o" * 63, "p" * 63, "q" * 61])
    assert len(name) == 253
    parent = await place.namespace(name, Vpc="vpc-1")
    await place.register(await place.service(parent, "."))
    assert (await place.ask(name)).answer[0][0].to_text() == "10.0.0.1"
    config = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
    code, message = await place.refusal("CreateService", Name="w", NamespaceId=parent, DnsConfig=config)
    assert (code, message) == (
        "InvalidInput",
        "Name is 'w': with the namespace's name it has 255 characters, 253 are allowed",
    )
    assert caplog.records == []
