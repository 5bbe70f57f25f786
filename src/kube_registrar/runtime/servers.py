"""Closing servers of asyncio."""

import asyncio

_TURNS_TO_ACCEPT = 3
"""Of the loop, from `accept` to the connection of the protocol."""


async def close(server: asyncio.Server) -> None:
    """Take no new connection, and close the server; those that were accepted in this very turn are made before.

    asyncio's own loop cannot make them any more once their server is closed, says nothing, and leaves them open
    (Python 3.11: `Server._attach` fails in `_accept_connection2`).
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.SelectorEventLoop):
        for sock in server.sockets:
            loop.remove_reader(sock)
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
    server.close()
