"""A Cloud Map endpoint that answers what a test wrote down, for what no honest server does on demand."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kube_registrar.runtime import servers

Json = dict[str, Any]
Handler = Callable[[Json], Json]


@dataclass(frozen=True)
class Error:
    """An error of Cloud Map, with its own fields beside."""

    code: str
    status: int = 400
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """A body as it is."""

    body: bytes
    status: int = 200


class Drop:
    """The connection is closed without an answer."""


class Hang:
    """No answer ever comes."""


Reply = Json | Error | Raw | type[Drop] | type[Hang]


class Script:
    """Replies by operation, each used once and in order; the last one stays. `requests` holds what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Json]] = []
        self.hosts: list[str] = []
        self.authorizations: list[str] = []
        self.port = 0
        self._came = asyncio.Event()
        self._replies: dict[str, list[Reply]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, operation: str, *replies: Reply) -> None:
        self._replies[operation] = list(replies)

    def asked(self, operation: str) -> list[Json]:
        return [request for name, request in self.requests if name == operation]

    async def has_come(self, operation: str, times: int = 1) -> None:
        """Wait until this operation has been asked for, so many times."""
        while len(self.asked(operation)) < times:
            self._came.clear()
            await self._came.wait()

    def reply(self, operation: str) -> Reply:
        replies = self._replies[operation]
        if not replies:
            return Error("InvalidInput", fields={"Message": f"the script has no reply to {operation}"})
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
                }
                body = await reader.readexactly(int(headers["content-length"]))
                operation = headers["x-amz-target"].rpartition(".")[2]
                self.requests.append((operation, json.loads(body)))
                self.hosts.append(headers["host"])
                self.authorizations.append(headers["authorization"])
                self._came.set()
                reply = self.reply(operation)
                if reply is Drop:
                    return
                if reply is Hang:
                    await asyncio.Event().wait()
                writer.write(_response(reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def _response(reply: Any) -> bytes:
    status, body = 200, b""
    if isinstance(reply, Error):
        status = reply.status
        body = json.dumps({"__type": reply.code, "Message": f"scripted {reply.code}", **reply.fields}).encode()
    elif isinstance(reply, Raw):
        status, body = reply.status, reply.body
    else:
        body = json.dumps(reply).encode()
    return b"HTTP/1.1 %d Scripted\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


@asynccontextmanager
async def served() -> AsyncIterator[Script]:
    """Serve a fresh script on a free port of the loopback."""
    script, connections = Script(), set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(script.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        await servers.close(server)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
