"""What CoreDNS reads is exactly SkyDNS's, and follows instances, their health and the service's settings."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.attributes import CNAME, IPV4, IPV6, PORT
from kube_registrar.model.changes import Register
from kube_registrar.model.errors import Conflict, Refused
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId
from kube_registrar.model.specs import DnsRecord, DnsSettings, NamespaceSpec, RecordType
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import apply, deregister, must, set_health
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import CREATOR, service_in

pytestmark = pytest.mark.extended


@pytest.fixture
def read(etcd: EtcdCluster, options: Mapping[str, Any]) -> Any:
    """Return what CoreDNS would read, less the path that is this test's own."""

    def read() -> Mapping[str, Any]:
        path = str(options["skydnsPath"])
        return {key.removeprefix(path): value for key, value in etcd.keys(f"{path}/").items()}

    return read


def register(name: str, **attributes: str) -> Register:
    given = {key.replace("skydns_", "skydns."): value for key, value in attributes.items()}
    return Register(Instance(InstanceId(name), given), builders.origin(name))


async def test_an_address_stands_under_the_domain_turned_round(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry)
    await must(registry, service, register("web-1", **{IPV4: "10.0.0.1", PORT: "8080"}))
    assert read() == {"/com/example/web/web-1/ipv4": {"host": "10.0.0.1", "port": -1, "ttl": 15, "targetstrip": 1}}
    await must(registry, service, deregister("web-1"))
    assert read() == {}


async def test_both_families_are_two_keys_and_one_target(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry, name="_http._tcp", records="SRV")
    await must(registry, service, register("web-1", **{IPV4: "10.0.0.1", IPV6: "fd00::1", PORT: "8080"}))
    value = {"port": 8080, "ttl": 15, "targetstrip": 1}
    assert read() == {
        "/com/example/_tcp/_http/web-1/ipv4": {"host": "10.0.0.1", **value},
        "/com/example/_tcp/_http/web-1/ipv6": {"host": "fd00::1", **value},
    }
    await must(registry, service, register("web-1", **{IPV6: "fd00::1", PORT: "8080"}))
    assert set(read()) == {"/com/example/_tcp/_http/web-1/ipv6"}


async def test_records_say_which_families_are_published(registry: EtcdRegistry, read: Any) -> None:
    both = {IPV4: "10.0.0.1", IPV6: "fd00::1"}
    for name, records, families in (("a", "A", {"ipv4"}), ("b", "AAAA", {"ipv6"}), ("c", "A,AAAA", {"ipv4", "ipv6"})):
        await must(registry, await service_in(registry, name=name, records=records), register("i", **both))
        found = {key.rpartition("/")[2] for key in read() if key.startswith(f"/com/example/{name}/")}
        assert found == families, records


async def test_a_name_is_published_as_it_is(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry, records="CNAME")
    await must(registry, service, register("i", **{CNAME: "db.example.net"}))
    assert read() == {"/com/example/web/i/cname": {"host": "db.example.net", "port": -1, "ttl": 15}}


async def test_weight_priority_group_and_text_are_attributes(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry, records="SRV")
    given = {"skydns_weight": "20", "skydns_priority": "5", "skydns_group": "blue", "skydns_text": "hello"}
    await must(registry, service, register("i", **{IPV4: "10.0.0.1", PORT: "80"}, **given))
    expected = {"weight": 20, "priority": 5, "group": "blue", "host": "10.0.0.1", "port": 80}
    assert read() == {
        "/com/example/web/i/ipv4": {**expected, "ttl": 15, "targetstrip": 1},
        "/com/example/web/i/text": {"text": "hello", "group": "blue", "ttl": 15},
    }


@pytest.mark.parametrize("value", ["0", "-1", "65536", "1.5", "much", ""])
async def test_a_weight_that_is_no_number_is_refused(registry: EtcdRegistry, value: str) -> None:
    service = await service_in(registry)
    outcomes = await apply(registry, service, register("i", **{IPV4: "10.0.0.1", "skydns_weight": value}))
    error = outcomes[InstanceId("i")].error
    assert isinstance(error, Refused)
    assert (error.field, error.rule) == ("attributes.skydns.weight", "a whole number from 1 to 65535")


async def test_an_unhealthy_instance_leaves_dns_and_stays_in_the_registry(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry, custom_health=True)
    await must(registry, service, register("i", **{IPV4: "10.0.0.1"}))
    await must(registry, service, set_health("i", Health.UNHEALTHY))
    assert read() == {}
    assert [each.health for each in await registry.instances(service)] == [Health.UNHEALTHY]
    await must(registry, service, register("i", **{IPV4: "10.0.0.2"}))
    assert read() == {}
    await must(registry, service, set_health("i", Health.HEALTHY))
    assert [value["host"] for value in read().values()] == ["10.0.0.2"]


async def test_another_time_to_live_is_published_for_all(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry)
    await must(registry, service, *(register(f"i-{number}", **{IPV4: f"10.0.0.{number}"}) for number in range(1, 80)))
    await service_in(registry, ttl_seconds=99)
    assert [value["ttl"] for value in read().values()] == [99] * 79


async def test_publishing_that_was_cut_off_is_gone_on_with(
    registry: EtcdRegistry, etcd: EtcdCluster, options: Mapping[str, Any], read: Any
) -> None:
    service = await service_in(registry)
    await must(registry, service, register("i", **{IPV4: "10.0.0.1"}))
    (key,) = etcd.keys(f"{options['prefix']}services/")
    record = json.dumps(etcd.keys(key)[key] | {"records": [["A", 99]], "unpublished": True})
    etcd.put(key, record)
    await service_in(registry, ttl_seconds=99)
    assert [value["ttl"] for value in read().values()] == [99]
    assert "unpublished" not in etcd.keys(key)[key]


async def test_an_id_that_is_no_label_gets_one_that_is_nobody_elses(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry)
    names = ["a", "A", "a.b", "a/b", "any", "..", "-a"]
    await must(registry, service, *(register(name, **{IPV4: "10.0.0.1"}) for name in names))
    labels = {key.split("/")[4] for key in read()}
    assert len(labels) == len(names)
    assert all(label == label.lower() and label not in {"any", ".."} for label in labels)
    await must(registry, service, *(deregister(name) for name in names))
    assert read() == {}


async def test_what_is_found_by_api_only_is_not_in_dns(registry: EtcdRegistry, read: Any) -> None:
    service = await service_in(registry, records="")
    await must(registry, service, register("i", **{IPV4: "10.0.0.1", PORT: "80"}))
    assert read() == {}


async def test_names_in_dns_have_lower_case(registry: EtcdRegistry) -> None:
    service = await service_in(registry)
    dns = DnsSettings((DnsRecord(RecordType.A),))
    wrong = replace(builders.service_spec(), ref=replace(service, name="Web"), dns=dns)
    with pytest.raises(Refused, match="lower case"):
        await registry.ensure(wrong, CREATOR)
    with pytest.raises(Conflict):
        await registry.ensure(NamespaceSpec(service.namespace), CREATOR)
