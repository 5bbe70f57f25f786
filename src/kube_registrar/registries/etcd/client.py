"""Asking etcd: members in turn, tokens, time-outs, and the fence before each write."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.etcd.faults import Failed, Fault, Kind, doubtful, of_answer, of_transport
from kube_registrar.registries.etcd.options import Options
from kube_registrar.registries.etcd.tls import Tls
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence

REQUEST_SECONDS: Final = WRITE_SECONDS - 0.5
"""The longest that one member is waited for: below what the fence allows a write."""
CONNECT_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 3.0
"""How long an election is waited for: some two of etcd's own time-outs. Then whoever asked hears of it."""
_PAUSE_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 30.0
"""The longest that a watch is silent before it is taken for dead; it is asked to tell its progress more often."""
_CONNECTIONS: Final = 32
_LONGEST_LINE: Final = 64 * 2**20
_AUTHENTICATE: Final = "/v3/auth/authenticate"
# etcd then says at once that it has no leader, and need not be waited for.
_HEADERS: Final = {"Content-Type": "application/json", "Grpc-Metadata-hasleader": "true"}


@asynccontextmanager
async def open_client(
    options: Options, name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator["Client"]:
    """Give a client, and close its connections in the end."""
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, force_close=False)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**20) as session:
        yield Client(options, name, clock, fence or Fence(clock), session)


class Client:
    """Asks one member until that fails, then the next."""

    def __init__(
        self, options: Options, name: RegistryName, clock: Clock, fence: Fence, session: aiohttp.ClientSession
    ) -> None:
        self.name = name
        self.clock = clock
        self._options = options
        self._fence = fence
        self._session = session
        self._tls = Tls(options)
        self._first = 0
        self._token = ""
        self._authenticating = asyncio.Lock()

    def check_fence(self, about: str) -> None:
        """Raise NotLeading if a write may not begin."""
        self._fence.check(f"registry {self.name}: {about}")

    async def read(self, path: str, body: Mapping[str, Any], about: str) -> Mapping[str, Any]:
        """Ask what changes nothing, of each member if need be. RegistryError; Failed where it is compacted."""
        return await self._asked(path, body, about, write=False)

    async def write(self, path: str, body: Mapping[str, Any], about: str) -> Mapping[str, Any]:
        """Ask for a change, once the fence lets it be sent; Failed where the lease that it names is gone.

        Raises `Unreachable(doubtful=True)` where nobody knows whether it was made.
        """
        return await self._asked(path, body, about, write=True)

    async def _asked(self, path: str, body: Mapping[str, Any], about: str, *, write: bool) -> Mapping[str, Any]:
        about = f"registry {self.name}: {about}"
        content = msgspec.json.encode(body)
        gives_up = self.clock.monotonic() + _PATIENCE_SECONDS
        left, renewals = len(self._options.endpoints), 1
        while True:
            member, token = self._member(), await self._current_token(about)
            if write:
                self._fence.check(about)
            try:
                return await self._once(member, path, content, about, token)
            except Failed as failed:
                fault = failed.fault
            match fault.kind:
                case Kind.COMPACTED | Kind.NO_LEASE:
                    raise Failed(fault)
                case Kind.FINAL:
                    raise fault.error
                case Kind.TOKEN if renewals:
                    renewals -= 1
                    self._forget(token)
                    continue
                case Kind.NO_LEADER if self.clock.monotonic() < gives_up:
                    self._leave(member)
                    await self.clock.sleep(_PAUSE_SECONDS)
                    continue
                case Kind.AMBIGUOUS if write:
                    self._leave(member)
                    raise doubtful(fault)
            left -= 1
            self._leave(member)
            if left <= 0 or fault.kind in {Kind.TOKEN, Kind.NO_LEADER}:
                raise fault.error

    async def _once(self, member: str, path: str, content: bytes, about: str, token: str = "") -> Mapping[str, Any]:
        """Ask one member. Raises Failed."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self._post(member, path, content, token, timeout) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Failed(of_transport(error, member, about)) from None
        if response.status != 200:  # noqa: PLR2004
            raise Failed(of_answer(response.status, body, about))
        try:
            found: Mapping[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Failed(of_transport(error, member, about)) from None
        return found

    def _post(
        self, member: str, path: str, content: bytes, token: str, timeout: aiohttp.ClientTimeout
    ) -> Any:  # aiohttp names the type of its contexts only privately
        headers = {**_HEADERS, "Authorization": token} if token else _HEADERS
        context = self._tls.context()
        return self._session.post(
            f"{member}{path}",
            data=content,
            headers=headers,
            timeout=timeout,
            ssl=True if context is None else context,
            allow_redirects=False,
        )

    async def stream(self, path: str, body: Mapping[str, Any], about: str) -> AsyncGenerator[Mapping[str, Any]]:
        """Ask one member for a stream and yield what it sends. Raises Failed when it ends, in whatever way."""
        about = f"registry {self.name}: {about}"
        member = self._member()
        try:
            token = await self._current_token(about)
        except RegistryError as error:
            raise Failed(Fault(error, Kind.FINAL)) from None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=_QUIET_SECONDS)
        try:
            content = msgspec.json.encode(body)
            async with (
                self._post(member, path, content, token, timeout) as response,
                aclosing(_lines(response.content)) as lines,
            ):
                async for line in lines:
                    yield self._streamed(response.status, line, about, token)
            raise aiohttp.ServerDisconnectedError
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._leave(member)
            raise Failed(of_transport(error, member, about)) from None

    def _streamed(self, status: int, line: bytes, about: str, token: str) -> Mapping[str, Any]:
        try:
            found = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            found = {}
        if status == 200 and "result" in found:  # noqa: PLR2004
            result: Mapping[str, Any] = found["result"]
            return result
        fault = of_answer(status, line, about)
        if fault.kind is Kind.TOKEN:
            self._forget(token)
        raise Failed(fault)

    async def _current_token(self, about: str) -> str:
        """Return the token to ask with; empty where there is no user. Raises RegistryError."""
        if self._options.password_file is None or self._token:
            return self._token
        async with self._authenticating:
            if not self._token:
                self._token = await self._authenticated(about)
        return self._token

    async def _authenticated(self, about: str) -> str:
        content = msgspec.json.encode(self._credentials(about))
        gives_up = self.clock.monotonic() + _PATIENCE_SECONDS
        for left in itertools.count(len(self._options.endpoints) - 1, -1):
            member = self._member()
            try:
                return str((await self._once(member, _AUTHENTICATE, content, about))["token"])
            except Failed as failed:
                fault = failed.fault
            waits = fault.kind is Kind.NO_LEADER and self.clock.monotonic() < gives_up
            if fault.kind is Kind.FINAL or (left <= 0 and not waits):
                break
            self._leave(member)
            if waits:
                await self.clock.sleep(_PAUSE_SECONDS)
        raise fault.error

    def _credentials(self, about: str) -> Mapping[str, str]:
        options = self._options
        try:
            user = options.user_file.read_text(encoding="utf-8").strip() if options.user_file else options.user
            password = options.password_file.read_text(encoding="utf-8").strip() if options.password_file else ""
        except (OSError, UnicodeDecodeError) as error:
            why = f"{about}: user and password cannot be read: {error}. Correct the file"
            raise Unreachable(why) from None
        return {"name": user, "password": password}

    def _forget(self, token: str) -> None:
        """Another request may have renewed it already."""
        if self._token == token:
            self._token = ""

    def _member(self) -> str:
        return self._options.endpoints[self._first]

    def _leave(self, member: str) -> None:
        """Ask the next one from now on, unless somebody has gone on already."""
        if self._member() == member:
            self._first = (self._first + 1) % len(self._options.endpoints)


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Yield what is told line by line; a line may be longer than any buffer."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > _LONGEST_LINE:
            raise aiohttp.ClientPayloadError("a line without end")
    if rest.strip():
        yield rest
