"""What the tests of etcd share: opening a registry, and a service in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from kube_registrar.model.errors import RegistryError
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import NamespaceSpec, NamespaceType
from kube_registrar.registries.etcd import open_registry
from kube_registrar.registries.etcd.registry import EtcdRegistry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing import builders

TRIES_EVERY = 0.05
CREATOR = "kube-registrar/tests"


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
