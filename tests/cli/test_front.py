"""What a process serves of its registries: DNS where it is asked for, and one sentence where it cannot be."""

import logging
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kube_registrar.cli import front
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.testing.fake import FakeRegistry


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
        await front.serve_dns(stack, configuration("127.0.0.1:0"), registries, metrics)
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
        await front.serve_dns(stack, configuration(None), {}, metrics)
    assert b"dns" not in metrics.render()


async def test_a_registry_without_zones_is_one_sentence() -> None:
    registries = {DEFAULT_REGISTRY: FakeRegistry()}
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError) as caught:
            await front.serve_dns(stack, configuration("127.0.0.1:0"), registries, Metrics("0"))
    assert str(caught.value) == (
        "--dns-listen is 127.0.0.1:0, and no configured registry answers DNS: an embedded one does; configure one, "
        "or leave --dns-listen out"
    )


async def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        async with AsyncExitStack() as stack:
            opened = open_registry({"data": tmp_path}, DEFAULT_REGISTRY, SystemClock())
            registries = {DEFAULT_REGISTRY: await stack.enter_async_context(opened)}
            with pytest.raises(UserError) as caught:
                await front.serve_dns(stack, configuration(listen), registries, Metrics("0"))
    assert str(caught.value).startswith(f"{listen} is taken by another process: choose another port with --dns-listen")
