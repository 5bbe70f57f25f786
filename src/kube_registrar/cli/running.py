"""Running something until it is told to stop."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import uvloop

from kube_registrar.runtime.allocator import be_small

_log = logging.getLogger(__name__)


def until_signal(work: Callable[[], Coroutine[Any, Any, None]], stopping: str) -> None:
    """Run `work` until its end, or until SIGTERM or SIGINT: then it is cancelled, and `stopping` is logged."""
    be_small()  # before the first thread
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(work, stopping))


async def _until_signal(begin: Callable[[], Coroutine[Any, Any, None]], stopping: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_stop, stop, number.name, stopping))
    work = asyncio.create_task(begin(), name="work")
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


def _stop(stop: asyncio.Event, name: str, stopping: str) -> None:
    _log.info("%s: %s", name, stopping)
    stop.set()
