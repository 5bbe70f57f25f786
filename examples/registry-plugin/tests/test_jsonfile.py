"""The registry keeps the contract, and what is its own: a file that is whole, whoever writes at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kube_registrar_jsonfile import open_registry
from kube_registrar_jsonfile.registry import JsonFileRegistry

from kube_registrar.model.errors import Unreachable, UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.builders import namespace_spec
from kube_registrar.testing.contract import RegistryContract
from kube_registrar.testing.contract.base import CREATOR, must, register, service_spec


class TestContract(RegistryContract):
    """Every rule of the port. Three fixtures are all that it needs."""

    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def registry(self, tmp_path: Path, fence: Fence) -> AsyncIterator[JsonFileRegistry]:
        config = {"path": str(tmp_path / "registry.json")}
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock(), fence) as registry:
            yield registry

    @pytest.fixture
    async def second(self, tmp_path: Path) -> AsyncIterator[JsonFileRegistry]:
        config = {"path": str(tmp_path / "registry.json")}
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
            yield registry

    async def test_two_writers_at_once_lose_nothing(
        self, registry: JsonFileRegistry, namespace: NamespaceRef, tmp_path: Path
    ) -> None:
        service = service_spec(namespace)
        await registry.ensure(service, CREATOR)
        config = {"path": str(tmp_path / "registry.json")}
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as other:
            writers = {"a": registry, "b": other}
            wanted = [(writer, f"{name}-{number}") for number in range(20) for name, writer in writers.items()]
            await asyncio.gather(*(must(writer, service.ref, register(name)) for writer, name in wanted))
            assert len(await registry.instances(service.ref)) == len(wanted)

    async def test_a_file_that_is_damaged_is_said_and_left_alone(
        self, registry: JsonFileRegistry, tmp_path: Path
    ) -> None:
        (tmp_path / "registry.json").write_text("{")
        with pytest.raises(Unreachable, match="cannot be read"):
            await registry.find(None)
        assert (tmp_path / "registry.json").read_text() == "{"


@pytest.mark.parametrize("config", [{}, {"path": 7}, {"path": "/no/such/folder/file"}, {"path": "x", "more": 1}])
async def test_what_is_configured_wrongly_is_one_sentence(config: dict[str, object]) -> None:
    with pytest.raises(UserError, match="registry default has the"):
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()):
            pass


async def test_the_file_is_json_that_anybody_reads(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    async with open_registry({"path": str(path)}, DEFAULT_REGISTRY, SystemClock()) as registry:
        await registry.ensure(namespace_spec("shop"), CREATOR)
    assert list(json.loads(path.read_text())["namespaces"]) == ["shop"]
