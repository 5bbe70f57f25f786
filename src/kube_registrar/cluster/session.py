"""One HTTP session to the API server: who we are, how long we wait, and what an answer means.

Every call raises the errors of `cluster.errors` and no others. Credentials are read again before they end, and once
when they are refused.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from kube_registrar.cluster import credentials
from kube_registrar.cluster.credentials import Credentials, Tls
from kube_registrar.cluster.errors import (
    ApiError,
    ApiSilent,
    ApiUnauthorized,
    ApiUnreachable,
    error_of,
    short,
    status_of,
)
from kube_registrar.cluster.lines import LineTooLong, split_lines
from kube_registrar.model.errors import UserError
from kube_registrar.runtime.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
MERGE_PATCH = "application/merge-patch+json"
_JSON = "application/json"
_QUESTIONS = "/apis/authorization.k8s.io/"
"""What is posted there is a question: nothing is kept of it."""
_GOOD = range(200, 300)
_RETRY_RENEWAL_SECONDS = 10.0
_ERROR_BYTES = 65_536
"""As much of an error's body is read."""

Load = Callable[[], Credentials]
Params = Mapping[str, str]


class Session:
    """Calls one API server. Made by `open_session`; safe to share between the tasks of one event loop."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        load: Load,
        first: Credentials,
        clock: Clock,
        request_seconds: float,
        *,
        reads_only: bool = False,
    ) -> None:
        self._http = http
        self._load = load
        self._clock = clock
        self._seconds = request_seconds
        self._reads_only = reads_only
        self._credentials = first
        self._renew_at = first.renew_at
        self._renewing = asyncio.Lock()
        self._ssl: tuple[Tls, ssl.SSLContext] | None = None

    @property
    def clock(self) -> Clock:
        """The clock that everything of this session goes by."""
        return self._clock

    @property
    def credentials(self) -> Credentials:
        """What is used just now."""
        return self._credentials

    @property
    def server(self) -> str:
        """The URL of the API server, fit for messages: without a password."""
        return str(URL(self._credentials.server).with_user(None))

    def login(self) -> Credentials:
        """Read credentials now, for another client, in the calling thread; blocks. Raises UserError.

        What this session uses may be past its `renew_at` while it has nothing to ask, and does not change by this.
        """
        return self._load()

    async def get(
        self, path: str, params: Params | None = None, *, seconds: float | None = None, accept: str = _JSON
    ) -> bytes:
        """GET `path` and return the body. `seconds`: for the whole answer, instead of the usual 10.

        `accept`: the media type to ask for, such as one of metadata only.
        """
        return await self._call("GET", path, params=params, seconds=seconds, accept=accept)

    async def post(self, path: str, body: object) -> bytes:
        """POST a JSON body. ApiUnreachable: it may have been done."""
        return await self._call("POST", path, body=body)

    async def put(self, path: str, body: object) -> bytes:
        """PUT a JSON body. ApiUnreachable: it may have been done."""
        return await self._call("PUT", path, body=body)

    async def patch(self, path: str, body: object, *, content_type: str = MERGE_PATCH) -> bytes:
        """PATCH with a JSON body, a merge patch unless `content_type` says. ApiUnreachable: it may have been done."""
        return await self._call("PATCH", path, body=body, content_type=content_type)

    async def delete(self, path: str) -> bytes:
        """DELETE an object. ApiUnreachable: it may have been done."""
        return await self._call("DELETE", path)

    @asynccontextmanager
    async def stream(self, path: str, params: Params, *, silence: float) -> AsyncIterator[AsyncGenerator[bytes]]:
        """GET `path` and give the lines of the answer as they come, until the server ends it.

        Raises ApiSilent when nothing comes for `silence` seconds, ApiUnreachable when the connection breaks.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._seconds, sock_read=silence)
        try:
            response = await self._send("GET", path, params=params, timeout=timeout)
        except TimeoutError:
            raise self._unanswered("GET", path, self._seconds) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnreachable(f"GET {path}: {self._said(error)}") from None
        try:
            async with aclosing(self._lines(response, path, silence)) as lines:
                yield lines
        finally:
            response.close()

    async def _lines(self, response: aiohttp.ClientResponse, path: str, silence: float) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(split_lines(response.content.iter_any())) as lines:
                async for line in lines:
                    yield line
        except TimeoutError:
            raise ApiSilent(f"GET {path}: silent for {silence:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnreachable(f"GET {path}: {self._said(error)}") from None
        except LineTooLong as error:
            raise ApiError(f"GET {path}: {error}") from None

    async def _call(
        self,
        verb: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        content_type: str = _JSON,
        seconds: float | None = None,
        accept: str = _JSON,
    ) -> bytes:
        limit = seconds or self._seconds
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=self._seconds)
        data = None if body is None else msgspec.json.encode(body)
        try:
            response = await self._send(
                verb, path, params=params, data=data, content_type=content_type, timeout=timeout, accept=accept
            )
            async with response:
                return await response.read()
        except TimeoutError:
            raise self._unanswered(verb, path, limit) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnreachable(f"{verb} {path}: {self._said(error)}") from None

    async def _send(self, verb: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """Send, once more with fresh credentials after a 401, and return a good response. Raises ApiError."""
        if self._reads_only and verb != "GET" and not path.startswith(_QUESTIONS):
            raise ApiError(f"{verb} {path} was not sent: this session only reads")
        await self._renew_in_time()
        used = self._credentials
        try:
            return await self._send_once(verb, path, **options)
        except ApiUnauthorized:
            if not await self._renew(used):
                raise
        return await self._send_once(verb, path, **options)

    async def _send_once(
        self,
        verb: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        params: Params | None = None,
        data: bytes | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> aiohttp.ClientResponse:
        with_ = self._credentials
        headers = {**with_.headers, "Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        async with asyncio.timeout(timeout.total or self._seconds):  # a stream's head comes as soon as any answer
            response = await self._http.request(
                verb,
                with_.server + path,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,  # a redirect would carry the token to whoever sent it
                ssl=self._ssl_of(with_.tls),
                server_hostname=with_.tls.server_name if with_.tls else None,
                proxy=with_.proxy,
            )
        if response.status in _GOOD:
            return response
        async with response:
            body = await response.content.read(_ERROR_BYTES)
            retry_after = response.headers.get("Retry-After", "")
        error = error_of(f"{verb} {path}", response.status, status_of(body), retry_after)
        error.args = (self._redacted(str(error)),)
        raise error

    def _ssl_of(self, tls: Tls | None) -> ssl.SSLContext | bool:
        # The same context as long as the certificates are the same: connections are shared by context.
        if tls is None:
            return True
        if self._ssl is None or self._ssl[0] != tls:
            self._ssl = (tls, tls.context())
        return self._ssl[1]

    async def _renew_in_time(self) -> None:
        used, now = self._credentials, self._clock.time()
        if self._renew_at is not None and now >= self._renew_at:
            # Whatever comes of it, calls that come meanwhile go on with what there is.
            self._renew_at = now + _RETRY_RENEWAL_SECONDS
            await self._renew(used)

    async def _renew(self, used: Credentials) -> bool:
        """Read credentials again, unless that was done since `used`; tell whether there are others now."""
        async with self._renewing:
            if self._credentials is used:
                try:
                    fresh = await asyncio.to_thread(self._load)
                    if fresh.tls is not None:
                        self._ssl_of(fresh.tls)
                except UserError as error:
                    logger.warning("credentials could not be read again, those at hand are used on: %s", error)
                    return False
                self._credentials, self._renew_at = fresh, fresh.renew_at
            return True

    def _unanswered(self, verb: str, path: str, seconds: float) -> ApiUnreachable:
        return ApiUnreachable(f"{verb} {path}: no answer from {self.server} within {seconds:g} s")

    def _said(self, error: Exception) -> str:
        return self._redacted(f"{self.server} cannot be reached ({short(str(error)) or type(error).__name__})")

    def _redacted(self, text: str) -> str:
        secret = self._credentials.authorization.rpartition(" ")[2]
        return text.replace(secret, "…") if secret else text


@asynccontextmanager
async def open_session(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    load: Load | None = None,
    clock: Clock | None = None,
    request_seconds: float = REQUEST_SECONDS,
    reads_only: bool = False,
) -> AsyncIterator[Session]:
    """Open a session to the cluster of a kubeconfig and context, or to that of this pod.

    Nothing is sent yet; `preflight.check` proves that the API server answers. `load` is what tests give instead.
    `reads_only`: whatever would change something is refused before it is sent.
    Raises UserError as `credentials.load` does.
    """

    def usual() -> Credentials:
        return credentials.load(kubeconfig, context)

    loader = load or usual
    first = await asyncio.to_thread(loader)
    # Identity: unpacking lists of megabytes would cost more than the network of a cluster saves.
    headers = {"User-Agent": f"kube-registrar/{_version()}", "Accept": _JSON, "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
        session = Session(http, loader, first, clock or SystemClock(), request_seconds, reads_only=reads_only)
        session._ssl_of(first.tls)  # noqa: SLF001  # certificates that are no good are an error now, not at the first call
        yield session


def _version() -> str:
    try:
        return version("kube-registrar")
    except PackageNotFoundError:
        return "0"
