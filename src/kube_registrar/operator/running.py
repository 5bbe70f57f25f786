"""Runs kopf for our kinds, and starts it again when it gives up."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import kopf

from kube_registrar.cluster.credentials import Credentials
from kube_registrar.operator.context import Context
from kube_registrar.operator.handlers import GROUP, handlers
from kube_registrar.runtime.backoff import Backoff

_log = logging.getLogger(__name__)


async def run(context: Context, credentials: Callable[[], Credentials], namespaces: Sequence[str]) -> None:
    """Reconcile our kinds until cancelled; `namespaces` empty: in all of them.

    kopf ends on a watch error other than 410 and when a list keeps failing, so it is started again. Its end never
    ends the process: instances are kept true without it.
    """
    backoff = Backoff()
    while True:
        stop = asyncio.Event()
        try:
            await kopf.operator(
                registry=_registry(context, credentials),
                settings=_settings(),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                stop_flag=stop,
            )
        except asyncio.CancelledError:
            stop.set()
            raise
        except Exception as error:  # noqa: BLE001 - whatever ended kopf, it is started again
            _log.warning("kopf ended: %s", error)
        delay = backoff.failed()
        _log.warning("RegistryNamespaces and RegistryServices are not looked after; starting again in %.1f s", delay)
        await context.clock.sleep(delay)


def _registry(context: Context, credentials: Callable[[], Credentials]) -> kopf.OperatorRegistry:
    registry = handlers(context)

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
    settings.persistence.finalizer = f"{GROUP}/registry"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings
