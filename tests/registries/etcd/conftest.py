"""One member of etcd for all tests of a file; each has keys of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.testing.etcd import EtcdCluster
from tests.registries.etcd.ground import keys_of_its_own, one_member, opened


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster of one, that runs."""
    with one_member(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def options(etcd: EtcdCluster) -> dict[str, object]:
    """Options of a registry whose keys are this test's alone."""
    return keys_of_its_own(etcd)


@pytest.fixture
async def registry(options: dict[str, object]) -> AsyncIterator[EtcdRegistry]:
    """A registry on them."""
    async with opened(options) as registry:
        yield registry
