"""`kube-registrar serve`: one registry and what stands before it, until it is told to stop."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from kube_registrar.cli import front
from kube_registrar.cli.counting import new_metrics
from kube_registrar.cli.loopback import on_this_machine
from kube_registrar.cli.running import until_signal
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.opening import opened
from kube_registrar.runtime.allocator import take_stock
from kube_registrar.runtime.clock import SystemClock

DRAIN_SECONDS: Final = 10.0
"""How long open requests may take when it is stopped: Kubernetes kills after 30."""


def serve(configuration: Configuration) -> None:
    """Run until SIGTERM or SIGINT. Raises UserError for what a person must change."""
    until_signal(partial(_serve, configuration), "stopping; open requests are answered first")


async def _serve(configuration: Configuration) -> None:
    clock = SystemClock()
    metrics = new_metrics()
    metrics.leader.set(1)
    name = RegistryName(configuration.default_registry)
    entry = on_this_machine(configuration.registries[name])
    missing = ["the registry is not open yet"]
    async with AsyncExitStack() as stack:
        # First and to the last: a large file takes a while to be checked, and a probe must be answered meanwhile.
        await front.serve_probes(stack, configuration, metrics, lambda: missing, list)
        registry = await stack.enter_async_context(opened(entry.kind, entry.options, name, clock))
        served = {name: registry}
        take_stock()
        front.check_dns(configuration, served)
        await front.serve_api(stack, configuration, served, clock, metrics, close_seconds=DRAIN_SECONDS)
        await front.serve_dns(stack, configuration, served, clock, metrics)
        missing.clear()
        try:
            await asyncio.Event().wait()
        finally:
            missing.append("this process is stopping")
