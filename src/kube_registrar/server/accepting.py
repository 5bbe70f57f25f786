"""Taking connections, alike in both loops, and each counted from the moment that it is there.

Not by the loop's own server: that tells nobody of a connection whose handshake of TLS is under way, so no limit would
count those, and who only connects and is silent would take every file descriptor.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from kube_registrar.runtime.seldom import Seldom

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 100
"""Connections that are taken before anything else has its turn."""
_RETRY_SECONDS: Final = 1.0

Protocols = Callable[[], asyncio.Protocol]
"""Makes the protocol of a new connection."""


class Accepting:
    """Takes the connections of a socket that listens, which it owns from then on, while `admits` says so."""

    def __init__(
        self,
        sock: socket.socket,
        make: Protocols,
        admits: Callable[[], bool],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._make = make
        self._admits = admits
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls is not None else None
        self._tasks: dict[asyncio.Task[None], _First] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._sentence = Seldom(_log, self._loop.time)
        self.pending = 0
        """Connections that have no protocol yet: TLS's handshake is under way."""
        sock.settimeout(0)
        self._loop.add_reader(sock, self._accept)

    async def close(self) -> None:
        """Take no more, and give up those that are not made yet."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        await asyncio.sleep(0)  # what was accepted in this very turn begins, or nobody would close it
        if self._tls is not None:
            for task, first in self._tasks.items():
                if first.is_pending:
                    task.cancel()
        # Without TLS they are made within a turn or two, and may have been asked something.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait(error)
                return
            if not self._admits():
                connection.close()
                continue
            connection.settimeout(0)
            self.pending += 1
            first = _First(self)
            task = self._loop.create_task(self._connect(connection, first))
            self._tasks[task] = first
            task.add_done_callback(self._tasks.pop)

    async def _connect(self, connection: socket.socket, first: "_First") -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: first, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        except (OSError, EOFError):
            pass  # it has gone, or speaks no TLS of ours; the loop has closed it
        finally:
            first.count_out()

    def made(self) -> asyncio.Protocol:
        """Return the protocol of a connection that is ready."""
        return self._make()

    def _wait(self, error: OSError) -> None:
        """Try again in a second: there is no file for a connection, and the loop would ask in vain all the time."""
        self._loop.remove_reader(self._sock)
        self._retry = self._loop.call_later(_RETRY_SECONDS, self._loop.add_reader, self._sock, self._accept)
        self._sentence.warning("no connection can be taken (%s): give this process more (ulimit -n)", error.strerror)


class _First(asyncio.Protocol):
    """Hands a connection that is ready to the protocol that is made for it."""

    def __init__(self, accepting: Accepting) -> None:
        self._accepting: Accepting | None = accepting

    @property
    def is_pending(self) -> bool:
        """Whether it waits for the handshake."""
        return self._accepting is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over."""
        if self._accepting is None:
            transport.close()
            return
        protocol = self._accepting.made()
        self.count_out()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def count_out(self) -> None:
        """Count the connection as pending no more, once."""
        if self._accepting is not None:
            self._accepting.pending -= 1
            self._accepting = None
