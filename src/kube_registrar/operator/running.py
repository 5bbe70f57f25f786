"""Runs kopf for our kinds in a thread with an event loop of its own, and starts it again when it gives up.

In our loop it would do harm: it takes the signals over, it cancels every task that is younger than itself when it
ends, and ten minutes after an end by error it kills the process (`kopf._core.reactor.running`). What handlers
decide and write is done in our loop all the same (`handlers`), so nothing of ours is used by two threads.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import kopf

from kube_registrar.cluster.credentials import Credentials
from kube_registrar.operator.context import Context
from kube_registrar.operator.handlers import GROUP, handlers
from kube_registrar.runtime.backoff import Backoff

_NOISY = ("kopf.objects", "kopf._core.reactor.running")

_log = logging.getLogger(__name__)


async def run(context: Context, credentials: Callable[[], Credentials], namespaces: Sequence[str]) -> None:
    """Reconcile our kinds until cancelled; `namespaces` empty: in all of them.

    kopf ends on a watch error other than 410 and when a list keeps failing, so it is started again. Its end never
    ends the process: instances are kept true without it.
    """
    backoff = Backoff()
    logging.getLogger("kopf._core.reactor.running").addFilter(_is_news)
    while True:
        registry = _registry(context, credentials)
        try:
            await _one_life(registry=registry, clusterwide=not namespaces, namespaces=namespaces)
        except Exception as error:  # noqa: BLE001 - whatever ended kopf, it is started again
            _log.warning("kopf ended: %s", error)
        delay = backoff.failed()
        _log.warning("RegistryNamespaces and RegistryServices are not looked after; starting again in %.1f s", delay)
        await context.clock.sleep(delay)


async def _one_life(**options: Any) -> None:
    """Run kopf until it ends by itself, or until cancelled: then it is asked to end, and that is waited for."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def live() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(kopf.operator(settings=_settings(), standalone=True, stop_flag=stop, **options))

    executor = ThreadPoolExecutor(1, thread_name_prefix="kopf")
    done = asyncio.get_running_loop().run_in_executor(executor, live)
    executor.shutdown(wait=False)  # the thread ends with what it was given
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has just ended by itself
            loop.call_soon_threadsafe(stop.set)
        await asyncio.wait({done})
        raise


def _is_news(record: logging.LogRecord) -> bool:
    """Whether kopf says something of interest: that it leaves the signals to us is none."""
    return "OS signals are ignored" not in record.getMessage()


def _registry(context: Context, credentials: Callable[[], Credentials]) -> kopf.OperatorRegistry:
    registry = handlers(context, asyncio.get_running_loop())

    def login(**_: object) -> kopf.ConnectionInfo:
        return _connection(credentials())

    kopf.on.login(registry=registry, id="login")(login)
    return registry


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
    settings.persistence.finalizer = f"{GROUP}/registry"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings
