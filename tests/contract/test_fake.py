"""The fake keeps the contract, so what is tested with it may be believed."""

from dataclasses import replace

import pytest

from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import LimitsContract, RegistryContract
from kube_registrar.testing.fake import LIKE_CLOUD_MAP, FakeRegistry


class TestFake(RegistryContract):
    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, fence: Fence) -> FakeRegistry:
        return FakeRegistry(fence=fence)


class TestSmallFake(LimitsContract):
    @pytest.fixture
    async def registry(self) -> FakeRegistry:
        few = replace(
            LIKE_CLOUD_MAP, max_instances=5, max_attributes=3, max_attribute_characters=90, max_attribute_value=20
        )
        return FakeRegistry(capabilities=few)
