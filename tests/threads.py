"""Servers in a thread of a test: what speaks to them blocks, as any client does."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def held_open(context: AbstractAsyncContextManager[T], name: str) -> Iterator[T]:
    """Hold this open in the event loop of a thread; what goes wrong there, also at its end, is raised here."""
    ready, stop = threading.Event(), asyncio.Event()
    found, loops, failed = list[T](), list[asyncio.AbstractEventLoop](), list[BaseException]()

    async def main() -> None:
        async with context as opened:
            loops.append(asyncio.get_running_loop())
            found.append(opened)
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - told in the test's thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name=name)
    thread.start()
    try:
        assert ready.wait(30)
        if found:
            yield found[0]
    finally:
        if thread.is_alive() and loops:
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(30)
    if failed:
        raise failed[0]


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve HTTP in a thread, and give the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
