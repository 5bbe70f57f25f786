"""What this process serves: probes and metrics; the Cloud Map API and DNS, of one registry or before it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from kube_registrar.cli.apidoor import entrance
from kube_registrar.declared.configuration import parse_listen
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.model.simulation import Simulation, simulation
from kube_registrar.registries.contained import Contained
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.server.checked import Checked
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.catalog import Catalog
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.server.connections import Newest
from kube_registrar.server.dns import serving as dns
from kube_registrar.server.dns.source import Publisher, ZoneSource
from kube_registrar.server.listening import CLOSE_SECONDS, listening
from kube_registrar.server.portal.portal import Portal
from kube_registrar.server.portal.zones import followed
from kube_registrar.server.probes import probes

_log = logging.getLogger(__name__)

_KEYS_WANTED = (
    "registry {} is not an embedded one, so whoever asks the Cloud Map API before it must have an access key, on "
    "loopback too: this process asks that registry with rights of its own, which are not everybody's; write a file "
    'like "- {{accessKeyID: AKIAREADER0000000001, secretAccessKey: SECRET, role: read}}", with what openssl rand '
    "-base64 30 says for SECRET, and give it with --access-keys FILE"
)
_MOST_PROBES = 100
"""Connections of probes and metrics."""
_PROBES_IDLE_SECONDS = 20.0


async def serve_probes(
    stack: AsyncExitStack,
    configuration: Configuration,
    metrics: Metrics,
    not_ready: Callable[[], Sequence[str]],
    wedged: Callable[[], Sequence[str]],
) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics` until the stack closes. Raises UserError if the port is taken."""
    host, port = parse_listen(configuration.listen)
    serving = listening(
        probes(metrics, not_ready, wedged),
        host,
        port,
        flag="--listen",
        limit=Newest(_MOST_PROBES, SystemClock()),
        idle_seconds=_PROBES_IDLE_SECONDS,
    )
    bound = await stack.enter_async_context(serving)
    _say("probes", host, bound)


async def serve_api(
    stack: AsyncExitStack,
    configuration: Configuration,
    registries: Mapping[RegistryName, Registry],
    clock: Clock,
    metrics: Metrics,
    *,
    close_seconds: float = CLOSE_SECONDS,
) -> None:
    """Serve the Cloud Map API of one registry, if there is one to serve, until the stack closes.

    That is the one that the settings name, of whatever kind; else the one that is its own catalog. Open requests then
    have `close_seconds` to end. Raises UserError if there are several such registries, if the port is taken, if keys or
    certificate cannot be used, or if there are no keys, and the address or another kind of registry
    needs them.
    """
    name = _served(configuration, registries)
    if name is None:
        if configuration.access_keys or configuration.tls_cert or configuration.tls_key:
            raise UserError(
                "no registry is embedded, so there is no Cloud Map API to guard: leave --access-keys, --tls-cert and "
                "--tls-key out, or name a registry with --served-registry"
            )
        return
    registry = registries[name]
    if not isinstance(registry, Catalog) and not configuration.access_keys:
        raise UserError(_KEYS_WANTED.format(name))
    catalog = registry if isinstance(registry, Catalog) else Portal(Contained(registry), clock)
    host, port = parse_listen(configuration.api_listen)
    way = await entrance(stack, configuration, metrics, clock)
    if isinstance(registry, Checked):
        metrics.read_health_checks(registry.checks_made)
    served = app(catalog, _troubles(configuration, name), clock, door=way.door, traffic=way.traffic)
    serving = serve(
        served,
        host,
        port,
        is_keyed=not way.door.is_open,
        tls=way.tls,
        close_seconds=close_seconds,
        connections=way.connections,
    )
    bound = await stack.enter_async_context(serving)
    _say("api", host, bound, scheme="https" if way.tls else "http")


async def serve_dns(
    stack: AsyncExitStack,
    configuration: Configuration,
    registries: Mapping[RegistryName, Registry],
    clock: Clock,
    metrics: Metrics,
) -> None:
    """Answer DNS for the registry that is served, if that was asked for, until the stack closes.

    Whoever reaches the address is answered: DNS knows no authentication. Raises UserError as `check_dns` does, or if
    the port is taken.
    """
    registry = check_dns(configuration, registries)
    if configuration.dns_listen is None or registry is None:
        return
    zones = await _zones(stack, registry, clock)
    host, port = parse_listen(configuration.dns_listen)
    bound, counted = await stack.enter_async_context(dns.serve(zones, host, port))
    metrics.read_dns_queries(counted)
    _say("dns", host, bound, scheme="dns")


def check_dns(configuration: Configuration, registries: Mapping[RegistryName, Registry]) -> Registry | None:
    """Return the registry that DNS is to be answered for, if that was asked for: to be called before anybody listens.

    Raises UserError if no registry is served, or if it answers DNS itself.
    """
    if configuration.dns_listen is None:
        return None
    name = _served(configuration, registries)
    if name is None:
        raise UserError(
            f"--dns-listen is {configuration.dns_listen}, and no configured registry is served: name one with "
            "--served-registry, configure an embedded one, or leave --dns-listen out"
        )
    registry = registries[name]
    if registry.capabilities.answers_dns and not isinstance(registry, Publisher):
        raise UserError(
            f"--dns-listen is given, and registry {name} answers DNS itself: leave --dns-listen out, and ask "
            "its own DNS server"
        )
    return registry


async def _zones(stack: AsyncExitStack, registry: Registry, clock: Clock) -> ZoneSource:
    """Return the zones of a registry: its own, or what is kept of it from now on until the stack closes."""
    if isinstance(registry, Publisher):
        return registry.zones
    return await stack.enter_async_context(followed(Contained(registry), clock))


def _served(configuration: Configuration, registries: Mapping[RegistryName, Registry]) -> RegistryName | None:
    """Return the registry that the API and DNS stand before. Raises UserError if nobody can know which one is meant."""
    if configuration.served_registry is not None:
        return RegistryName(configuration.served_registry)
    catalogs = sorted(name for name, registry in registries.items() if isinstance(registry, Catalog))
    if len(catalogs) > 1:
        raise UserError(
            f"registries {' and '.join(catalogs)} are both embedded, and one process serves one: remove one of them, "
            "or name one with --served-registry"
        )
    return catalogs[0] if catalogs else None


def _troubles(configuration: Configuration, name: RegistryName) -> Simulation:
    """Return what the wire pretends; a registry that knows the option has refused what is neither kind."""
    switches = configuration.registries[name].options.get("simulate", "")
    return simulation(switches if isinstance(switches, str | Mapping) else "")


def _say(what: str, host: str, port: int, scheme: str = "http") -> None:
    address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    _log.info("listening: %s=%s", what, address, extra={"serves": what, "address": address})
