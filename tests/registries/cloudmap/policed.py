"""The embedded registry behind a wire that lets through what one IAM policy allows, and writes down what was asked."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries import cloudmap, embedded
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve

UNLIMITED = dict.fromkeys(DEFAULT_RATES, "100000/100000")


@dataclass
class Police:
    """The backend under test, the truth behind the wire, and the operations that were asked for."""

    registry: Registry
    truth: EmbeddedRegistry
    allowed: Collection[str]
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def outside(self) -> set[str]:
        return set(self.asked) - set(self.allowed)


def denied(operation: str) -> web.Response:
    action = f"servicediscovery:{operation}"
    message = (
        f"User: arn:aws:sts::123456789012:assumed-role/kube-registrar/web is not authorized to perform: {action} on "
        f"resource: arn:aws:servicediscovery:us-east-1:123456789012:service/* because no identity-based policy allows "
        f"the {action} action"
    )
    return web.json_response({"__type": "AccessDeniedException", "message": message}, status=400)


@asynccontextmanager
async def policed(folder: Path, allowed: Collection[str], fence: Fence | None = None) -> AsyncIterator[Police]:
    """Serve an embedded registry, and open the backend before it. `allowed` may be changed at any time."""
    clock = SystemClock()
    kept = {"data": folder, "customHealthDelaySeconds": 0}
    async with embedded.open_registry(kept, DEFAULT_REGISTRY, clock) as truth:
        police: Police

        @web.middleware
        async def guard(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
            operation = request.headers["X-Amz-Target"].rpartition(".")[2]
            police.asked[operation] += 1
            if operation not in police.allowed:
                return denied(operation)
            response: web.StreamResponse = await handler(request)  # type: ignore[misc]
            return response

        application = app(truth, simulation(""), clock)
        application.middlewares.append(guard)
        async with serve(application, "127.0.0.1", 0) as port:
            config = {
                "region": "us-east-1",
                "endpointUrl": f"http://127.0.0.1:{port}",
                "rates": UNLIMITED,
                "pollSeconds": 0.01,
            }
            async with cloudmap.open_registry(config, DEFAULT_REGISTRY, clock, fence) as registry:
                police = Police(registry, truth, allowed)
                yield police
