"""What DNS tells of a registry: zones, the services in them, and the instances that are their answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Zone:
    """A registry namespace with DNS. `soa_ttl`: of its SOA record, in seconds; None: none was asked for."""

    id: str
    name: str
    soa_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class PublishedService:
    """A registry service with DNS records: (type, TTL in seconds). `weighted`: one answer, else up to eight.

    Its name is relative to the zone; `.` stands for the zone itself.
    """

    id: str
    zone_id: str
    name: str
    records: tuple[tuple[str, int], ...]
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An instance as DNS sees it. An address, name or port that it does not have is empty or 0."""

    id: str
    ipv4: str = ""
    ipv6: str = ""
    cname: str = ""
    port: int = 0
    healthy: bool = True
