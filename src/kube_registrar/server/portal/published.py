"""What of a registry is published in DNS: values in, values out.

A registry that knows DNS says so itself: namespaces with DNS are zones, services with records are names in them. One
that knows none has nothing to say, and everything in it is published: each namespace whose name is a domain name, and
each service in it with addresses and ports.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.specs import NamespaceType, RoutingPolicy, ServiceSpec
from kube_registrar.model.zones import PublishedService, Target, Zone
from kube_registrar.registries.port import Capabilities
from kube_registrar.server.dns.wire import wire_name
from kube_registrar.server.portal.directory import Known

TTL_SECONDS: Final = 5
"""Of records that nobody asked for: so long may a client believe in an instance that is gone."""
_ALL: Final = (("A", TTL_SECONDS), ("AAAA", TTL_SECONDS), ("SRV", TTL_SECONDS))
_MOST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Zones and services by ids of ours: names, for a registry's own ids may be the same in two namespaces."""

    zones: dict[str, Zone] = field(default_factory=dict)
    services: dict[str, PublishedService] = field(default_factory=dict)
    refs: dict[str, ServiceRef] = field(default_factory=dict)


def snapshot(known: Sequence[Known], can: Capabilities) -> Snapshot:
    """Return what is to be published of these."""
    found = Snapshot()
    for namespace in known:
        name = namespace.spec.ref.name
        if not (_is_zone(namespace, can) and _is_domain(name)):
            continue
        found.zones[name] = Zone(name, name, namespace.spec.soa_ttl_seconds)
        for service in namespace.services:
            identifier = str(service.spec.ref)
            records = _records(service.spec, can)
            if records and _is_domain(_under(service.spec.ref.name, name)):
                weighted = service.spec.dns is not None and service.spec.dns.routing is RoutingPolicy.WEIGHTED
                found.services[identifier] = PublishedService(
                    identifier, name, service.spec.ref.name, records, weighted
                )
                found.refs[identifier] = service.spec.ref
    return found


def targets(instances: Sequence[Instance]) -> Iterator[Target]:
    """Return instances as DNS sees them. What has no health counts as healthy."""
    for each in instances:
        port = each.attributes.get(keys.PORT, "0")
        yield Target(
            id=each.id,
            ipv4=each.attributes.get(keys.IPV4, ""),
            ipv6=each.attributes.get(keys.IPV6, ""),
            cname=each.attributes.get(keys.CNAME, ""),
            port=int(port) if port.isascii() and port.isdigit() and int(port) <= _MOST_PORT else 0,
            healthy=each.health is not Health.UNHEALTHY,
        )


def _is_zone(namespace: Known, can: Capabilities) -> bool:
    return not can.record_types or namespace.spec.type is not NamespaceType.HTTP


def _records(spec: ServiceSpec, can: Capabilities) -> tuple[tuple[str, int], ...]:
    if not can.record_types:
        return _ALL
    return tuple((record.type.value, record.ttl_seconds) for record in spec.dns.records) if spec.dns else ()


def _under(service: str, zone: str) -> str:
    return zone if service == "." else f"{service}.{zone}"


def _is_domain(name: str) -> bool:
    try:
        wire_name(name)
    except ValueError:
        return False
    return True
