"""Others in the same service: they stay, and each sees its own. What consul-k8s had wrong are tests here.

Its issues 42, 579 and 860 (clusters evict each other), and 280, 319 and 4714 (a restart deregisters what lives).
"""

import asyncio

import pytest

from kube_registrar.model.errors import Conflict, Refused
from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import apply, deregister, listed, must, register
from tests.registries.consul.ground import made, opened

pytestmark = pytest.mark.extended


def foreign(consul: Consul, service: str, node: str = "machine-7", identifier: str = "by-hand") -> None:
    """Register something as others do: on their node, with their meta."""
    instance = {"ID": identifier, "Service": service, "Address": "192.0.2.7", "Port": 81, "Meta": {"stage": "old"}}
    consul.put("/v1/catalog/register", {"Node": node, "Address": "192.0.2.7", "Service": instance})


async def test_instances_of_others_are_listed_and_stay(consul: Consul, registry: ConsulRegistry, fresh: str) -> None:
    service = await made(registry, f"{fresh}/web")
    foreign(consul, f"{fresh}-web")
    foreign(consul, f"{fresh}-web", node="kube-registrar", identifier=f"{fresh}-by-hand")
    await must(registry, service, register("a"))
    found = await listed(registry, service)
    assert set(found) == {"a", "machine-7/by-hand", f"kube-registrar/{fresh}-by-hand"}
    assert found["machine-7/by-hand"] == {
        "AWS_INSTANCE_IPV4": "192.0.2.7",
        "AWS_INSTANCE_PORT": "81",
        "stage": "old",
    }
    await must(registry, service, deregister("a"))
    assert len(await listed(registry, service)) == 2


async def test_a_service_that_others_are_in_is_not_removed(
    consul: Consul, registry: ConsulRegistry, fresh: str
) -> None:
    service = await made(registry, f"{fresh}/web")
    foreign(consul, f"{fresh}-web")
    with pytest.raises(Conflict):
        await registry.remove(service)
    await must(registry, service, register("a"))
    assert set(await listed(registry, service)) == {"a", "machine-7/by-hand"}


async def test_two_clusters_at_once_leave_each_other_alone(consul: Consul, fresh: str) -> None:
    """With nodes of their own, and on one node."""
    for other_node in ("kube-registrar", "kube-registrar-b"):
        async with opened(consul) as ours, opened(consul, node=other_node) as theirs:
            service = await made(ours, f"{fresh}-{other_node}/web")
            names = [[f"{who}-{number}" for number in range(40)] for who in ("ours", "theirs")]
            for registry in (ours, theirs):
                await registry.instances(service)
            await asyncio.gather(
                must(ours, service, *map(register, names[0])), must(theirs, service, *map(register, names[1]))
            )
            await asyncio.gather(
                must(ours, service, *map(deregister, names[0][:20])),
                must(theirs, service, *map(deregister, names[1][:20])),
            )
            assert set(await listed(ours, service)) == {*names[0][20:], *names[1][20:]}


async def test_a_restart_finds_its_own_and_removes_nothing(consul: Consul, fresh: str) -> None:
    async with opened(consul) as before:
        service = await made(before, f"{fresh}/web")
        await must(before, service, register("a"), register("b"))
    async with opened(consul) as after:
        await made(after, f"{fresh}/web")
        assert set(await listed(after, service)) == {"a", "b"}


async def test_what_stands_on_a_node_of_another_name_is_written_there(consul: Consul, fresh: str) -> None:
    """The option was changed: nothing is registered twice, and nothing left behind."""
    async with opened(consul, node="before") as registry:
        service = await made(registry, f"{fresh}/web")
        await must(registry, service, register("a"), register("b"))
    async with opened(consul, node="after") as registry:
        await registry.instances(service)
        await must(registry, service, register("a", {"stage": "dev"}), deregister("b"), register("c"))
        assert set(await listed(registry, service)) == {"a", "c"}
        found = consul.get(f"/v1/health/service/{fresh}-web")
        assert {each["Service"]["ID"]: each["Node"]["Node"] for each in found} == {
            f"{fresh}-web/a": "before",
            f"{fresh}-web/c": "after",
        }


async def test_the_node_of_an_agent_is_refused(consul: Consul, fresh: str) -> None:
    """The agent would take out what it does not know."""
    async with opened(consul, node="server-0") as registry:
        service = await made(registry, f"{fresh}/web")
        outcome = (await apply(registry, service, register("a")))[InstanceId("a")]
        assert isinstance(outcome.error, Refused)
        assert outcome.error.field == "node"
        assert consul.get("/v1/catalog/node/server-0")["Node"]["Meta"].get("external-source") is None
        assert await listed(registry, service) == {}
