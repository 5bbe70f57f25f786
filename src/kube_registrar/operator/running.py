"""Runs kopf for our kinds in a thread with an event loop of its own, and starts it again when it gives up.

In our loop it would do harm: it takes the signals over, it cancels every task that is younger than itself when it
ends, and ten minutes after an end by error it kills the process (`kopf._core.reactor.running`). What handlers decide
is done in our loop all the same (`Context.on_main`), so nothing of ours is used by two threads.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kube_registrar.cluster.credentials import Credentials
from kube_registrar.cluster.pooled import pooled_session
from kube_registrar.cluster.resources import FINALIZER
from kube_registrar.operator.context import Context
from kube_registrar.operator.handlers import handlers
from kube_registrar.operator.lean import kopf
from kube_registrar.operator.telling import GROUP
from kube_registrar.runtime.backoff import Backoff

STOP_SECONDS = 3.0
"""How long kopf may take to stop; its thread does not outlive the process anyway."""

STEADY_SECONDS = 60.0
"""A kopf that lived so long is started again at once, whatever was before."""
_WATCHES = 3
"""Connections that kopf's watches hold for each namespace: one for each of our kinds, and one to spare."""
ENDING_SECONDS = 10.0
"""How long kopf may take to end after it has failed; it may wait for ever for a log-in that nobody makes any more."""
_IDENTITY: Any = "kube-registrar"  # a private type of kopf's
"""What kopf calls itself to its peers, of which it has none. Else it asks for its user's name, and ends where the user
of a container has none, as on clusters that give each namespace users of its own."""
_RUNNING = "kopf._core.reactor.running"
_NOISY = ("kopf.objects", _RUNNING)

_log = logging.getLogger(__name__)


async def run(context: Context, credentials: Callable[[], Credentials], namespaces: Sequence[str]) -> None:
    """Reconcile our kinds until cancelled; `namespaces` empty: in all of them.

    kopf ends on a watch error other than 410 and when a list keeps failing, so it is started again. Its end never
    ends the process: instances are kept true without it.
    """
    for name in _NOISY:
        logging.getLogger(name).addFilter(_without_noise)
    backoff = Backoff()
    while True:
        began = context.clock.monotonic()
        why = await _one_life(_registry(context, credentials, _WATCHES * max(1, len(namespaces))), namespaces)
        if context.clock.monotonic() - began > STEADY_SECONDS:
            backoff.succeeded()
        delay = backoff.failed()
        _log.warning(
            "kopf ended (%s): RegistryNamespaces and RegistryServices are looked after again in %.1f s", why, delay
        )
        await context.clock.sleep(delay)


async def _one_life(registry: kopf.OperatorRegistry, namespaces: Sequence[str]) -> str:
    """Run kopf until it ends, and return why; when cancelled, stop it."""
    main, ours = asyncio.get_running_loop(), asyncio.new_event_loop()
    ended: asyncio.Future[str] = main.create_future()
    stop = asyncio.Event()  # of kopf's loop: a flag of threads would hold one up that waits for it

    def live() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: ours) as runner:
                runner.run(_until(stop, registry, namespaces))
            why = "it gave no reason"
        except Exception as error:  # noqa: BLE001 - whatever ended kopf, it is started again
            why = f"{type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):  # the main loop may be closed by now
            main.call_soon_threadsafe(_end, ended, why)

    threading.Thread(target=live, name="kopf", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    finally:
        with contextlib.suppress(RuntimeError):  # kopf's loop is closed when it has ended by itself
            ours.call_soon_threadsafe(stop.set)
        await asyncio.wait({ended}, timeout=STOP_SECONDS)


async def _until(stop: asyncio.Event, registry: kopf.OperatorRegistry, namespaces: Sequence[str]) -> None:
    """Run kopf until `stop`, or until it ends by itself.

    It is cancelled, not asked with its own flag: then it would close its connections under requests that it goes on
    to repeat for seconds, complaining. What is half done is done again at the next start, as after a crash.
    """
    stopping = asyncio.create_task(stop.wait())
    work = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=_settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            identity=_IDENTITY,
        )
    )
    with _failures() as failure:
        failing = asyncio.create_task(failure.wait())
        await asyncio.wait({stopping, work, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done() and not stopping.done():
            await asyncio.wait({stopping, work}, timeout=ENDING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        is_stuck = failing.done() and not (work.done() or stopping.done())
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
        stopping.cancel()
        failing.cancel()
    if is_stuck:
        raise RuntimeError(f"{failure.why}; it did not come to its end by itself")
    if not work.cancelled():
        work.result()


class _Failure(logging.Handler):
    """Hears in kopf's log that it has failed: it does not always end after that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.why = ""
        self._heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Hear of an error."""
        if "has failed" in record.getMessage():
            self.why = self.why or record.getMessage()
            self._heard.set()

    async def wait(self) -> None:
        """Return once kopf has said so."""
        await self._heard.wait()


@contextlib.contextmanager
def _failures() -> Iterator[_Failure]:
    """Listen to what kopf logs of itself; in its own thread and loop, where it logs."""
    log, failure = logging.getLogger(_RUNNING), _Failure()
    log.addHandler(failure)
    try:
        yield failure
    finally:
        log.removeHandler(failure)


def _end(ended: asyncio.Future[str], why: str) -> None:
    if not ended.done():
        ended.set_result(why)


class _Quiet(logging.Filter):
    """Drops what objects' conditions and events say in our words, and that signals are left to us.

    What the API server refuses is one sentence, once for each right, and no traceback at every try; of statuses
    `standing` says it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._refused: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        record.__dict__.pop("settings", None)
        text = record.getMessage()
        if refused := _REFUSED.search(text):
            return self._is_new_refusal(record, f"{refused[2]} {refused[3]}", refused[0])
        return not any(noise in text for noise in ("failed temporarily", "OS signals are ignored"))

    def _is_new_refusal(self, record: logging.LogRecord, right: str, why: str) -> bool:
        is_new = right not in self._refused and not right.endswith("/status")
        self._refused.add(right)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info, record.exc_text, record.args = None, None, ()
        record.msg = f"not allowed to {right}: grant it to the service account or user; it is tried again ({why})"
        return is_new


_REFUSED = re.compile(r'is forbidden: User "([^"]+)" cannot (\w+) resource "([^"]+)"')
"""The API server's words, of RBAC."""
_without_noise = _Quiet()


def _registry(context: Context, credentials: Callable[[], Credentials], watches: int) -> kopf.OperatorRegistry:
    registry = handlers(context)

    async def login(**_: object) -> kopf.AiohttpSession:
        return _pooled(_connection(await asyncio.to_thread(credentials)), watches)

    kopf.on.login(registry=registry, id="login")(login)
    return registry


@dataclass(frozen=True, kw_only=True)
class _Pooled(kopf.AiohttpSession):
    """A session of ours for kopf. Two are equal if their credentials are: kopf asks that of those that were refused."""

    made_from: kopf.ConnectionInfo
    aiohttp_session: Any = field(compare=False)


def _pooled(found: kopf.ConnectionInfo, watches: int) -> kopf.AiohttpSession:
    session = pooled_session(found.as_ssl_context(), found.as_http_headers(), found.proxy_url, watches=watches)
    return _Pooled(server=found.server, expiration=found.expiration, made_from=found, aiohttp_session=session)


def _connection(found: Credentials) -> kopf.ConnectionInfo:
    tls = found.tls
    scheme, _, token = found.authorization.partition(" ")
    return kopf.ConnectionInfo(
        server=found.server,
        ca_data=tls.ca if tls else None,
        insecure=not tls.verify if tls else None,
        scheme=scheme or None,
        token=token or None,
        certificate_data=tls.certificate if tls else None,
        private_key_data=tls.private_key if tls else None,
        proxy_url=found.proxy,
        expiration=datetime.fromtimestamp(found.renew_at, UTC).replace(tzinfo=None) if found.renew_at else None,
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # events are ours: aggregated and rate-limited
    settings.scanning.disabled = True  # our CRDs are there: `run` has checked it
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.execution.max_workers = 2
    settings.process.ultimate_exiting_timeout = None  # the process is not kopf's to kill
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings
