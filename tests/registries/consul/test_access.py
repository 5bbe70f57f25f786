"""Tokens and certificates: what is wrong is said with what to do, and is over by itself once it is done."""

from pathlib import Path

import pytest

from kube_registrar.model.errors import Forbidden, RegistryError, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef
from kube_registrar.model.specs import NamespaceSpec
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import apply, deregister, listed, must, register
from tests.registries.consul.ground import CREATOR, POLICY, certificate, made, new_consul, opened

pytestmark = pytest.mark.extended


def write_token(folder: Path, token: str) -> Path:
    path = folder / "token"
    path.write_text(f"{token}\n", encoding="ascii")
    return path


async def test_a_token_that_consul_does_not_know_is_said_and_another_one_is_read(
    closed_consul: Consul, tmp_path: Path, fresh: str
) -> None:
    token = write_token(tmp_path, "11111111-2222-3333-4444-555555555555")
    async with opened(closed_consul, tokenFile=str(token)) as registry:
        with pytest.raises(Unreachable, match=r"does not know the token in .*tokenFile.*policy\.hcl") as raised:
            await registry.find(None)
        assert not raised.value.doubtful
        write_token(tmp_path, closed_consul.token(POLICY.read_text(encoding="utf-8"), f"p-{fresh}"))
        service = await made(registry, f"{fresh}/web")
        await must(registry, service, register("a"))
        token.unlink()
        with pytest.raises(Unreachable, match="tokenFile"):
            await registry.instances(service)
        write_token(tmp_path, "")
        with pytest.raises(Unreachable, match="holds no token"):
            await registry.instances(service)


async def test_without_a_token_the_missing_rule_is_named(closed_consul: Consul, fresh: str) -> None:
    async with opened(closed_consul) as registry:
        with pytest.raises(Forbidden, match="anonymous token"):
            await registry.ensure(NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, fresh)), CREATOR)


@pytest.mark.parametrize(
    ("left_out", "rule"),
    [
        ("key_prefix", 'key_prefix "kube-registrar/" { policy = "write" }'),
        ("service_prefix", 'service_prefix "" { policy = "'),
        ("node ", 'node "kube-registrar" { policy = "write" }'),
    ],
)
async def test_each_rule_of_our_policy_is_needed_and_named_where_it_lacks(
    closed_consul: Consul, tmp_path: Path, fresh: str, left_out: str, rule: str
) -> None:
    parts = [part for part in POLICY.read_text(encoding="utf-8").split("\n\n") if f"\n{left_out}" not in part]
    assert len(parts) == 4, "one of five was taken out"
    token = write_token(tmp_path, closed_consul.token("\n\n".join(parts), f"p-{fresh}"))
    async with opened(closed_consul, tokenFile=str(token)) as registry:
        error: RegistryError | None
        try:
            service = await made(registry, f"{fresh}/web")
            error = (await apply(registry, service, register("a")))[InstanceId("a")].error
        except RegistryError as raised:
            error = raised
        assert isinstance(error, Forbidden)
        assert rule in error.rule
        assert rule in str(error)


async def test_an_answer_from_which_something_was_left_out_is_no_answer(
    closed_consul: Consul, tmp_path: Path, fresh: str
) -> None:
    """Else instances that may not be read would look as if they were gone."""
    rules = POLICY.read_text(encoding="utf-8").partition("\n# Registering instances")[0]
    narrow = f'{rules}\nservice_prefix "{fresh}-" {{ policy = "write" }}\n'
    token = write_token(tmp_path, closed_consul.token(narrow, f"p-{fresh}"))
    async with opened(closed_consul, tokenFile=str(token)) as registry:
        service = await made(registry, f"{fresh}/web")
        await must(registry, service, register("a"))
        assert set(await listed(registry, service)) == {"a"}
        entry = {"ID": "theirs", "Service": f"{fresh}-web", "Address": "192.0.2.7"}
        closed_consul.put("/v1/catalog/register", {"Node": "machine", "Address": "192.0.2.7", "Service": entry})
        with pytest.raises(Forbidden, match="node_prefix"):
            await registry.instances(service)
        await must(registry, service, deregister("a"))


async def test_certificates_prove_both_sides_and_are_read_again(tmp_path: Path, fresh: str) -> None:
    server, server_key = certificate(tmp_path / "server", "server")
    client, client_key = certificate(tmp_path / "client", "client")
    expired, expired_key = certificate(tmp_path / "expired", "client", is_expired=True)
    both = tmp_path / "clients.pem"
    both.write_bytes(client.read_bytes() + expired.read_bytes())
    tls = {
        "cert_file": str(server),
        "key_file": str(server_key),
        "ca_file": str(both),
        "verify_incoming": True,
        "tls_min_version": "TLSv1_2",
    }
    with new_consul(tmp_path / "consul", settings={"tls": {"https": tls}}, https=True) as consul:
        own, own_key = tmp_path / "own.crt", tmp_path / "own.key"
        own.write_bytes(expired.read_bytes())
        own_key.write_bytes(expired_key.read_bytes())
        options = {"caFile": str(server), "certFile": str(own), "keyFile": str(own_key)}
        async with opened(consul, address=consul.https_address, **options) as registry:
            with pytest.raises(Unreachable) as raised:
                await registry.find(None)
            assert not raised.value.doubtful
            own.write_bytes(client.read_bytes())
            own_key.write_bytes(client_key.read_bytes())
            service = await made(registry, f"{fresh}/web")
            await must(registry, service, register("a"))
        async with opened(consul, address=consul.https_address, caFile=str(client)) as registry:
            with pytest.raises(Unreachable, match="certificate"):
                await registry.find(None)
