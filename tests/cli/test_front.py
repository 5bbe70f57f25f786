"""What a process serves of its registries: DNS where it is asked for, and one sentence where it cannot be."""

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import msgspec
import pytest

from kube_registrar.cli import front
from kube_registrar.cli.counting import new_metrics
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY, RegistryName
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.port import Capabilities, Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.testing import builders
from kube_registrar.testing.fake import LIKE_CLOUD_MAP, FakeRegistry


def configuration(listen: str | None) -> Configuration:
    return Configuration(registries={"default": RegistryEntry("embedded")}, dns_listen=listen)


async def test_dns_is_answered_counted_and_said_where_it_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = Metrics("0")
    async with AsyncExitStack() as stack:
        opened = open_registry({"data": tmp_path}, DEFAULT_REGISTRY, SystemClock())
        registries = {DEFAULT_REGISTRY: await stack.enter_async_context(opened)}
        await front.serve_dns(stack, configuration("127.0.0.1:0"), registries, SystemClock(), metrics)
        (line,) = (record for record in caplog.records if getattr(record, "serves", "") == "dns")
        address: str = line.address  # type: ignore[attr-defined]
        assert address.startswith("dns://127.0.0.1:")
        query = dns.message.make_query("example.org", "A")
        reply = await dns.asyncquery.udp(query, "127.0.0.1", port=int(address.rpartition(":")[2]), timeout=30)
        assert reply.rcode() == dns.rcode.REFUSED
    assert b'kube_registrar_dns_queries_total{code="REFUSED",type="A"} 1.0' in metrics.render()


async def test_without_an_address_there_is_no_dns(tmp_path: Path) -> None:
    metrics = Metrics("0")
    async with AsyncExitStack() as stack:
        await front.serve_dns(stack, configuration(None), {}, SystemClock(), metrics)
    assert b"dns" not in metrics.render()


async def test_where_no_registry_is_served_dns_is_one_sentence() -> None:
    registries = {DEFAULT_REGISTRY: FakeRegistry()}
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError) as caught:
            await front.serve_dns(stack, configuration("127.0.0.1:0"), registries, SystemClock(), Metrics("0"))
    assert str(caught.value) == (
        "--dns-listen is 127.0.0.1:0, and no configured registry is served: name one with --served-registry, configure "
        "an embedded one, or leave --dns-listen out"
    )


async def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        async with AsyncExitStack() as stack:
            opened = open_registry({"data": tmp_path}, DEFAULT_REGISTRY, SystemClock())
            registries = {DEFAULT_REGISTRY: await stack.enter_async_context(opened)}
            with pytest.raises(UserError) as caught:
                await front.serve_dns(stack, configuration(listen), registries, SystemClock(), Metrics("0"))
    assert str(caught.value).startswith(f"{listen} is taken by another process: choose another port with --dns-listen")


@pytest.mark.parametrize("given", [Configuration(access_keys="keys.yaml"), Configuration(tls_cert="tls.crt")])
async def test_keys_for_an_api_that_is_not_there_are_a_mistake(given: Configuration) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError, match="no registry is embedded, so there is no Cloud Map API to guard"):
            await front.serve_api(stack, given, {}, SystemClock(), new_metrics())


def served(capabilities: Capabilities = LIKE_CLOUD_MAP) -> tuple[Configuration, dict[RegistryName, Registry]]:
    given = Configuration(
        registries={"default": RegistryEntry("any")},
        dns_listen="127.0.0.1:0",
        api_listen="127.0.0.1:0",
        served_registry="default",
    )
    return given, {DEFAULT_REGISTRY: FakeRegistry(capabilities=capabilities)}


async def test_a_registry_that_answers_dns_itself_is_not_answered_for() -> None:
    given, registries = served(replace(LIKE_CLOUD_MAP, answers_dns=True))
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError) as caught:
            await front.serve_dns(stack, given, registries, SystemClock(), Metrics("0"))
    assert str(caught.value) == (
        "--dns-listen is given, and registry default answers DNS itself: leave --dns-listen out, and ask its own DNS "
        "server"
    )


async def test_nobody_asks_another_registry_without_a_key() -> None:
    given, registries = served()
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError) as caught:
            await front.serve_api(stack, given, registries, SystemClock(), new_metrics())
    assert str(caught.value) == (
        "registry default is not an embedded one, so whoever asks the Cloud Map API before it must have an access key, "
        "on loopback too: this process asks that registry with rights of its own, which are not everybody's; write a "
        'file like "- {accessKeyID: AKIAREADER0000000001, secretAccessKey: SECRET, role: read}", with what openssl '
        "rand -base64 30 says for SECRET, and give it with --access-keys FILE"
    )


async def test_the_api_and_dns_stand_before_any_registry_that_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    given, registries = served(replace(LIKE_CLOUD_MAP, record_types=frozenset()))
    fake = registries[DEFAULT_REGISTRY]
    assert isinstance(fake, FakeRegistry)
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"- {{accessKeyID: AKIAREADER0000000001, secretAccessKey: {'x' * 30}, role: read}}")
    keys.chmod(0o600)
    given = msgspec.structs.replace(given, access_keys=str(keys))
    fake.add(builders.namespace_spec("shop.example"))
    fake.add(builders.service_spec("shop.example/web"))
    fake.put(builders.service_ref("shop.example/web"), builders.instance("a"))
    async with AsyncExitStack() as stack:
        await front.serve_api(stack, given, registries, SystemClock(), new_metrics())
        await front.serve_dns(stack, given, registries, SystemClock(), Metrics("0"))
        found = {getattr(each, "serves", ""): getattr(each, "address", "") for each in caplog.records}
        assert found["api"].startswith("http://127.0.0.1:")
        port = int(found["dns"].rpartition(":")[2])
        query = dns.message.make_query("web.shop.example", "A")
        answers: list[str] = []
        async with asyncio.timeout(30):
            while not answers:
                reply = await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=30)
                answers = [item.to_text() for found in reply.answer for item in found]
        assert answers == ["10.0.0.1"]
