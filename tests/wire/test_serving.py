"""Listening: on this machine only, on a port that is free."""

import socket
from pathlib import Path

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import Simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve
from kube_registrar.server.cloudmap.catalog import Catalog


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])
async def test_only_this_machine_may_be_served(tmp_path: Path, host: str) -> None:
    clock = SystemClock()
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        with pytest.raises(UserError) as caught:
            async with serve(app(registry, Simulation(), clock), host, 0):
                pass
    assert str(caught.value) == (
        f"The Cloud Map API cannot listen on {host or 'all addresses'} without access keys: beyond this machine every "
        "request must be signed; give it keys with --access-keys FILE, or use 127.0.0.1 with --api-listen"
    )


async def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    clock = SystemClock()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
            with pytest.raises(UserError) as caught:
                async with serve(app(registry, Simulation(), clock), "127.0.0.1", port):
                    pass
    assert str(caught.value) == (
        f"127.0.0.1:{port} is taken by another process: choose another port with --api-listen HOST:PORT (0: a free one)"
    )


async def test_localhost_is_served_and_left(tmp_path: Path) -> None:
    clock = SystemClock()
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        async with serve(app(registry, Simulation(), clock), "localhost", 0) as port:
            socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


async def test_the_registry_has_both_faces(tmp_path: Path) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, SystemClock()) as registry:
        catalog: Catalog = registry
        port: Registry = registry
        assert isinstance(catalog, Catalog)
        assert port.name == DEFAULT_REGISTRY
