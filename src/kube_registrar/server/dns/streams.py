"""DNS over TCP (RFC 7766): queries may follow each other without waiting, and whoever is silent is hung up on."""

import asyncio
import contextlib
import logging
import socket

from kube_registrar.runtime import servers
from kube_registrar.server.dns.answering import Responder

_log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a client may take for its next query, or for taking our answer."""
CONNECTIONS = 256
"""Connections at once. One more, and the one that has been silent for longest is closed."""


class Streams:
    """Answers what comes to a listening TCP socket, which it owns from then on."""

    def __init__(
        self, responder: Responder, *, idle_seconds: float = IDLE_SECONDS, connections: int = CONNECTIONS
    ) -> None:
        self._responder = responder
        self._idle_seconds = idle_seconds
        self._most = connections
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}
        """The connections, the one that was silent for longest first."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def start(self, sock: socket.socket) -> None:
        """Begin to take connections."""
        self._server = await asyncio.start_server(self._serve, sock=sock)

    async def close(self) -> None:
        """Take no more connections, and close those that are open."""
        if self._server is not None:
            await servers.close(self._server)
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server makes one for each connection
        self._tasks.add(task)
        while len(self._open) >= self._most:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            # A client that goes away, is silent, or sends half a message: all the same, the connection ends.
            with contextlib.suppress(OSError, TimeoutError):
                with contextlib.suppress(EOFError):
                    await self._converse(reader, writer)
                writer.close()
                async with asyncio.timeout(self._idle_seconds):
                    await writer.wait_closed()
        finally:
            # At once: who takes no answers would keep them in our memory.
            writer.transport.abort()
            self._open.pop(writer, None)
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self._idle_seconds):
                length = int.from_bytes(await reader.readexactly(2), "big")
                packet = await reader.readexactly(length)
            reply = self._answer(packet)
            if reply is None:
                return
            if writer in self._open:  # Not where it was closed for another one meanwhile.
                self._open[writer] = self._open.pop(writer)
            writer.write(len(reply).to_bytes(2, "big") + reply)
            async with asyncio.timeout(self._idle_seconds):
                await writer.drain()

    def _answer(self, packet: bytes) -> bytes | None:
        try:
            return self._responder.answer(packet, stream=True)
        except Exception:  # noqa: BLE001 - one query must not end the server
            _log.exception("a DNS query over TCP failed; this is a bug")
            return self._responder.failed(packet)
