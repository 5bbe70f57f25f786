"""A proxy in front of a real API server that makes go wrong what a test asks for.

    with FaultProxy.before(control_plane) as proxy:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")     # for an operator in a process of its own, too
        proxy.add(Answer(lists("pods"), status=500, times=2))
        proxy.expire("pods")                                             # every open watch: too old, list anew
        with proxy.down():                                               # nobody listens
            ...

It speaks plain HTTP to the client and TLS to the API server, and runs in a thread with a loop of its own, so that tests
may block. All methods may be called from any thread. Requests without a token are the administrator's.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from kube_registrar.runtime import servers
from kube_registrar.testing import http_wire as wire
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_rules import (
    Answer,
    Call,
    Delay,
    Drop,
    Freeze,
    Hide,
    LoseReply,
    Reset,
    Rule,
    gone,
    status,
)

T = TypeVar("T")
R = TypeVar("R", bound=Rule)

_CONTROL_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _OpenWatch:
    call: Call
    client: asyncio.StreamWriter


class FaultProxy:
    """Stands before the API server at `url`, whose certificate `ca_file` proves; a context manager."""

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        upstream = urlsplit(url)
        self._host, self._upstream_port = upstream.hostname or "127.0.0.1", upstream.port or 443
        self._ssl = ssl.create_default_context(cafile=str(ca_file))
        self._token = token
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._watches: list[_OpenWatch] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)
        self.port = 0
        self.calls: list[Call] = []
        """All that was asked, in order of arrival."""

    @classmethod
    def before(cls, plane: ControlPlane) -> Self:
        """Return a proxy for a control plane that runs, with its administrator's token."""
        return cls(plane.url, plane.ca_file, plane.token)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What tests ask.

    @property
    def url(self) -> str:
        """Where clients connect to, `http://127.0.0.1:PORT`; it stays over outages."""
        return f"http://127.0.0.1:{self.port}"

    def write_kubeconfig(self, path: Path, *, token: str | None = None) -> Path:
        """Write a kubeconfig that leads here, with the token given or the administrator's; return its path."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": {"token": self._token if token is None else token}}],
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def add(self, rule: R) -> R:
        """Let a rule hold from now on, and return it. Rules apply in the order in which they were added."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Let a rule hold no more; nothing happens if it is used up."""
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    @contextlib.contextmanager
    def rule(self, rule: R) -> Iterator[R]:
        """Let a rule hold for a while."""
        self.add(rule)
        try:
            yield rule
        finally:
            self.remove(rule)

    def open_watches(self, plural: str) -> int:
        """Return how many watches of a resource are open."""
        return self._do(self._each(plural, lambda watch: None))  # noqa: ARG005  # only counted

    def cut(self, plural: str, *, inside_event: bool = False) -> int:
        """Break the connections of open watches, if asked in the middle of an event; return how many."""

        def break_off(watch: _OpenWatch) -> None:
            if inside_event:
                watch.client.write(b'4000\r\n{"type":"MODIFIED","object":{"kind":"P')
            watch.client.transport.close() if inside_event else watch.client.transport.abort()

        return self._do(self._each(plural, break_off))

    def expire(self, plural: str) -> int:
        """End open watches with an ERROR event of code 410; return how many."""
        return self.fail(plural, gone())

    def fail(self, plural: str, error: dict[str, Any]) -> int:
        """End open watches with an ERROR event that holds this Status; return how many."""

        def end(watch: _OpenWatch) -> None:
            watch.client.write(wire.chunk(_line({"type": "ERROR", "object": error})) + wire.chunk(b""))
            watch.client.close()

        return self._do(self._each(plural, end))

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """For a while break all connections and refuse new ones."""
        self._do(self._close())
        try:
            yield
        finally:
            self._do(self._listen())

    # The thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CONTROL_SECONDS)

    async def _each(self, plural: str, act: Callable[[_OpenWatch], None]) -> int:
        chosen = [watch for watch in self._watches if watch.call.plural == plural]
        for watch in chosen:
            act(watch)
        return len(chosen)

    async def _listen(self) -> None:
        self._is_closing = False
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._connected, sock=sock)

    async def _close(self) -> None:
        self._is_closing = True
        if self._server is not None:
            await servers.close(self._server)
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stop(self) -> None:
        await self._close()
        await self._loop.shutdown_asyncgens()
        others = asyncio.all_tasks() - {asyncio.current_task()}  # such as connections that are just being accepted
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were aborted close their sockets in the next turn

    def _next(self, call: Call, kind: type[R]) -> R | None:
        """Return the first rule of a kind that matches, and count its use."""
        with self._lock:
            for rule in self._rules:
                if isinstance(rule, kind) and rule.match(call):
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times <= 0:
                            self._rules.remove(rule)
                    return rule
        return None

    # One connection.

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closing:  # it was accepted before, and is told after
            writer.transport.abort()
            return
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await wire.read_request(reader)) is not None:
                self.calls.append(request.call)
                if not await self._handle(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side broke off; the other one sees it by the abort below
        finally:
            writer.transport.abort()

    async def _handle(self, request: wire.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection goes on."""
        call = request.call
        if delay := self._next(call, Delay):
            await asyncio.sleep(delay.seconds)
        if self._next(call, Reset):
            return False
        if made_up := self._next(call, Answer):
            value = status(made_up.status, made_up.reason, made_up.message)
            writer.write(wire.answer(made_up.status, value, made_up.headers))
            await writer.drain()
            return True
        lose = self._next(call, LoseReply)
        upstream, sender = await asyncio.open_connection(self._host, self._upstream_port, ssl=self._ssl)
        try:
            sender.write(request.head(f"{self._host}:{self._upstream_port}", self._token) + request.body)
            response = await wire.read_response(upstream)
            if call.is_watch and response.status == 200:  # noqa: PLR2004
                await self._stream(call, response, upstream, reader, writer)
                return False
            body = self._without_hidden(call, await wire.read_body(upstream, response))
        finally:
            sender.transport.abort()
        if lose:
            return False
        writer.write(wire.whole(response, body))
        await writer.drain()
        return True

    def _without_hidden(self, call: Call, body: bytes) -> bytes:
        hide = self._next(call, Hide)
        if hide is None:
            return body
        value = json.loads(body)
        value["items"] = [item for item in value.get("items") or () if not hide.hidden(item)]
        return json.dumps(value).encode()

    async def _stream(
        self,
        call: Call,
        response: wire.Response,
        upstream: asyncio.StreamReader,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        writer.write(response.head({"Transfer-Encoding": "chunked"}))
        watch = _OpenWatch(call, writer)
        self._watches.append(watch)
        # A client that leaves says so by the end of its side; without events nothing else would tell.
        sides = {asyncio.ensure_future(self._pump(call, upstream, writer)), asyncio.ensure_future(reader.read(1))}
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watches.remove(watch)
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    async def _pump(self, call: Call, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = b""
        async for data in wire.chunks(upstream):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if not self._is_lost(call, line):
                    writer.write(wire.chunk(line + b"\n"))
            await writer.drain()
        writer.write(wire.chunk(b""))
        await writer.drain()

    def _is_lost(self, call: Call, line: bytes) -> bool:
        with self._lock:
            rules = [rule for rule in self._rules if rule.match(call)]
        if any(isinstance(rule, Freeze) for rule in rules):
            return True
        drops = [rule for rule in rules if isinstance(rule, Drop)]
        return bool(drops) and any(rule.dropped(json.loads(line)) for rule in drops)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
