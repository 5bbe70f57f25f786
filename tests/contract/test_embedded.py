"""The embedded registry keeps the contract, asked directly."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import RegistryContract


class TestEmbedded(RegistryContract):
    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, tmp_path: Path, fence: Fence) -> AsyncIterator[Registry]:
        config = {"data": tmp_path, "customHealthDelaySeconds": 0}
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
            yield registry
