"""HTTP, spoken to one Consul: consistent reads, transactions, blocking queries.

A write asks the fence in the line before it is sent, and its time-out counts from there: waiting for a connection
is part of it. Nothing is tried twice here but a read over a connection that had been closed meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from kube_registrar.model.errors import Unreachable
from kube_registrar.registries.consul.faults import Faults
from kube_registrar.registries.consul.options import Options
from kube_registrar.registries.consul.secrets import Secrets
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence

CONNECTIONS: Final = 24
"""At once; Consul lets a client have 200 (http_max_conns_per_client)."""
READ_SECONDS: Final = 15.0
WRITE_TIMEOUT_SECONDS: Final = WRITE_SECONDS - 0.5
CONNECT_SECONDS: Final = 2.0
_OK, _NOT_FOUND, _ROLLED_BACK = 200, 404, 409

Operation = Mapping[str, Any]


class RolledBack(Exception):
    """A transaction was not made: what went wrong, by the place of the operation."""

    def __init__(self, errors: Mapping[int, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read found (None: there is no such thing), and the index of a blocking query."""

    json: Any
    index: int


class _Error(msgspec.Struct, rename="pascal"):
    op_index: int = 0
    what: str = ""


class _Transacted(msgspec.Struct, rename="pascal"):
    results: list[dict[str, Any]] | None = None
    errors: list[_Error] | None = None


def new_session() -> aiohttp.ClientSession:
    """Return a session for one `Client`, which does not close it."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30.0)
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(_leaves)
    trace.on_connection_reuseconn.append(_leaves)
    return aiohttp.ClientSession(
        connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace]
    )


async def _leaves(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    """Let a request leave once: aiohttp sends a PUT again by itself, past the fence, when its connection breaks."""
    attempts: list[None] = context.trace_request_ctx
    if attempts:
        raise aiohttp.ServerDisconnectedError
    attempts.append(None)


class Client:
    """One Consul, in the name of one token."""

    def __init__(
        self, session: aiohttp.ClientSession, options: Options, secrets: Secrets, faults: Faults, fence: Fence
    ) -> None:
        self.faults = faults
        self.fence = fence
        self.on_written: Callable[[Sequence[Operation], Sequence[Mapping[str, Any]]], None] | None = None
        """Told of every transaction that was made, and what it gave."""
        self._session = session
        self._options = options
        self._secrets = secrets

    async def read(
        self,
        path: str,
        about: str,
        parameters: Mapping[str, str] | None = None,
        *,
        seconds: float = READ_SECONDS,
        kind: Any = Any,
        tries: int = 2,
    ) -> Answer:
        """GET a path that is encoded already, and read the answer as `kind`.

        `tries`: more than one if a connection that is closed says nothing, for it may have been closed long before.

        Raises RegistryError, also where the answer is not whole.
        """
        for _ in range(tries):
            try:
                status, headers, body = await self._send(path, about, parameters or {}, None, seconds)
                break
            except aiohttp.ServerDisconnectedError as error:
                closed = error
        else:
            raise self.faults.of_transport(closed, about, connected=True, write=False)
        if headers.get("X-Consul-Results-Filtered-By-ACLs") == "true":
            raise self.faults.of_filtered(about)
        if status == _NOT_FOUND:
            return Answer(None, _index(headers))
        if status != _OK:
            raise self.faults.of_answer(status, _text(body), about, write=False)
        try:
            return Answer(msgspec.json.decode(body, type=kind), _index(headers))
        except msgspec.DecodeError:
            raise Unreachable(f"{about}: what answers at {self._options.address} is no Consul. Correct it") from None

    async def transact(self, operations: Sequence[Operation], about: str) -> Sequence[Mapping[str, Any]]:
        """Make all of these or none, and return what they gave.

        Raises RolledBack where Consul says which of them it did not take, else RegistryError: NotLeading if nothing
        was sent, doubtful if nobody knows.
        """
        body = msgspec.json.encode(operations)
        try:
            status, _, answer = await self._send("/v1/txn", about, {}, body, WRITE_TIMEOUT_SECONDS)
        except aiohttp.ServerDisconnectedError as error:
            raise self.faults.of_transport(error, about, connected=True, write=True) from None
        if status not in {_OK, _ROLLED_BACK}:
            raise self.faults.of_answer(status, _text(answer), about, write=True)
        try:
            transacted = msgspec.json.decode(answer, type=_Transacted)
        except msgspec.DecodeError as error:
            raise self.faults.of_transport(error, about, connected=True, write=True) from None
        if status == _ROLLED_BACK or transacted.errors:
            raise RolledBack({each.op_index: each.what for each in transacted.errors or [_Error(0, _text(answer))]})
        results = transacted.results or []
        if self.on_written is not None:
            self.on_written(operations, results)
        return results

    async def _send(
        self, path: str, about: str, parameters: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        given = dict(parameters) | ({"dc": self._options.datacenter} if self._options.datacenter else {})
        url = URL(f"{self._options.address}{path}", encoded=True).update_query(given)
        headers, tls = self._secrets.headers(about), self._secrets.tls(about)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        is_write = body is not None
        if is_write:
            self.fence.check(about)
        try:
            async with self._session.request(
                "PUT" if is_write else "GET",
                url,
                data=body,
                headers=headers,
                ssl=tls,
                timeout=timeout,
                allow_redirects=False,
                trace_request_ctx=[],
            ) as response:
                return response.status, response.headers, await response.read()
        except aiohttp.ServerDisconnectedError:
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self.faults.of_transport(error, about, connected=False, write=is_write) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.faults.of_transport(error, about, connected=True, write=is_write) from None


def _index(headers: Mapping[str, str]) -> int:
    text = headers.get("X-Consul-Index", "")
    return int(text) if text.isdigit() else 0


def _text(body: bytes) -> str:
    return body.decode(errors="replace")
