"""Cloud Map's operations as coroutines: boto3 in threads, our own rates and retries.

Each write asks the fence in its own thread, when its bytes are about to leave: after it waited for a token and a
thread, was signed, and credentials were renewed for it. The SDK's retries are off. A throttled call was not made, so it
is made again, slower, and never lost; a read whose answer was lost is read again; a write whose answer was lost is the
caller's to judge. Where the trouble is who we are (no credentials, expired ones), the SDK is set up anew: it looks for
credentials only once where it found none, and never again for those of a file or the environment.
"""

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as sdk
from botocore import xform_name
from botocore.config import Config

from kube_registrar.model.changes import Urgency
from kube_registrar.model.errors import NotLeading, UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.cloudmap import faults
from kube_registrar.registries.cloudmap.options import INSTANCE_WRITES, Options
from kube_registrar.registries.cloudmap.roles import assuming
from kube_registrar.registries.limits import Limiter, Rate
from kube_registrar.registries.slots import Slots
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence

# At most, and made as they are needed: all our rates together, at a tenth of a second a call. More win little, for
# boto3 tops out at 500 to 800 calls a second a process.
THREADS: Final = 32
READERS: Final = 20
"""So many of them read at a time, at most: reads that hang must leave threads to what is to be written."""
# Together below runtime.fence.WRITE_SECONDS.
CONNECT_TIMEOUT_SECONDS: Final = 1.3
READ_TIMEOUT_SECONDS: Final = 2.5

RENEW_SECONDS: Final = 5.0
"""Credentials that were refused are looked for anew this often; above what a call may take, see `_renew`."""

_THROTTLED_FOR_SECONDS: Final = 60.0
_READ_TRIES: Final = 6
_OTHERWISE: Final = Rate(4, 8)
_MOST_REMEMBERED: Final = 10_000
_READS: Final = ("Get", "List", "Discover")

_log = logging.getLogger(__name__)


class Sending:
    """Hears of a request. What it raises, a RegistryError, ends the call."""

    def leaves(self) -> None:
        """It is about to leave, perhaps not for the first time."""

    def comes_back(self) -> None:
        """It was turned away, and nothing was made of it: it may leave once more."""


_UNHEARD: Final = Sending()


class Client:
    """One endpoint with one set of credentials."""

    def __init__(
        self, boto: Any, pool: ThreadPoolExecutor, limiter: Limiter, clock: Clock, make: Callable[[], Any]
    ) -> None:
        """`make` gives another SDK client, which looks for credentials anew; it may raise UserError."""
        self._boto = boto
        self._make = make
        self._made_at = clock.monotonic()
        self._is_refused = False
        self._retired: Any = None
        self._pool = pool
        self.limiter = limiter
        self._clock = clock
        self._accounts: OrderedDict[str, str] = OrderedDict()
        """The accounts of operations on what is another's, by operation: looking at them needs it."""
        self._slots = Slots(THREADS)
        self._readers = Slots(READERS)

    async def call(
        self,
        operation: str,
        request: Mapping[str, object],
        about: str,
        *,
        expected: Sequence[str] = (),
        urgency: Urgency = Urgency.REGISTER,
        sending: Sending = _UNHEARD,
    ) -> dict[str, Any]:
        """Make one call, such as `RegisterInstance`, and return the answer.

        `about` begins every message: what is being done to what. `sending` hears of each try. Raises Answered for the
        error codes in `expected`, else a RegistryError; NotLeading for a write that the fence did not admit,
        `Unreachable(doubtful=True)` for one that may have been carried out.
        """
        write = _is_write(operation)
        service = request.get("ServiceId")  # whose turn it is: a service with many changes holds up no other
        backoff = Backoff(first=0.1, most=2.0)
        until = self._clock.monotonic() + _THROTTLED_FOR_SECONDS
        while True:
            ticket = await self.limiter.acquire(operation, urgency, service)
            try:
                async with self._thread(urgency, service, write=write):
                    sending.leaves()
                    return await self._send(operation, request)
            except sdk.ClientError as error:
                answer = faults.of_answer(error)
                if answer.code in faults.THROTTLES or answer.code in expected:
                    sending.comes_back()
                if answer.code in faults.THROTTLES:
                    self.limiter.throttled(ticket)
                    fault = faults.Fault(faults.too_long_throttled(operation, about))
                    if self._clock.monotonic() < until:
                        continue
                elif answer.code in expected:
                    raise answer from None
                else:
                    fault = faults.of_code(answer, operation, about, write=write)
            except NotLeading:
                raise
            except Exception as error:  # noqa: BLE001 - the SDK's own, its parsers', and whatever they let through
                fault = faults.of_transport(error, operation, about, write=write)
            self._is_refused = fault.is_identity
            if write or not fault.ambiguous or backoff.failures >= _READ_TRIES - 1:
                raise fault.error
            await self._clock.sleep(backoff.failed())

    async def pages(self, operation: str, request: Mapping[str, object], key: str, about: str) -> list[Any]:
        """Return all that a paged list holds under `key`: every page, or an error as `call` raises it."""
        found: list[Any] = []
        next_token: dict[str, object] = {}
        while True:
            page = await self.call(operation, {"MaxResults": 100, **request, **next_token}, about)
            found += page.get(key, [])
            if not page.get("NextToken"):
                return found
            next_token = {"NextToken": page["NextToken"]}

    @asynccontextmanager
    async def _thread(self, urgency: Urgency, service: object, *, write: bool) -> AsyncIterator[None]:
        """Wait for a thread. Those that hang must not make the urgent wait behind what came before."""
        readers = nullcontext() if write else self._readers.taken(urgency, service)
        async with readers, self._slots.taken(urgency, service):
            yield

    async def _send(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        if self._is_refused and self._clock.monotonic() >= self._made_at + RENEW_SECONDS:
            await self._renew()
        account = self._accounts.get(str(request.get("OperationId", "")))
        owner = {"OwnerAccount": account} if account and operation == "GetOperation" else {}
        method = partial(getattr(self._boto, xform_name(operation)), **request, **owner)
        answer: dict[str, Any] = await asyncio.get_running_loop().run_in_executor(self._pool, method)
        self._is_refused = False
        self._note_account(request, answer)
        return answer

    def _note_account(self, request: Mapping[str, object], answer: Mapping[str, Any]) -> None:
        named = str(request.get("ServiceId") or request.get("Id") or "")
        operation_id = answer.get("OperationId")
        if operation_id and named.startswith("arn:"):
            self._accounts[operation_id] = named.split(":")[4]
            if len(self._accounts) > _MOST_REMEMBERED:
                self._accounts.popitem(last=False)

    async def _renew(self) -> None:
        """Set the SDK up anew. The client before the last one is closed: no call of it can be under way any more."""
        self._made_at = self._clock.monotonic()  # at once: whoever comes meanwhile goes on with what there is
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._pool, self._make)
        except UserError as error:
            _log.debug("credentials were refused, and there are no others: %s", error)
            return
        if self._retired is not None:
            self._retired.close()
        self._retired, self._boto = self._boto, fresh
        _log.debug("credentials were refused: they are looked for anew")

    def close(self) -> None:
        """Close the SDK's clients."""
        self._boto.close()
        if self._retired is not None:
            self._retired.close()


@asynccontextmanager
async def open_client(
    options: Options, name: RegistryName, clock: Clock, fence: Fence | None = None
) -> AsyncIterator[Client]:
    """Give a client; leaving it waits for the threads, whose calls have time-outs. Raises UserError."""
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"cloudmap-{name}")
    try:
        make = partial(_fenced, options, name, fence)
        boto = await loop.run_in_executor(pool, make)
        shared = INSTANCE_WRITES if options.shared_writes else ()
        async with Limiter(options.rates, _OTHERWISE, clock, shared) as limiter:
            client = Client(boto, pool, limiter, clock, make)
            try:
                yield client
            finally:
                client.close()
    finally:
        await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)


def _fenced(options: Options, name: RegistryName, fence: Fence | None) -> Any:
    boto = _make(options, name)
    if fence is not None:
        boto.meta.events.register("before-send.servicediscovery", partial(_ask, fence))
    return boto


def _ask(fence: Fence, event_name: str, **_: object) -> None:
    """Raise NotLeading for a write that may not begin: the SDK then sends nothing, and passes the error on.

    `event_name`: `before-send.servicediscovery.OPERATION`, the last event before the bytes leave.
    """
    operation = event_name.rpartition(".")[2]
    if _is_write(operation):
        fence.check(operation)


def _is_write(operation: str) -> bool:
    return not operation.startswith(_READS)


def _make(options: Options, name: RegistryName) -> Any:
    """Return the SDK's client. Clients may be shared by threads, sessions may not: one thread makes it all."""
    try:
        session = assuming(options, boto3.session.Session(profile_name=options.profile, region_name=options.region))
        client = _client(session, options)
        if not _is_aws(client.meta.endpoint_url):
            # Against an endpoint of one's own the SDK would call `data-HOST`, which hardly ever resolves.
            client = _client(session, options, inject_host_prefix=False)
        _forget_files(client)
        return client
    except sdk.NoRegionError:
        raise UserError(
            f"registry {name!r}: no AWS Region is given. Set the option region, or AWS_REGION, or a profile with one"
        ) from None
    except sdk.ProfileNotFound:
        source = "option profile" if options.profile else "AWS_PROFILE"
        profile = options.profile or os.environ.get("AWS_PROFILE", "")
        raise UserError(
            f"registry {name!r}: {source} is {profile!r}, which the AWS configuration files do not have. "
            "Correct it, or add the profile"
        ) from None
    except (sdk.BotoCoreError, ValueError) as error:
        raise UserError(
            f"registry {name!r}: the AWS SDK cannot be set up: {error}. Correct the configuration"
        ) from None


def _client(session: Any, options: Options, **settings: object) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=THREADS,
        user_agent_extra="kube-registrar",
        **settings,
    )
    return session.client("servicediscovery", endpoint_url=options.endpoint_url, config=config)


def _forget_files(client: Any) -> None:
    """Let the SDK forget the files that it has made the client from: as objects they take 7 MB, and are read no more.

    Among them is the description of every endpoint of AWS. There is no public way; where the SDK keeps them elsewhere
    by now, they stay.
    """
    kept = getattr(getattr(client, "_loader", None), "_cache", None)
    if isinstance(kept, dict):
        kept.clear()


def _is_aws(endpoint_url: str) -> bool:
    """Whether this is the endpoint of a Region, not one that an option, the environment or a profile put instead."""
    return (urlsplit(endpoint_url).hostname or "").startswith(("servicediscovery.", "servicediscovery-fips."))
