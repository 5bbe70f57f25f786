"""What this process serves: probes and metrics, and the Cloud Map API where a registry is its own catalog."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from kube_registrar.declared.configuration import parse_listen
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.model.simulation import Simulation, simulation
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.catalog import Catalog
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.server.listening import listening
from kube_registrar.server.probes import probes

_log = logging.getLogger(__name__)


async def serve_probes(
    stack: AsyncExitStack,
    configuration: Configuration,
    metrics: Metrics,
    not_ready: Callable[[], Sequence[str]],
    wedged: Callable[[], Sequence[str]],
) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics` until the stack closes. Raises UserError if the port is taken."""
    host, port = parse_listen(configuration.listen)
    bound = await stack.enter_async_context(listening(probes(metrics, not_ready, wedged), host, port, flag="--listen"))
    _say("probes", host, bound)


async def serve_api(
    stack: AsyncExitStack, configuration: Configuration, registries: Mapping[RegistryName, Registry], clock: Clock
) -> None:
    """Serve the Cloud Map API of the registry that is its own catalog, if there is one, until the stack closes.

    Raises UserError if there are several, if the port is taken, or if the address is not a loopback one.
    """
    catalogs = {name: registry for name, registry in registries.items() if isinstance(registry, Catalog)}
    if len(catalogs) > 1:
        names = " and ".join(sorted(catalogs))
        raise UserError(f"registries {names} are both embedded, and one process serves one: remove one of them")
    host, port = parse_listen(configuration.api_listen)
    for name, catalog in catalogs.items():
        bound = await stack.enter_async_context(serve(app(catalog, _troubles(configuration, name), clock), host, port))
        _say("api", host, bound)


def _troubles(configuration: Configuration, name: RegistryName) -> Simulation:
    """Return what the wire pretends; the registry itself has refused, when it was opened, what is neither kind."""
    switches = configuration.registries[name].options.get("simulate", "")
    return simulation(switches if isinstance(switches, str | Mapping) else "")


def _say(what: str, host: str, port: int) -> None:
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _log.info("listening: %s=%s", what, address, extra={"serves": what, "address": address})
