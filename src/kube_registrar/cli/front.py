"""What this process serves: probes and metrics, and the Cloud Map API where a registry is its own catalog."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from kube_registrar.declared.configuration import parse_listen
from kube_registrar.declared.settings import Configuration
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.server.listening import listening
from kube_registrar.server.probes import probes

_log = logging.getLogger(__name__)


async def serve_probes(
    stack: AsyncExitStack, configuration: Configuration, metrics: Metrics, not_ready: Callable[[], Sequence[str]]
) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics` until the stack closes. Raises UserError if the port is taken."""
    host, port = parse_listen(configuration.listen)
    bound = await stack.enter_async_context(listening(probes(metrics, not_ready), host, port, flag="--listen"))
    _say("probes", host, bound)


def _say(what: str, host: str, port: int) -> None:
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _log.info("listening: %s=%s", what, address, extra={"serves": what, "address": address})
