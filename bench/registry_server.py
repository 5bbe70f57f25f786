"""The embedded registry behind its wire, alone in a process and on one core, as `kube-registrar serve` runs it.

python -m bench.registry_server FOLDER PORT CORE
"""

import asyncio
import os
import sys
from pathlib import Path

import uvloop

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import Simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap import app, serve


async def _serve(folder: Path, port: int) -> None:
    clock = SystemClock()
    async with (
        open_registry({"data": folder}, DEFAULT_REGISTRY, clock) as registry,
        serve(app(registry, Simulation(), clock), "127.0.0.1", port),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    data, number, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Path(data), int(number)))
