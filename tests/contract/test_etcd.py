"""etcd keeps the contract, asked directly and behind connections that break."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.etcd import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import RegistryContract
from kube_registrar.testing.errors import MissingBinaries
from kube_registrar.testing.etcd import EtcdCluster

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    try:
        cluster = EtcdCluster(tmp_path_factory.mktemp("etcd"))
    except MissingBinaries as error:
        pytest.fail(str(error), pytrace=False)
    with cluster:
        yield cluster


class TestEtcd(RegistryContract):
    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, etcd: EtcdCluster, fence: Fence) -> AsyncIterator[Registry]:
        name = secrets.token_hex(4)
        config = {"endpoints": list(etcd.endpoints), "prefix": f"/registrar/{name}/", "skydnsPath": f"/sky-{name}"}
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
            yield registry
