"""From what a registry has to records: all of it at the start, and then each thing that changes, on its own."""

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from kube_registrar.model.zones import PublishedService, Target, Zone
from kube_registrar.server.dns.records import MOST_ANSWERS, Drawn, Fixed, Rank, Records
from kube_registrar.server.dns.source import ZoneSource
from kube_registrar.server.dns.wire import (
    CNAME,
    LONGEST_NAME,
    NS,
    QUESTION,
    ROOT,
    SOA,
    SRV,
    TYPES,
    address_records,
    record,
    type_octets,
    wire_labels,
    wire_name,
)

_log = logging.getLogger(__name__)

SOA_TTL: Final = 15
"""Seconds, where a namespace has none of its own: for so long clients remember that a name is not there."""
_MINIMUM: Final = 86400
_NUMBERS: Final = (1, 7200, 900, 1209600, _MINIMUM)
"""Serial, refresh, retry, expire, minimum: Route 53's. Nobody copies these zones, so the serial means nothing."""
_SERVER: Final = "ns.dns"
"""The name server, in each zone: as in CoreDNS, where a service of that name is not likely."""
_MAIL: Final = "hostmaster"

_OF_ZONE, _OF_INSTANCE, _OF_SERVICE = range(3)
"""Of two things with one name the later of these is answered."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One record of an instance in the set of its service."""

    type: int
    body: bytes
    extra: bytes | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What came of an instance: rows for its service's sets, and sets of its own name, by their key."""

    healthy: bool
    rows: tuple[_Row, ...]
    name: bytes = b""
    own: tuple[tuple[bytes, Fixed], ...] = ()


@dataclass(slots=True)
class _Zone:
    """A zone that is answered. `age`: its place among all that ever were; of two of one name the older one counts."""

    name: str
    apex: bytes
    age: int
    sets: dict[bytes, Fixed] = field(default_factory=dict)
    negative: bytes = b""
    server: bytes = b""
    """The name of its name server, in lower case; empty while it is not published."""

    def rank(self, what: int) -> Rank:
        """Return the rank of what is in it: a smaller zone has it from a larger one."""
        return len(self.apex), what, -self.age


@dataclass(slots=True)
class _Service:
    """A service that is answered. `name` is in lower case, `shown` as it was written."""

    published: PublishedService
    zone: _Zone
    name: bytes
    shown: bytes
    sets: dict[int, Drawn]
    instances: dict[str, _Rendered] = field(default_factory=dict)


class Renderer:
    """Keeps records true to a source. It is an Audience: what goes wrong here is logged and hurts nobody else."""

    def __init__(self, source: ZoneSource, records: Records, addresses: Sequence[tuple[str, str]] = ()) -> None:
        """`addresses`: of this server, as (IPv4, IPv6), for the name of the name server."""
        self._source = source
        self._records = records
        self._addresses = tuple(addresses)
        self._ages = itertools.count()
        self._zones: dict[str, _Zone] = {}
        self._services: dict[str, _Service] = {}

    def start(self) -> None:
        """Render all that is there, and follow the source from then on."""
        self._source.follow(self)
        for zone_id in self._source.zone_ids():
            self.namespace_changed(zone_id)
        for service_id in self._source.service_ids():
            self.service_changed(service_id)

    def namespace_changed(self, namespace_id: str) -> None:
        """Render a zone anew."""
        _guarded(partial(self._render_zone, namespace_id), f"namespace {namespace_id}")

    def service_changed(self, service_id: str) -> None:
        """Render a service and all its instances anew."""
        _guarded(partial(self._render_service, service_id), f"service {service_id}")

    def instance_changed(self, service_id: str, instance_id: str) -> None:
        """Render an instance anew."""
        service = self._services.get(service_id)
        if service is not None:
            change = partial(self._render_instance, service, instance_id)
            _guarded(change, f"instance {instance_id} of service {service_id}")

    # Zones.

    def _render_zone(self, zone_id: str) -> None:
        wanted, known = self._source.zone(zone_id), self._zones.get(zone_id)
        if known is not None:
            self._retract_zone(known)
        if wanted is None:
            self._zones.pop(zone_id, None)
        else:
            age = next(self._ages) if known is None else known.age
            zone = known or _Zone(wanted.name, wire_name(wanted.name).lower(), age)
            self._zones[zone_id] = zone
            self._publish_zone(zone, wanted)
        if known or wanted:
            self._choose_negative((known or self._zones[zone_id]).apex)

    def _publish_zone(self, zone: _Zone, wanted: Zone) -> None:
        ttl = SOA_TTL if wanted.soa_ttl is None else wanted.soa_ttl
        server, mail = _below(_SERVER, zone.name), _below(_MAIL, zone.name)
        soa = server + mail + b"".join(number.to_bytes(4, "big") for number in _NUMBERS)
        rank = zone.rank(_OF_ZONE)
        zone.server = server.lower()
        # Where the zone's own name stands for the name server, its addresses are those of the service of that name.
        pairs = self._addresses if zone.server != zone.apex else ()
        addresses = [found for pair in pairs for found in address_records(ttl, *pair)]
        extra = b"".join(server + body for _, body in addresses)
        sets = {
            zone.apex + type_octets(SOA): Fixed([QUESTION + record(SOA, ttl, soa)], rank),
            zone.apex + type_octets(NS): Fixed(
                [QUESTION + record(NS, ttl, server)], rank, [extra], [len(addresses)] if addresses else []
            ),
        }
        for type_ in {type_ for type_, _ in addresses}:
            bodies = [QUESTION + body for kind, body in addresses if kind == type_]
            sets[zone.server + type_octets(type_)] = Fixed(bodies, rank)
        for key, found in sets.items():
            self._records.claim(key, found)
        # RFC 2308, 5: nothing is remembered for longer than either of the two says.
        zone.sets, zone.negative = sets, record(SOA, min(ttl, _MINIMUM), soa)
        self._records.exist(zone.server, zone.apex, 1)

    def _retract_zone(self, zone: _Zone) -> None:
        for key, found in zone.sets.items():
            self._records.release(key, found)
        if zone.server:
            self._records.exist(zone.server, zone.apex, -1)
        zone.sets, zone.server = {}, b""

    def _choose_negative(self, apex: bytes) -> None:
        """Take the SOA record of the oldest zone of a name: there may be one of that name in another VPC."""
        rivals = [zone for zone in self._zones.values() if zone.apex == apex]
        if rivals:
            self._records.zones[apex] = min(rivals, key=lambda zone: zone.age).negative
        else:
            self._records.zones.pop(apex, None)

    # Services.

    def _render_service(self, service_id: str) -> None:
        known = self._services.pop(service_id, None)
        if known is not None:
            for instance_id in list(known.instances):
                self._retract(known, instance_id)
            self._records.exist(known.name, known.zone.apex, -1)
        published = self._source.service(service_id)
        if published is None:
            return
        zone = self._zones[published.zone_id]
        shown = wire_name(zone.name if published.name == "." else f"{published.name}.{zone.name}")
        rank = zone.rank(_OF_SERVICE)
        most = 1 if published.weighted else MOST_ANSWERS
        sets = {TYPES[name]: Drawn(most, rank) for name, _ in published.records}
        service = self._services[service_id] = _Service(published, zone, shown.lower(), shown, sets)
        self._records.exist(service.name, zone.apex, 1)
        for target in self._source.targets(service_id):
            self._publish(service, target)

    def _render_instance(self, service: _Service, instance_id: str) -> None:
        self._retract(service, instance_id)
        target = self._source.target(service.published.id, instance_id)
        if target is not None:
            self._publish(service, target)

    def _publish(self, service: _Service, target: Target) -> None:
        try:
            rendered = _rendered(service, target)
        except (ValueError, OSError) as error:
            # Registering refuses what cannot be a record; an older version may have let it in.
            _log.warning("instance %s of %s is not in DNS: %s", target.id, service.published.name, error)
            return
        for row in rendered.rows:
            found = service.sets[row.type]
            if not found.live.bodies:
                self._records.claim(service.name + type_octets(row.type), found)
            found.put(row.body, row.extra, row.number, healthy=rendered.healthy)
        for key, own in rendered.own:
            self._records.claim(key, own)
        if rendered.own:
            self._records.exist(rendered.name, service.name, 1)
        service.instances[target.id] = rendered

    def _retract(self, service: _Service, instance_id: str) -> None:
        rendered = service.instances.pop(instance_id, None)
        if rendered is None:
            return
        for row in rendered.rows:
            found = service.sets[row.type]
            found.drop(row.body, healthy=rendered.healthy)
            if not found.live.bodies:
                self._records.release(service.name + type_octets(row.type), found)
        for key, own in rendered.own:
            self._records.release(key, own)
        if rendered.own:
            self._records.exist(rendered.name, service.name, -1)


def _below(label: str, zone: str) -> bytes:
    """Return a name in a zone; the zone's own where its name leaves no room for one below it."""
    below = wire_labels(f"{label}.{zone.removesuffix('.')}") + ROOT
    return below if len(below) <= LONGEST_NAME else wire_name(zone)


def _guarded(change: Callable[[], None], what: str) -> None:
    """Change records; whoever changed the registry must not suffer from a bug here."""
    try:
        change()
    except Exception:  # noqa: BLE001 - see above
        _log.exception("DNS could not take over a change of %s; this is a bug", what)


def _rendered(service: _Service, target: Target) -> _Rendered:
    """Raises ValueError or OSError for what cannot be a record."""
    rows: list[_Row] = []
    name = b""
    own: tuple[tuple[bytes, Fixed], ...] = ()
    for kind, ttl in service.published.records:
        type_ = TYPES[kind]
        addresses = address_records(ttl, target.ipv4, target.ipv6)
        if type_ == SRV:
            name, own = _own(service, target, addresses)
            rows.append(_srv(service, target, ttl, addresses))
        elif type_ == CNAME:
            rows += [_Row(CNAME, QUESTION + record(CNAME, ttl, wire_name(target.cname)))] if target.cname else []
        else:
            rows += [_Row(type_, QUESTION + body) for address_type, body in addresses if address_type == type_]
    return _Rendered(target.healthy, tuple(rows), name, own)


def _srv(service: _Service, target: Target, ttl: int, addresses: Iterable[tuple[int, bytes]]) -> _Row:
    """Return the SRV record; its additional records are named by the instance's label and a pointer to the question."""
    label = wire_labels(target.id)
    data = b"\0\x01\0\x01" + target.port.to_bytes(2, "big") + label + service.shown
    bodies = [label + QUESTION + body for _, body in addresses]
    return _Row(SRV, QUESTION + record(SRV, ttl, data), b"".join(bodies), len(bodies))


def _own(
    service: _Service, target: Target, addresses: Iterable[tuple[int, bytes]]
) -> tuple[bytes, tuple[tuple[bytes, Fixed], ...]]:
    """Return the name that an SRV record leads to, and its sets."""
    name = wire_labels(target.id).lower() + service.name
    if len(name) > LONGEST_NAME:
        raise ValueError(f"with the names of service and namespace {target.id!r} is longer than a domain name may be")
    rank = service.zone.rank(_OF_INSTANCE)
    return name, tuple((name + type_octets(type_), Fixed((QUESTION + body,), rank)) for type_, body in addresses)
