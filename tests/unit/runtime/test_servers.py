"""A server that closes leaves no connection half made, on asyncio's own loop and on uvloop."""

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable

import pytest
import uvloop

from kube_registrar.runtime import servers


class _Noting(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        transport.close()


async def _closed_in_the_turn_of_an_accept() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Noting, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [socket.create_connection(address, 10) for _ in range(20)]
    await asyncio.sleep(0)  # the loop sees them, and accepts; what makes them protocols is in the turns after
    await asyncio.sleep(0)
    await servers.close(server)
    await asyncio.sleep(0)
    for client in clients:
        client.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, 10)
    await asyncio.sleep(0)


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_what_was_accepted_in_that_very_turn_is_not_left_open(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list[object]()
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: left.append(unraisable.exc_value))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(5):
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(_closed_in_the_turn_of_an_accept())
        gc.collect()
    assert left == []
    assert _Noting.made > 0
