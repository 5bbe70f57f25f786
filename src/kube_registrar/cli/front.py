"""What this process serves: probes and metrics; the Cloud Map API and DNS where a registry is made for that."""

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
from kube_registrar.server.dns import serving as dns
from kube_registrar.server.dns.source import Publisher
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


async def serve_dns(
    stack: AsyncExitStack, configuration: Configuration, registries: Mapping[RegistryName, Registry], metrics: Metrics
) -> None:
    """Answer DNS for the registry that has zones, if that was asked for, until the stack closes.

    Whoever reaches the address is answered: DNS knows no authentication. Raises UserError if no registry has zones, or
    if the port is taken.
    """
    if configuration.dns_listen is None:
        return
    publishers = [registry for registry in registries.values() if isinstance(registry, Publisher)]
    if not publishers:
        raise UserError(
            f"--dns-listen is {configuration.dns_listen}, and no configured registry answers DNS: an embedded one "
            "does; configure one, or leave --dns-listen out"
        )
    host, port = parse_listen(configuration.dns_listen)
    for publisher in publishers:
        bound, counted = await stack.enter_async_context(dns.serve(publisher.zones, host, port))
        metrics.read_dns_queries(counted)
        _say("dns", host, bound, scheme="dns")


def _troubles(configuration: Configuration, name: RegistryName) -> Simulation:
    """Return what the wire pretends; the registry itself has refused, when it was opened, what is neither kind."""
    switches = configuration.registries[name].options.get("simulate", "")
    return simulation(switches if isinstance(switches, str | Mapping) else "")


def _say(what: str, host: str, port: int, scheme: str = "http") -> None:
    address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    _log.info("listening: %s=%s", what, address, extra={"serves": what, "address": address})
