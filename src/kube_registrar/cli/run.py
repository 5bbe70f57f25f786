"""`kube-registrar run`: the operator, until it is told to stop."""

import asyncio
import logging
import signal
from functools import partial

import uvloop

from kube_registrar.cli.composition import operate
from kube_registrar.declared.settings import Configuration
from kube_registrar.runtime.allocator import be_small

_log = logging.getLogger(__name__)


def run(configuration: Configuration) -> None:
    """Run until SIGTERM or SIGINT. Stopping deregisters nothing: the pods live on.

    Raises UserError, in a group if several parts were at work, for what a person must change.
    """
    be_small()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(configuration))


async def _until_signal(configuration: Configuration) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_stop, stop, number.name))
    work = asyncio.create_task(operate(configuration), name="operator")
    waiting = asyncio.create_task(stop.wait(), name="signals")
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        return work.result()
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()
    return None


def _stop(stop: asyncio.Event, name: str) -> None:
    _log.info("%s: stopping; nothing is deregistered", name)
    stop.set()
