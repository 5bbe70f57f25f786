"""What registry services are called in Consul."""

from pathlib import Path

import pytest

from kube_registrar.model.errors import NotFound
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.registries.consul.names import Names
from kube_registrar.registries.consul.options import Options
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import listed, must, register
from tests.registries.consul.ground import made, opened

pytestmark = pytest.mark.extended


def wished(reference: str, pattern: str = "{namespace}-{service}") -> list[str]:
    namespace, _, name = reference.rpartition("/")
    ref = ServiceRef(NamespaceRef(DEFAULT_REGISTRY, namespace), name)
    return list(Names(Options(service_name=pattern)).wished(ref))


def test_a_name_is_a_dns_label_of_both_names() -> None:
    assert wished("test-namespace/flask-app")[0] == "test-namespace-flask-app"
    assert wished("test-namespace/flask-app", "{service}")[0] == "flask-app"


def test_a_name_that_is_no_label_has_a_hash_and_so_has_the_second_choice() -> None:
    for reference in ("ns/Flask", "ns/a.b", "ns/a_b", "a/b/c", f"ns/{'x' * 80}", "ns/-._", "_._/_"):
        (only,) = wished(reference)
        assert len(only) <= 63
        assert only.isascii()
        assert only.replace("-", "").isalnum()
        assert only == only.lower().strip("-")
    assert len({wished(each)[-1] for each in ("ns/web", "ns/Web", "ns/WEB", "n/s-web")}) == 4


async def test_two_services_that_would_have_one_name_have_two(consul: Consul, fresh: str) -> None:
    async with opened(consul) as registry:
        first = await made(registry, f"{fresh}/a-b")
        second = await made(registry, f"{fresh}-a/b")
        await must(registry, first, register("one"))
        await must(registry, second, register("two"))
        assert set(await listed(registry, first)) == {"one"}
        assert set(await listed(registry, second)) == {"two"}
        names = {name for name in consul.get("/v1/catalog/services") if name.startswith(fresh)}
        assert f"{fresh}-a-b" in names
        assert len(names) == 2


async def test_a_name_is_free_again_once_its_service_is_removed(registry: ConsulRegistry, fresh: str) -> None:
    first = await made(registry, f"{fresh}/a-b")
    await registry.remove(first)
    second = await made(registry, f"{fresh}-a/b")
    await must(registry, second, register("two"))
    with pytest.raises(NotFound):
        await registry.instances(first)


async def test_a_namespace_may_have_any_visible_name(registry: ConsulRegistry, fresh: str) -> None:
    for name in (f"{fresh}/with/slashes", f"..{fresh}", f"%2F{fresh}?#&", f"{fresh}:@"):
        service = await made(registry, f"{name}/web")
        await must(registry, service, register("a"))
        assert set(await listed(registry, service)) == {"a"}
        assert [each.spec.ref for each in await registry.find(service.namespace)] == [service]
        assert name in {each.spec.ref.name for each in await registry.find(None)}


async def test_what_somebody_spoilt_by_hand_hurts_no_other(
    consul: Consul, registry: ConsulRegistry, fresh: str
) -> None:
    service = await made(registry, f"{fresh}/web")
    consul.put(f"/v1/kv/kube-registrar/services/{fresh}/spoilt", b"not json")
    consul.put(f"/v1/kv/kube-registrar/services/{fresh}/folder/", b"")
    assert [each.spec.ref for each in await registry.find(service.namespace)] == [service]


def test_the_policy_is_for_the_defaults() -> None:
    text = (Path(__file__).parents[3] / "deploy/consul/policy.hcl").read_text(encoding="utf-8")
    assert f'key_prefix "{Options().prefix}"' in text
    assert f'node "{Options().node}"' in text
