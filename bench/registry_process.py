"""A registry in a process of its own, so that its work is not the operator's; it notes every request it gets.

python -m bench.registry_process FOLDER PORT REQUESTS [SIMULATE]
"""

import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve
from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.place import ROOT

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it came and when it was answered (Unix seconds), how, and about which instance."""

    came: float
    answered: float
    status: int
    operation: str
    instance_id: str

    @property
    def is_accepted(self) -> bool:
        """Whether it was carried out, as far as the answer says."""
        return self.status == HTTPStatus.OK


class RegistryProcess:
    """An embedded registry that can be stopped and started on the same data and the same port."""

    def __init__(self, folder: Path, simulate: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "registry"
        self._folder = folder
        self._simulate = simulate
        self._port = free_port()
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where its Cloud Map API is."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> "RegistryProcess":
        """Start it, and wait until it answers."""
        arguments = [str(self.data), str(self._port), str(self._requests), self._simulate]
        command = [sys.executable, "-m", "bench.registry_process", *arguments]
        self._child = Child("the registry", command, self._folder / "registry.log", cwd=ROOT)
        wait_until(self._answers, "the registry to answer")
        return self

    def stop(self) -> None:
        """Kill it, as a machine that loses power would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def requests(self, since: float = 0.0) -> Counter[str]:
        """Return how often each operation was asked for since then (Unix seconds)."""
        return Counter(one.operation for one in self.noted(since))

    def noted(self, since: float = 0.0, operation: str = "") -> Sequence[Request]:
        """Return the requests that came since then, of one operation or of all, in the order of their answers."""
        found = []
        for line in self._requests.read_text(encoding="ascii").splitlines():
            came, answered, status, name, instance_id = line.split(" ")
            if float(came) > since and operation in {"", name}:
                found.append(Request(float(came), float(answered), int(status), name, instance_id))
        return found

    def again(self, simulate: str = "") -> None:
        """Start it anew on the same data, with other troubles."""
        self.stop()
        self._simulate = simulate
        self.start()

    @property
    def _requests(self) -> Path:
        return self._folder / "requests"

    def _answers(self) -> bool:
        try:
            _DIRECT.open(self.url, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()  # a request that names no operation is refused: it is there
            return True
        except OSError:
            return False
        return True


def _noting(requests: TextIO) -> Middleware:
    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        came, status = time.time(), 0
        try:
            answer = await handler(request)
            status = answer.status
            return answer
        finally:
            if operation:
                about = _instance_id(await request.read())
                requests.write(f"{came:.4f} {time.time():.4f} {status} {operation} {about}\n")

    return note


def _instance_id(body: bytes) -> str:
    """Return whom a request is about; empty where it is about no instance."""
    wanted: Any = json.loads(body or b"{}")
    return str(wanted.get("InstanceId", "")) if isinstance(wanted, dict) else ""


async def _serve(data: Path, port: int, requests: Path, simulate: str) -> None:
    clock, troubles = SystemClock(), simulation(simulate)
    with requests.open("a", encoding="ascii", buffering=1) as notes:
        async with AsyncExitStack() as stack:
            config = {"data": data, "simulate": simulate}
            registry = await stack.enter_async_context(open_registry(config, DEFAULT_REGISTRY, clock))
            application = app(registry, troubles, clock)
            application.middlewares.append(_noting(notes))
            await stack.enter_async_context(serve(application, "127.0.0.1", port))
            await asyncio.Event().wait()


if __name__ == "__main__":
    folder, number, noted, switches = sys.argv[1:]
    asyncio.run(_serve(Path(folder), int(number), Path(noted), switches))
