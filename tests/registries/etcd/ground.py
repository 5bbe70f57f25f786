"""What the tests of etcd share: opening a registry, and a service in it."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.changes import Change
from kube_registrar.model.errors import RegistryError
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import NamespaceSpec, NamespaceType
from kube_registrar.registries.etcd import open_registry
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.registries.etcd.wire import encoded, end_of
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import apply
from kube_registrar.testing.errors import MissingBinaries
from kube_registrar.testing.etcd import EtcdCluster

TRIES_EVERY = 0.05
CREATOR = "kube-registrar/tests"
ROLE = Path(__file__).parents[3] / "deploy" / "etcd" / "role.sh"


@contextmanager
def one_member(folder: Path) -> Iterator[EtcdCluster]:
    """A cluster of one, that runs. The test fails, and says why, where etcd is not built."""
    try:
        cluster = EtcdCluster(folder)
    except MissingBinaries as error:
        pytest.fail(str(error), pytrace=False)
    with cluster:
        yield cluster


def keys_of_its_own(etcd: EtcdCluster) -> dict[str, object]:
    """Return the options of a registry whose keys are one test's alone."""
    name = secrets.token_hex(4)
    return {"endpoints": list(etcd.endpoints), "prefix": f"/registrar/{name}/", "skydnsPath": f"/sky-{name}"}


@asynccontextmanager
async def opened(
    options: Mapping[str, object], name: RegistryName = DEFAULT_REGISTRY, fence: Fence | None = None
) -> AsyncIterator[EtcdRegistry]:
    async with open_registry(options, name, SystemClock(), fence) as registry:
        assert isinstance(registry, EtcdRegistry)
        yield registry


async def service_in(registry: Registry, namespace: str = "example.com", name: str = "web", **spec: Any) -> ServiceRef:
    """Make a registry service, by default one with A records of 15 seconds, and its namespace."""
    parent = NamespaceRef(registry.name, namespace)
    await registry.ensure(NamespaceSpec(parent, NamespaceType.DNS_PUBLIC), CREATOR)
    wish = replace(builders.service_spec(**{"records": "A", "ttl_seconds": 15, **spec}), ref=ServiceRef(parent, name))
    await registry.ensure(wish, CREATOR)
    return wish.ref


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Ask until it holds."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - a process, which tells nobody
            await asyncio.sleep(TRIES_EVERY)


async def answers(registry: Registry) -> bool:
    """Whether etcd answers; it may not listen yet."""
    try:
        await registry.find(None)
    except RegistryError:
        return False
    return True


def guard(etcd: EtcdCluster) -> None:
    """Have etcd ask for users: root, and registrar with the role that our script grants."""
    for path, body in (
        ("user/add", {"name": "root", "password": "toor"}),
        ("user/grant", {"user": "root", "role": "root"}),
        ("user/add", {"name": "registrar", "password": "secret"}),
        ("role/add", {"name": "registrar"}),
    ):
        etcd.call(f"/v3/auth/{path}", body)
    for key, end in _granted():
        permission = {"permType": "READWRITE", "key": key, "range_end": end}
        etcd.call("/v3/auth/role/grant", {"name": "registrar", "perm": permission})
    etcd.call("/v3/auth/user/grant", {"user": "registrar", "role": "registrar"})
    etcd.call("/v3/auth/enable", {})


def _granted() -> list[tuple[str, str]]:
    """Return the ranges that the script grants, as the gateway takes them; its etcdctl only tells."""
    told = subprocess.run(
        ["sh", str(ROLE)], env={"ETCDCTL": "echo", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    prefixes = [line.split()[-1] for line in told.stdout.splitlines() if "grant-permission kube-registrar" in line]
    return [(encoded(each), encoded(end_of(each))) for each in prefixes]


async def changed(registry: EtcdRegistry, service: ServiceRef, changes: Sequence[Change]) -> None:
    """Make changes one by one, each asked for until it is confirmed, as the engine does."""
    for change in changes:

        async def is_made(change: Change = change) -> bool:
            return not [each for each in (await apply(registry, service, change)).values() if each.error]

        await until(is_made)
