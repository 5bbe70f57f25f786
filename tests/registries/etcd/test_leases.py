"""A lease: instances live as long as somebody renews it, and come back with who does."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from kube_registrar.model.attributes import IPV4
from kube_registrar.model.errors import NotLeading
from kube_registrar.registries.etcd.leases import lease_id
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract.base import listed, must, register
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import opened, service_in, until

pytestmark = pytest.mark.extended

LEASE: Mapping[str, Any] = {"leaseSeconds": 15, "leaseName": "prod"}


def lease_of(options: Mapping[str, Any]) -> int:
    return lease_id(str(options["prefix"]), "prod")


def revoke(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    """End the lease, as its time would."""
    etcd.call("/v3/lease/revoke", {"ID": str(lease_of(options))})


def left(etcd: EtcdCluster, options: Mapping[str, Any]) -> int:
    return int(etcd.call("/v3/lease/timetolive", {"ID": str(lease_of(options))}).get("TTL", "0"))


async def test_instances_hang_on_it_and_services_do_not(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    async with opened({**options, **LEASE}) as registry:
        service = await service_in(registry)
        await must(registry, service, register("a"))
        revoke(etcd, options)
        assert await listed(registry, service) == {}
        assert etcd.keys(f"{options['skydnsPath']}/") == {}
        await must(registry, service, register("a"), register("b"))
        assert set(await listed(registry, service)) == {"a", "b"}


async def test_whoever_may_lead_renews_it_from_the_start(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    """A process that starts anew renews the lease that the instances of the one before hang on, or makes it."""

    async def stands() -> bool:
        return left(etcd, options) > 0

    async with opened({**options, **LEASE}, fence=Fence(SystemClock())):
        await until(stands)


async def test_who_only_reads_makes_none(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    async with opened({**options, **LEASE}) as registry:
        await registry.find(None)
        assert left(etcd, options) <= 0


async def test_who_only_observes_neither_makes_nor_renews_it(etcd: EtcdCluster, options: Mapping[str, Any]) -> None:
    async with opened({**options, **LEASE}) as leading:
        service = await service_in(leading)
        await must(leading, service, register("a"))
    granted = etcd.call("/v3/lease/timetolive", {"ID": str(lease_of(options))})["grantedTTL"]
    revision = etcd.call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    async with opened({**options, **LEASE}, fence=Fence(SystemClock(), shut=True)) as registry:
        assert "the lease in etcd" not in {task.get_name() for task in asyncio.all_tasks()}
        assert set(await listed(registry, service)) == {"a"}
        revoke(etcd, options)
        (outcome,) = [one async for one in registry.apply(service, [register("b")])]
        assert isinstance(outcome.error, NotLeading)
        assert await listed(registry, service) == {}
        assert left(etcd, options) <= 0
    assert int(granted) == 15
    assert etcd.keys(str(options["skydnsPath"])) == {}
    assert int(etcd.call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]) == int(revision) + 1  # the lease's end


async def test_without_the_option_instances_leave_the_lease_when_they_are_written(
    registry: EtcdRegistry, etcd: EtcdCluster, options: Mapping[str, Any]
) -> None:
    async with opened({**options, **LEASE}) as leased:
        service = await service_in(leased)
        await must(leased, service, register("a"), register("b"))
    await must(registry, service, register("a"))
    revoke(etcd, options)
    assert set(await listed(registry, service)) == {"a"}
    (value,) = etcd.keys(f"{options['skydnsPath']}/").values()
    assert value["host"] == register("a").instance.attributes[IPV4]


def test_its_id_is_its_names_and_long_in_the_eyes_of_an_old_coredns() -> None:
    ids = {lease_id(prefix, name) for prefix in ("/a/", "/b/") for name in ("x", "y")}
    assert len(ids) == 4
    for each in ids:
        assert 0 < each < 2**63
        assert each & 0xFFFF_FFFF == 0x7FFF_FFFF
