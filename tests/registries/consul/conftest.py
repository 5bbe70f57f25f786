"""One Consul for all tests that leave it running: each makes namespaces of its own."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.testing.consul import Consul
from tests.registries.consul.ground import new_consul, opened


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    with new_consul(tmp_path_factory.mktemp("consul")) as consul:
        yield consul


@pytest.fixture(scope="session")
def closed_consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    """Nothing is allowed there without a token."""
    with new_consul(tmp_path_factory.mktemp("consul"), acl=True) as consul:
        yield consul


@pytest.fixture
async def registry(consul: Consul) -> AsyncIterator[ConsulRegistry]:
    async with opened(consul) as registry:
        yield registry


@pytest.fixture
def fresh() -> str:
    """The name of a registry namespace that no other test uses."""
    return f"ns-{secrets.token_hex(4)}"
