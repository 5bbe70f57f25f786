"""The way in to the Cloud Map API, as it is configured: keys, rates, TLS, and what reads them again."""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import SSLContext

from kube_registrar.declared.configuration import parse_listen
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.errors import UserError
from kube_registrar.runtime import descriptors
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.runtime.tasks import running_beside
from kube_registrar.server.access import keyfile, rates
from kube_registrar.server.access.doors import Door, KeyedDoor, OpenDoor
from kube_registrar.server.access.hosts import is_loopback
from kube_registrar.server.access.keys import KeyRing, Role
from kube_registrar.server.access.reloading import Watched, keep_reading
from kube_registrar.server.access.tls import Certificate
from kube_registrar.server.access.verifying import Verifier
from kube_registrar.server.cloudmap.traffic import Traffic
from kube_registrar.server.connections import Connections

_log = logging.getLogger(__name__)
_KEYS, _TLS = _WATCHED = ("access-keys", "tls")


@dataclass(frozen=True, slots=True)
class Entrance:
    """What requests come in by."""

    door: Door
    traffic: Traffic
    connections: Connections
    tls: SSLContext | None


async def entrance(stack: AsyncExitStack, configuration: Configuration, metrics: Metrics, clock: Clock) -> Entrance:
    """Read keys and certificate, and go on reading them when they change until the stack closes. Raises UserError."""
    limits = rates.ClientRates(rates.parse(configuration.api_rate), clock)
    watched = list[Watched]()
    told = partial(_count, metrics)
    door: Door = OpenDoor(limits)
    if configuration.access_keys:
        ring = KeyRing(())
        watched.append(Watched(_KEYS, partial(_load_keys, Path(configuration.access_keys), ring, metrics), told))
        door = KeyedDoor(Verifier(ring, clock), limits)
    certificate = _certificate(configuration)
    if certificate is not None:
        watched.append(Watched(_TLS, certificate.load, told))
    elif configuration.access_keys and not is_loopback(parse_listen(configuration.api_listen)[0]):
        _log.warning("the Cloud Map API is served without TLS: what it answers can be read, and changed, on its way")
    for what in _WATCHED:
        # From zero: what a counter rises by is not seen where it begins with one.
        metrics.files_reloaded.labels(what, "error")
    if watched:
        await stack.enter_async_context(running_beside("rereading", keep_reading(watched, clock)))
    context = certificate.context if certificate else None
    return Entrance(door, _traffic(configuration, metrics), _connections(configuration, metrics, clock), context)


def _load_keys(path: Path, ring: KeyRing, metrics: Metrics) -> Sequence[Path]:
    found = keyfile.read(path)
    for file in found.exposed:
        _log.warning("anybody on this machine may read the access keys in %s: take that right away (chmod o-r)", file)
    ring.replace(found.keys)
    roles = [key.role for key in found.keys]
    for role in Role:
        metrics.access_keys.labels(role).set(roles.count(role))
    # A folder is looked at too: a file that comes is a change.
    return [path, *found.files] if path.is_dir() else found.files


def _certificate(configuration: Configuration) -> Certificate | None:
    cert, key = configuration.tls_cert, configuration.tls_key
    if bool(cert) != bool(key):
        given, missing = ("--tls-cert", "--tls-key") if cert else ("--tls-key", "--tls-cert")
        raise UserError(f"{given} is given without {missing}: TLS needs both files")
    return Certificate(Path(cert), Path(key)) if cert and key else None


def _traffic(configuration: Configuration, metrics: Metrics) -> Traffic:
    traffic = Traffic(configuration.api_at_once, metrics.answers.count)
    metrics.before_render(lambda: metrics.api_requests_under_way.set(traffic.under_way))
    return traffic


def _connections(configuration: Configuration, metrics: Metrics, clock: Clock) -> Connections:
    wanted = configuration.api_connections
    most = descriptors.for_connections(wanted)
    if most < wanted:
        _log.warning(
            "the Cloud Map API holds %d connections at most, and not %d as --api-connections says: this process may "
            "open no more files; raise its limit (ulimit -n)",
            most,
            wanted,
        )
    connections = Connections(most, clock, metrics.api_connections_refused.inc)
    metrics.before_render(lambda: metrics.api_connections.set(connections.held()))
    return connections


def _count(metrics: Metrics, what: str, result: str) -> None:
    metrics.files_reloaded.labels(what, result).inc()
