"""The backend against moto: a smoke test, with what moto has in common with AWS, by a server that is not ours.

moto keeps duplicates, checks nothing and ends operations at once, so nothing more can be shown with it.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef
from kube_registrar.model.specs import NamespaceSpec
from kube_registrar.registries.cloudmap import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.contract.base import (
    CREATOR,
    attributes_of,
    deregister,
    listed,
    must,
    register,
    service_spec,
)
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until

ROOT = Path(__file__).parents[3]
MOTO = ROOT / ".venv-moto" / "bin" / "moto_server"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run moto's server; return its address."""
    if not MOTO.exists():
        pytest.fail(f"{MOTO} is missing: run `make .venv-moto/.synced`, which `make test` does by itself")
    port = free_port()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    log = tmp_path_factory.mktemp("moto") / "log"
    child = Child("moto", [str(MOTO), "-H", "127.0.0.1", "-p", str(port)], log, env=kept)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    wait_until(answers, lambda: f"moto to listen; its log says {log.read_text()}")
    yield f"http://127.0.0.1:{port}"
    child.kill()


@pytest.fixture
async def registry(moto: str, aws_environment: None) -> AsyncIterator[Registry]:
    config = {"region": "us-east-1", "endpointUrl": moto, "pollSeconds": 0.01}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield registry


async def test_a_service_is_made_filled_listed_emptied_and_removed(registry: Registry) -> None:
    namespace = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "moto"))
    made = await registry.ensure(namespace, CREATOR)
    assert [found.id for found in await registry.find(None)] == [made.id]
    spec = service_spec(namespace.ref, "web", description="of a smoke test")
    web = await registry.ensure(spec, CREATOR)
    assert [(found.id, found.spec.ref) for found in await registry.find(namespace.ref)] == [(web.id, spec.ref)]
    one, two = register("a", {"stage": "dev"}), register("b")
    await must(registry, spec.ref, one, two)
    assert await listed(registry, spec.ref) == {"a": attributes_of(one), "b": attributes_of(two)}
    await must(registry, spec.ref, deregister("a"), deregister("b"))
    assert await listed(registry, spec.ref) == {}
    await registry.remove(spec.ref)
    await registry.remove(namespace.ref)
    assert await registry.find(None) == ()
