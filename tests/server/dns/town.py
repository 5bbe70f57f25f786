"""A registry that is no registry: zones, services and instances in dictionaries, and whoever follows is told."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import dns.message
import dns.rdatatype

from kube_registrar.model.zones import PublishedService, Target, Zone
from kube_registrar.server.dns.answering import Responder
from kube_registrar.server.dns.records import Records
from kube_registrar.server.dns.rendering import Renderer
from kube_registrar.server.dns.source import Audience

ZONE = "shop.local"


@dataclass
class Town:
    """What DNS is told. Ids are names: a service's is `name.zone`."""

    zones: dict[str, Zone] = field(default_factory=dict)
    services: dict[str, PublishedService] = field(default_factory=dict)
    instances: dict[str, dict[str, Target]] = field(default_factory=dict)
    audiences: list[Audience] = field(default_factory=list)

    def zone_ids(self) -> Iterable[str]:
        return list(self.zones)

    def service_ids(self) -> Iterable[str]:
        return list(self.services)

    def zone(self, zone_id: str) -> Zone | None:
        return self.zones.get(zone_id)

    def service(self, service_id: str) -> PublishedService | None:
        return self.services.get(service_id)

    def targets(self, service_id: str) -> Iterator[Target]:
        return iter(self.instances[service_id].values())

    def target(self, service_id: str, instance_id: str) -> Target | None:
        return self.instances[service_id].get(instance_id)

    def follow(self, audience: Audience) -> None:
        self.audiences.append(audience)

    # What tests do to it.

    def put_zone(self, name: str = ZONE, soa_ttl: int | None = None, zone_id: str = "") -> None:
        self.zones[zone_id or name] = Zone(zone_id or name, name, soa_ttl)
        for audience in self.audiences:
            audience.namespace_changed(zone_id or name)

    def remove_zone(self, zone_id: str = ZONE) -> None:
        del self.zones[zone_id]
        for audience in self.audiences:
            audience.namespace_changed(zone_id)

    def put_service(self, name: str, *types: str, ttl: int = 60, weighted: bool = False, zone: str = ZONE) -> str:
        service_id = f"{name}.{zone}"
        records = tuple((type_, ttl) for type_ in types)
        self.services[service_id] = PublishedService(service_id, zone, name, records, weighted)
        self.instances.setdefault(service_id, {})
        for audience in self.audiences:
            audience.service_changed(service_id)
        return service_id

    def remove_service(self, service_id: str) -> None:
        del self.services[service_id]
        for audience in self.audiences:
            audience.service_changed(service_id)

    def put(self, service_id: str, *targets: Target) -> None:
        for target in targets:
            self.instances[service_id][target.id] = target
            for audience in self.audiences:
                audience.instance_changed(service_id, target.id)

    def drop(self, service_id: str, instance_id: str) -> None:
        del self.instances[service_id][instance_id]
        for audience in self.audiences:
            audience.instance_changed(service_id, instance_id)


@dataclass
class Asked:
    """Asks what answers for a town, and reads the answers with dnspython."""

    town: Town
    records: Records = field(default_factory=Records)

    def __post_init__(self) -> None:
        Renderer(self.town, self.records, [("192.0.2.53", "2001:db8::53")]).start()
        self.responder = Responder(self.records, random.Random(7))

    def raw(self, packet: bytes, *, stream: bool = False) -> dns.message.Message | None:
        """Return the answer to a packet."""
        reply = self.responder.answer(packet, stream=stream)
        return None if reply is None else dns.message.from_wire(reply)

    def __call__(self, name: str, type_: str = "A", *, stream: bool = False, **options: object) -> dns.message.Message:
        query = dns.message.make_query(name, type_, **options)  # type: ignore[arg-type]
        reply = self.raw(query.to_wire(), stream=stream)
        assert reply is not None
        assert query.is_response(reply)
        return reply


def addresses(reply: dns.message.Message) -> list[str]:
    """Return the addresses of an answer, in their order."""
    return [row.address for rrset in reply.answer for row in rrset if row.rdtype in {1, 28}]


def targets(count: int, **options: object) -> list[Target]:
    """Return healthy instances with both addresses and a port."""
    return [
        Target(f"i-{number}", f"10.0.0.{number}", f"fd00::{number:x}", port=8000 + number, **options)  # type: ignore[arg-type]
        for number in range(1, count + 1)
    ]


def town() -> Town:
    """Return a zone with services of every kind."""
    made = Town()
    made.put_zone(soa_ttl=30)
    made.put(made.put_service("web", "A", "AAAA"), *targets(3))
    made.put(made.put_service("many", "A"), *targets(20))
    made.put(made.put_service("_http._tcp.Shop", "SRV"), *targets(2))
    made.put(made.put_service("ports", "SRV"), *targets(8))
    made.put(made.put_service("one", "A", weighted=True), *targets(4))
    made.put(made.put_service("alias", "CNAME", weighted=True), Target("x", cname="web.shop.local"))
    made.put(made.put_service("away", "CNAME", weighted=True), Target("x", cname="www.example.org."))
    made.put_service("empty", "A")
    return made
