"""Users with roles, tokens that run out, certificates that are wrong and renewed: each said in one sentence."""

import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kube_registrar.model.errors import Forbidden, Unreachable
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.etcd.faults import of_transport
from kube_registrar.testing.contract.base import listed, must, register
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.certificates import Authority
from tests.registries.etcd.ground import answers, guard, opened, service_in, until

pytestmark = pytest.mark.extended

EDGE = RegistryName("edge")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.fail("these tests make certificates with openssl, which is not installed", pytrace=False)
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A member that knows root and registrar, the latter with the role that our script grants."""
    with EtcdCluster(tmp_path_factory.mktemp("guarded")) as etcd:
        guard(etcd)
        yield etcd


@pytest.fixture
def as_user(guarded: EtcdCluster, tmp_path: Path) -> dict[str, Any]:
    password = tmp_path / "password"
    password.write_text("secret\n", encoding="utf-8")
    return {"endpoints": list(guarded.endpoints), "user": "registrar", "passwordFile": str(password)}


async def test_the_role_of_our_script_is_enough(as_user: Mapping[str, Any]) -> None:
    async with opened(as_user) as registry:
        service = await service_in(registry, "granted.example.com")
        await must(registry, service, register("a"))
        hints = registry.changed()
        assert await anext(hints) is None
        await hints.aclose()  # type: ignore[attr-defined]
        assert set(await listed(registry, service)) == {"a"}


async def test_keys_that_the_role_has_not_are_said(as_user: Mapping[str, Any]) -> None:
    async with opened({**as_user, "prefix": "/other/"}, EDGE) as registry:
        with pytest.raises(Forbidden) as caught:
            await registry.find(None)
    assert str(caught.value) == (
        "registry edge: listing the registry namespaces: etcd denies this user these keys. Needed: readwrite on the "
        "keys that begin with the options prefix and skydnsPath: deploy/etcd/role.sh grants it"
    )


async def test_a_wrong_password_is_said_and_a_corrected_file_is_read_again(as_user: Mapping[str, Any]) -> None:
    write = Path(as_user["passwordFile"]).write_text
    write("wrong")
    async with opened(as_user, EDGE) as registry:
        with pytest.raises(Unreachable) as caught:
            await registry.find(None)
        assert str(caught.value) == (
            "registry edge: listing the registry namespaces: etcd does not know this user with this password. "
            "Correct them"
        )
        write("secret")
        await registry.find(None)


async def test_no_user_is_said(as_user: Mapping[str, Any]) -> None:
    async with opened({"endpoints": as_user["endpoints"]}, EDGE) as registry:
        with pytest.raises(Unreachable, match=r"etcd asks who we are. Give the options user and passwordFile"):
            await registry.find(None)


async def test_a_token_that_a_restart_forgot_is_renewed(guarded: EtcdCluster, as_user: Mapping[str, Any]) -> None:
    async with opened(as_user) as registry:
        service = await service_in(registry, "restarted.example.com")
        guarded.kill()
        guarded.start()
        await until(partial(answers, registry))
        await must(registry, service, register("a"))
        assert set(await listed(registry, service)) == {"a"}


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EtcdCluster]:
    """A member that asks for certificates."""
    cert, key = authority.issue("server")
    flags = (f"--cert-file={cert}", f"--key-file={key}", f"--trusted-ca-file={authority.ca}", "--client-cert-auth")
    etcd = EtcdCluster(tmp_path_factory.mktemp("encrypted"), 1, *flags, scheme="https")
    try:
        yield etcd.start()
    finally:
        etcd.kill()


@pytest.fixture
async def with_certificate(encrypted: EtcdCluster, authority: Authority) -> dict[str, Any]:
    cert, key = authority.issue("client")
    options = {"caFile": str(authority.ca), "certFile": str(cert), "keyFile": str(key)}
    return {"endpoints": list(encrypted.endpoints), **options}


async def answering(options: Mapping[str, Any]) -> None:
    """Wait until it listens."""
    async with opened(options) as registry:
        await until(partial(answers, registry))


async def test_a_certificate_that_ran_out_is_said_and_a_renewed_one_is_read(
    with_certificate: Mapping[str, Any], authority: Authority
) -> None:
    await answering(with_certificate)
    authority.issue("client", expired=True)
    async with opened(with_certificate, EDGE) as registry:
        with pytest.raises(Unreachable) as caught:
            await registry.find(None)
        assert "does not take our certificate" in str(caught.value)
        assert "Renew certFile and keyFile" in str(caught.value)
        authority.issue("client")
        await until(partial(answers, registry))
        service = await service_in(registry)
        await must(registry, service, register("a"))


async def test_a_server_that_another_authority_signed_is_said(
    with_certificate: Mapping[str, Any], tmp_path: Path
) -> None:
    await answering(with_certificate)
    async with opened({**with_certificate, "caFile": str(Authority(tmp_path).ca)}, EDGE) as registry:
        with pytest.raises(Unreachable, match=r"certificate of https://127.0.0.1:.* is not valid: .*correct caFile"):
            await registry.find(None)


async def test_a_file_that_is_no_certificate_is_said(with_certificate: Mapping[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "nothing.crt"
    file.write_text("nothing", encoding="utf-8")
    async with opened({**with_certificate, "certFile": str(file)}, EDGE) as registry:
        with pytest.raises(Unreachable, match="a certificate file cannot be used"):
            await registry.find(None)


async def test_nobody_who_listens_is_said() -> None:
    async with opened({"endpoints": ["http://127.0.0.1:1"]}, EDGE) as registry:
        with pytest.raises(Unreachable, match=r"no connection to http://127.0.0.1:1: .*Start it, or correct endpoints"):
            await registry.find(None)


def test_a_connection_that_closes_before_it_is_written_to_may_be_a_certificate_that_is_not_taken() -> None:
    error = aiohttp.ClientOSError(None, "Can not write request body")
    error.__cause__ = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    said = {member: str(of_transport(error, member, "a").error) for member in ("https://m:1", "http://m:1")}
    assert "it does not take our certificate, or goes down" in said["https://m:1"]
    assert "certificate" not in said["http://m:1"]
