"""aiohttp's protocol with a bound for the head of a request, all its lines together.

aiohttp bounds each line and their number, and keeps what has come of a head until it is whole: a megabyte for each
connection, of people whom nobody knows yet.
"""

from typing import Final

from aiohttp import web

MOST_HEAD: Final = 16 * 1024
"""Octets of a head that is not whole yet. A signed request has one of a thousand."""

_REFUSAL: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedHandler(web.RequestHandler):
    """Refuses a head that goes on and on, and closes the connection."""

    __slots__ = ("_unread",)

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]  # as it comes
        self._unread = 0

    def data_received(self, data: bytes) -> None:
        """Read what has come, and count it as long as it is no whole head."""
        super().data_received(data)
        # aiohttp waits for a request; before it begins to it has had none.
        is_waiting = self._waiter is not None or self._request_count == 0
        if not is_waiting or self._messages:
            self._unread = 0
            return
        self._unread += len(data)
        if self._unread > MOST_HEAD and self.transport is not None:
            self.transport.write(_REFUSAL)
            self.force_close()
