"""An embedded registry and its Cloud Map API as a process: `python -m tests.scenarios.served FOLDER PORT`."""

import asyncio
import sys

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve


async def main(data: str, port: int) -> None:
    """Serve until killed."""
    clock = SystemClock()
    async with (
        open_registry({"data": data}, DEFAULT_REGISTRY, clock) as registry,
        serve(app(registry, simulation(""), clock), "127.0.0.1", port),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
