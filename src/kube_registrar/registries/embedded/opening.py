"""Opening an embedded registry, and closing it in an order that loses nothing."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping

from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.embedded import database, effects, health, storage
from kube_registrar.registries.embedded.checks.checker import Checker
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.ledger import Ledger
from kube_registrar.registries.embedded.options import options
from kube_registrar.registries.embedded.quotas import CLOUD_MAP
from kube_registrar.registries.embedded.registry import EmbeddedRegistry, capabilities
from kube_registrar.registries.embedded.writer import Writer
from kube_registrar.registries.port import PORT_VERSION, for_one_process, written_for
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence


@for_one_process
@written_for(PORT_VERSION, capabilities(CLOUD_MAP))
@contextlib.asynccontextmanager
async def open_registry(
    config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[EmbeddedRegistry]:
    """Open the registry with its data in the folder `config["data"]`; see `options.KNOWN` for the other options.

    Raises UserError, one sentence with the next step: for an option, a folder or file that cannot be used, a damaged
    database, one of a newer version, and one that another process has open.
    """
    chosen = options(config, name)
    async with contextlib.AsyncExitStack() as stack:
        # Checking a large file takes a while: not in the event loop.
        holder = contextlib.ExitStack()
        stack.push_async_callback(asyncio.to_thread, holder.close)
        connection = await asyncio.to_thread(
            holder.enter_context, database.opened(chosen.data, int(clock.time() * 1000))
        )
        loaded = await asyncio.to_thread(storage.load, connection)
        dice = random.Random(chosen.simulation.seed)
        writer = Writer(connection)
        ledger = Ledger(loaded.state, writer, clock, simulation=chosen.simulation, dice=dice, rules=effects)
        core = Core(chosen, loaded.state, writer, ledger, clock, dice)
        writer.start()
        stack.push_async_callback(writer.close)
        stack.push_async_callback(_stop, core)
        ledger.resume(loaded.unfinished)
        health.resume(core)
        Checker(core).start()
        yield EmbeddedRegistry(core, name, fence or Fence(clock))


async def _stop(core: Core) -> None:
    """End what waits for its time; what is stored of it is gone on with at the next start."""
    core.state.followers.clear()  # What the last commits change begins nothing any more.
    await core.ledger.close()
    for task in list(core.tasks):
        task.cancel()
    await asyncio.gather(*core.tasks, return_exceptions=True)
