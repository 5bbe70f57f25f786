"""What CoreDNS reads of an instance, changed by somebody's hand: it is told, and registering it repairs it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from kube_registrar.model.attributes import IPV4, IPV6
from kube_registrar.model.changes import Register
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.etcd import wire
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import deregister, must, set_health
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import opened, service_in
from tests.registries.etcd.test_watching import watching

pytestmark = pytest.mark.extended

ADDRESSES = {IPV4: "10.0.0.1", IPV6: "fd00::1"}
CHANGE = Register(Instance(InstanceId("web-1"), ADDRESSES), builders.origin("web-1"))


class Hand:
    """Somebody who changes what CoreDNS reads, and leaves the rest."""

    def __init__(self, etcd: EtcdCluster, path: str) -> None:
        self.etcd = etcd
        self.path = path

    def read(self) -> Mapping[str, Any]:
        return {key.removeprefix(self.path): value for key, value in self.etcd.keys(f"{self.path}/").items()}

    def delete(self, key: str) -> None:
        self.etcd.call("/v3/kv/deleterange", {"key": wire.encoded(f"{self.path}{key}")})

    def write(self, key: str, **value: Any) -> None:
        content = {"key": wire.encoded(f"{self.path}{key}"), "value": wire.encoded(json.dumps(value))}
        self.etcd.call("/v3/kv/put", content)


@pytest.fixture
def hand(etcd: EtcdCluster, options: Mapping[str, Any]) -> Hand:
    return Hand(etcd, str(options["skydnsPath"]))


async def whole(registry: EtcdRegistry, service: ServiceRef) -> Mapping[str, bool]:
    return {each.id: each.is_whole for each in await registry.instances(service)}


async def test_a_key_that_was_deleted_is_told_and_comes_back_with_its_instance(
    registry: EtcdRegistry, hand: Hand
) -> None:
    service = await service_in(registry, records="A,AAAA")
    await must(registry, service, CHANGE)
    before = hand.read()
    assert len(before) == 2
    assert await whole(registry, service) == {"web-1": True}
    hand.delete("/com/example/web/web-1/ipv4")
    assert await whole(registry, service) == {"web-1": False}
    await must(registry, service, CHANGE)
    assert hand.read() == before
    assert await whole(registry, service) == {"web-1": True}


async def test_a_key_that_was_edited_or_added_is_told_and_put_right(registry: EtcdRegistry, hand: Hand) -> None:
    service = await service_in(registry)
    await must(registry, service, CHANGE)
    before = hand.read()
    hand.write("/com/example/web/web-1/ipv4", host="192.0.2.66")
    assert await whole(registry, service) == {"web-1": False}
    await must(registry, service, CHANGE)
    assert hand.read() == before
    hand.write("/com/example/web/web-1/ipv6", host="fd00::66")
    assert await whole(registry, service) == {"web-1": False}
    await must(registry, service, CHANGE)
    assert hand.read() == before


async def test_keys_of_others_beside_it_are_no_difference_and_stay(registry: EtcdRegistry, hand: Hand) -> None:
    service = await service_in(registry)
    await must(registry, service, CHANGE)
    hand.write("/com/example/web/theirs", host="192.0.2.1")
    hand.write("/com/example/web/web-1/ipv4/deeper", host="192.0.2.2")
    assert await whole(registry, service) == {"web-1": True}
    before = hand.read()
    await must(registry, service, CHANGE)
    assert hand.read() == before


async def test_an_unhealthy_instance_is_whole_without_keys_and_not_with_one(registry: EtcdRegistry, hand: Hand) -> None:
    service = await service_in(registry, custom_health=True)
    await must(registry, service, CHANGE)
    await must(registry, service, set_health("web-1", Health.UNHEALTHY))
    assert await whole(registry, service) == {"web-1": True}
    hand.write("/com/example/web/web-1/ipv4", host="10.0.0.1")
    assert await whole(registry, service) == {"web-1": False}
    await must(registry, service, CHANGE)
    assert hand.read() == {}


async def test_more_than_a_page_is_looked_at_as_of_one_revision(
    registry: EtcdRegistry, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_registrar.registries.etcd.lists.PAGE", 3)
    service = await service_in(registry, records="A,AAAA")
    for number in range(8):
        instance = Instance(InstanceId(f"web-{number}"), ADDRESSES)
        await must(registry, service, Register(instance, builders.origin(f"web-{number}")))
    hand.delete("/com/example/web/web-7/ipv6")
    assert await whole(registry, service) == {f"web-{number}": number != 7 for number in range(8)}


async def test_a_change_by_hand_is_told_to_who_has_listed_the_service_and_own_repairs_are_not(
    registry: EtcdRegistry, hand: Hand, options: Mapping[str, Any]
) -> None:
    service = await service_in(registry)
    await must(registry, service, CHANGE)
    async with opened(options) as other, watching(other) as hints:
        await other.instances(service)
        hand.write("/com/example/theirs/web-1/ipv4", host="192.0.2.1")
        hand.delete("/com/example/web/web-1/ipv4")
        await hints.until(service)
        await must(other, service, CHANGE)
        assert await whole(other, service) == {"web-1": True}
        hand.write("/com/example/web/web-1/ipv4", host="192.0.2.66")
        await hints.until(service, 2)
        assert hints.told == [None, service, service]


async def test_a_repair_is_not_made_of_what_is_gone_by_then(
    registry: EtcdRegistry, hand: Hand, options: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await service_in(registry)
    await must(registry, service, CHANGE)
    hand.delete("/com/example/web/web-1/ipv4")
    async with opened(options) as other:
        committed = registry._changes._committed

        async def late(*args: Any) -> int:
            monkeypatch.setattr(registry._changes, "_committed", committed)
            await must(other, service, deregister("web-1"))
            await must(other, service, Register(Instance(InstanceId("web-1"), {IPV4: "10.0.0.9"}), CHANGE.origin))
            return await committed(*args)

        monkeypatch.setattr(registry._changes, "_committed", late)
        await must(registry, service, CHANGE)
    held, shown = await registry.instances(service), hand.read()
    assert held == [Instance(InstanceId("web-1"), ADDRESSES)]
    assert shown["/com/example/web/web-1/ipv4"]["host"] == "10.0.0.1"
