"""The Cloud Map backend keeps the contract, over real boto3 and the wire of the embedded registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries import cloudmap, embedded
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.testing.contract import RegistryContract
from tests.contract.patient import Patient

# The server keeps to no rates, and what is tested here is not the waiting.
UNLIMITED = dict.fromkeys(DEFAULT_RATES, "100000/100000")


class TestCloudMap(RegistryContract):
    simulated = ""

    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fence: Fence) -> AsyncIterator[Registry]:
        async with self.opened(tmp_path, monkeypatch, fence) as registry:
            yield registry

    @asynccontextmanager
    async def opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fence: Fence) -> AsyncIterator[Registry]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        clock = SystemClock()
        kept = {"data": tmp_path, "customHealthDelaySeconds": 0, "simulate": self.simulated}
        async with (
            embedded.open_registry(kept, DEFAULT_REGISTRY, clock) as catalog,
            serve(app(catalog, simulation(self.simulated), clock), "127.0.0.1", 0) as port,
        ):
            config = {
                "region": "us-east-1",
                "endpointUrl": f"http://127.0.0.1:{port}",
                "rates": UNLIMITED,
                "pollSeconds": 0.01,
            }
            async with cloudmap.open_registry(config, DEFAULT_REGISTRY, clock, fence) as registry:
                yield registry


@pytest.mark.extended
class TestSlowThrottledCloudMap(TestCloudMap):
    """Operations that take their time, as they do in AWS, and more requests than are let through."""

    simulated = "operation-delay=10ms-60ms,throttle=400/3"


@pytest.mark.extended
class TestFaultyCloudMap(TestCloudMap):
    """Requests that fail before or after they were done. Whoever asks does it again, as the engine does."""

    simulated = "operation-delay=5ms,faults=0.06,lost-replies=0.04,late-failure=0.04"

    @pytest.fixture
    async def registry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fence: Fence) -> AsyncIterator[Registry]:
        async with self.opened(tmp_path, monkeypatch, fence) as registry:
            yield Patient(registry)
