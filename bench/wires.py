"""What stands between an operator and its registry, and can be cut."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

_START_SECONDS = 10.0


class TcpWire:
    """Forwards TCP connections to a port of this machine, in a thread of its own, while the context lasts."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self._upstream = upstream
        self._is_down = False
        self._open = set[asyncio.StreamWriter]()
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="wire")

    def cut(self) -> None:
        """Break all connections; new ones are taken."""
        self._loop.call_soon_threadsafe(self._break)

    def down(self) -> None:
        """Break all connections, and each new one, until `up`."""
        self._is_down = True
        self.cut()

    def up(self) -> None:
        """Take connections again."""
        self._is_down = False

    def _break(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._break()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, up_writer}
        self._open |= pair
        try:
            await asyncio.gather(_pass(reader, up_writer), _pass(up_reader, writer))
        finally:
            self._open -= pair
            for each in pair:
                each.transport.abort()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError("the wire does not listen")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort() if reader.exception() else writer.close()
