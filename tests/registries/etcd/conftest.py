"""One member of etcd for all tests of a file; each has keys of its own."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing.errors import MissingBinaries
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import opened


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster of one, that runs."""
    try:
        cluster = EtcdCluster(tmp_path_factory.mktemp("etcd"))
    except MissingBinaries as error:
        pytest.fail(str(error), pytrace=False)
    with cluster:
        yield cluster


@pytest.fixture
def options(etcd: EtcdCluster) -> dict[str, object]:
    """Options of a registry whose keys are this test's alone."""
    name = secrets.token_hex(4)
    return {"endpoints": list(etcd.endpoints), "prefix": f"/registrar/{name}/", "skydnsPath": f"/sky-{name}"}


@pytest.fixture
async def registry(options: dict[str, object]) -> AsyncIterator[EtcdRegistry]:
    """A registry on them."""
    async with opened(options) as registry:
        yield registry
