"""How instances look to those who ask Consul itself."""

from typing import Any

import dns.asyncquery
import dns.message
import pytest

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.changes import Register
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.testing import builders
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import apply, attributes_of, listed, must, register, set_health
from tests.registries.consul.ground import made

pytestmark = pytest.mark.extended


def entries(consul: Consul, name: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = consul.get(f"/v1/health/service/{name}?{query}")
    return found


def registering(name: str, **attributes: str) -> Register:
    return Register(Instance(InstanceId(name), attributes), builders.origin(name))


async def test_an_instance_has_address_port_meta_and_tags(consul: Consul, registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web")
    await must(registry, service, register("a", {"stage": "dev"}))
    (entry,) = entries(consul, f"{fresh}-web")
    shown = entry["Service"]
    assert (shown["ID"], shown["Address"], shown["Port"]) == (f"{fresh}-web/a", "10.0.0.1", 8080)
    assert shown["Tags"] == ["stage=dev"]
    assert shown["Meta"]["stage"] == "dev"
    assert shown["Meta"]["kube-registrar-namespace"] == fresh
    assert shown["Meta"]["kube-registrar-service"] == "web"
    assert not {key for key in shown["Meta"] if key.startswith("AWS_")}
    assert entry["Node"]["Node"] == "kube-registrar"
    by_meta = entries(consul, f"{fresh}-web", "filter=Service.Meta.stage%3D%3Ddev")
    assert [each["Service"]["ID"] for each in by_meta] == [f"{fresh}-web/a"]


async def test_the_status_is_a_check_that_the_health_api_filters_by(
    consul: Consul, registry: ConsulRegistry, fresh: str
) -> None:
    service = await made(registry, f"{fresh}/web", custom_health=True)
    await must(registry, service, register("a"), register("b", {INIT_HEALTH: "UNHEALTHY"}))
    passing = [each["Service"]["ID"] for each in entries(consul, f"{fresh}-web", "passing")]
    assert passing == [f"{fresh}-web/a"]
    await must(registry, service, set_health("a", Health.UNHEALTHY))
    assert entries(consul, f"{fresh}-web", "passing") == []


async def test_consuls_dns_answers_for_what_passes(consul: Consul, registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web", custom_health=True)
    six = registering("six", AWS_INSTANCE_IPV6="2001:db8::8", AWS_INSTANCE_PORT="81")
    await must(registry, service, register("a"), register("b", {INIT_HEALTH: "UNHEALTHY"}), six)
    name = f"{fresh}-web.service.consul."
    found = {}
    for kind in ("A", "AAAA", "SRV"):
        query = dns.message.make_query(name, kind)
        answer = await dns.asyncquery.udp(query, "127.0.0.1", port=consul.dns_port, timeout=10)
        found[kind] = sorted(str(each) for rrset in answer.answer for each in rrset if rrset.rdtype.name == kind)
    assert (found["A"], found["AAAA"]) == (["10.0.0.1"], ["2001:db8::8"])
    assert [each.split()[2] for each in found["SRV"]] == ["8080", "81"]


async def test_an_upsert_leaves_the_status_as_it_is(registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web", custom_health=True)
    await must(registry, service, register("a"))
    await must(registry, service, set_health("a", Health.UNHEALTHY))
    await must(registry, service, register("a", {"stage": "dev"}))
    assert [each.health for each in await registry.instances(service)] == [Health.UNHEALTHY]


async def test_both_families_are_kept_and_ipv4_is_the_address(
    consul: Consul, registry: ConsulRegistry, fresh: str
) -> None:
    service = await made(registry, f"{fresh}/web")
    both = registering("both", AWS_INSTANCE_IPV4="10.0.0.7", AWS_INSTANCE_IPV6="2001:db8::7", AWS_INSTANCE_PORT="80")
    six = registering("six", AWS_INSTANCE_IPV6="2001:db8::8")
    host = registering("host", AWS_INSTANCE_CNAME="www.example.com")
    await must(registry, service, both, six, host)
    assert await listed(registry, service) == {each.instance_id: attributes_of(each) for each in (both, six, host)}
    addresses = {each["Service"]["ID"]: each["Service"]["Address"] for each in entries(consul, f"{fresh}-web")}
    assert sorted(addresses.values()) == ["10.0.0.7", "2001:db8::8", "www.example.com"]


async def test_attributes_that_are_no_meta_are_kept_beside(registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web")
    strange = {f"a/{number}": "ä" * 200 for number in range(5)} | {"consul-x": "1", "kube-registrar-y": "2"}
    change = register("a", strange)
    await must(registry, service, change)
    assert await listed(registry, service) == {"a": attributes_of(change)}


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({f"a/{number}": '"' * 500 for number in range(40)}, "attributes"),
        ({"key": "ä" * 257}, "attributes.key"),
        ({"k" * 129: ""}, "attributes"),
        ({"AWS_INSTANCE_PORT": "080"}, "attributes.AWS_INSTANCE_PORT"),
        ({"AWS_INSTANCE_IPV4": "10.0.0.256"}, "attributes.AWS_INSTANCE_IPV4"),
        ({"AWS_INSTANCE_CNAME": "no host"}, "attributes.AWS_INSTANCE_CNAME"),
        ({INIT_HEALTH: "HEALTHY"}, f"attributes.{INIT_HEALTH}"),
    ],
)
async def test_what_does_not_fit_is_refused_with_the_rule(
    registry: ConsulRegistry, fresh: str, attributes: dict[str, str], field: str
) -> None:
    service = await made(registry, f"{fresh}/web")
    (outcome,) = (await apply(registry, service, register("a", attributes))).values()
    assert isinstance(outcome.error, Refused)
    assert outcome.error.field == field
    assert outcome.error.rule
    assert await listed(registry, service) == {}


async def test_an_instance_needs_an_address(registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web")
    (outcome,) = (await apply(registry, service, registering("a", stage="dev"))).values()
    assert isinstance(outcome.error, Refused)
    assert outcome.error.field == "attributes.AWS_INSTANCE_IPV4"
