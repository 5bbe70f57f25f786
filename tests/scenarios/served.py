"""An embedded registry and its Cloud Map API as a process: `python -m tests.scenarios.served FOLDER PORT [TROUBLES]`.

TROUBLES is a file that is looked at before each request: `{"OPERATION": ["CODE", "message"]}`, where the operation `*`
is every other one. What it names is answered with that error; an empty file, or none, is no trouble.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve


async def main(data: str, port: int, troubles: str = "") -> None:
    """Serve until killed."""

    @web.middleware
    async def troubled(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        found = told(troubles)
        code, message = found.get(operation, found.get("*", ("", "")))
        if code:
            return web.json_response({"__type": code, "message": message}, status=400)
        response: web.StreamResponse = await handler(request)  # type: ignore[misc]
        return response

    clock = SystemClock()
    async with open_registry({"data": data}, DEFAULT_REGISTRY, clock) as registry:
        application = app(registry, simulation(""), clock)
        application.middlewares.append(troubled)
        async with serve(application, "127.0.0.1", port):
            await asyncio.Event().wait()


def told(path: str) -> dict[str, tuple[str, str]]:
    """Return the troubles of now."""
    text = Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else ""
    return {operation: (code, message) for operation, (code, message) in json.loads(text or "{}").items()}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
