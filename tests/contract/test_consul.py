"""The Consul backend keeps the contract, over a real Consul: open, and with ACLs by a token of our policy alone."""

from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.consul import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import RegistryContract
from tests.registries.consul.ground import POLICY, new_consul

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def open_consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The options of a Consul that asks for no token."""
    with new_consul(tmp_path_factory.mktemp("consul")) as consul:
        yield {"address": consul.address}


@pytest.fixture(scope="module")
def closed_consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The options of a Consul that allows nothing but what deploy/consul/policy.hcl allows."""
    folder = tmp_path_factory.mktemp("consul")
    with new_consul(folder, acl=True) as consul:
        token = folder / "token"
        token.write_text(consul.token(POLICY.read_text(encoding="utf-8"), "kube-registrar"), encoding="ascii")
        yield {"address": consul.address, "tokenFile": str(token)}


class TestConsul(RegistryContract):
    consul = "open_consul"

    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, request: pytest.FixtureRequest, fence: Fence) -> AsyncIterator[Registry]:
        config = request.getfixturevalue(self.consul)
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
            yield registry

    @pytest.fixture
    async def second(self, request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
        async with open_registry(request.getfixturevalue(self.consul), DEFAULT_REGISTRY, SystemClock()) as registry:
            yield registry


class TestConsulByOurPolicy(TestConsul):
    consul = "closed_consul"
