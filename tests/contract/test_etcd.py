"""etcd keeps the contract, asked directly and behind connections that break."""

from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.etcd import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import RegistryContract
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import keys_of_its_own, one_member

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with one_member(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


class TestEtcd(RegistryContract):
    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    def config(self, etcd: EtcdCluster) -> dict[str, object]:
        return keys_of_its_own(etcd)

    @pytest.fixture
    async def registry(self, config: dict[str, object], fence: Fence) -> AsyncIterator[Registry]:
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
            yield registry

    @pytest.fixture
    async def second(self, config: dict[str, object]) -> AsyncIterator[Registry]:
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
            yield registry
