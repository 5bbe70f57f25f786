"""Addresses, and whether they are what a registry service's records need."""

from collections.abc import Sequence

from kube_registrar.declared.problems import AnnotationError, field_of, shown
from kube_registrar.declared.references import KEY
from kube_registrar.model import attributes as keys
from kube_registrar.model.reasons import MISSING_ADDRESS, Problem
from kube_registrar.model.specs import HealthCheckType, RecordType, RoutingPolicy, ServiceSpec


def addresses_of(ips: Sequence[str], service: ServiceSpec, text: str, whose: str = "the pod") -> dict[str, str]:
    """Return the address attributes: the first of each family. Raises AnnotationError if the records need another.

    `text`: the reference as the user wrote it; `whose`: what has these addresses, for people. A pod without any
    address is not looked at: it is waited for.
    Source: RegisterInstance (AWS Cloud Map API reference) for what each record type needs.
    """
    found: dict[str, str] = {}
    for ip in ips:
        found.setdefault(keys.IPV6 if ":" in ip else keys.IPV4, ip)
    missing = _missing(found, service.record_types)
    if missing:
        raise AnnotationError(
            Problem.of(
                MISSING_ADDRESS,
                field=field_of(KEY),
                found=shown(text),
                rule=missing,
                whose=whose,
                addresses=f"only {' and '.join(found.values())}",
                next_step=f"Use a registry service with other records, or give {whose} such an address",
            )
        )
    return found


def _missing(found: dict[str, str], records: frozenset[RecordType]) -> str:
    """Name what the records need and the pod does not have. SRV takes an address of either family."""
    if RecordType.CNAME in records:
        return "a host name for its CNAME record"
    if RecordType.A in records and keys.IPV4 not in found:
        return "an IPv4 address for its A record"
    if RecordType.AAAA in records and keys.IPV6 not in found:
        return "an IPv6 address for its AAAA record"
    return ""


def host_of(host: str, service: ServiceSpec, text: str, whose: str, *, is_balancer: bool) -> dict[str, str]:
    """Return the address attribute of a host name. Raises AnnotationError if the records need something else.

    A service that is found by API only takes any name. `is_balancer`: a load balancer's, to which a DNS alias may lead;
    nothing else is registered beside that.
    """
    if is_balancer and _takes_alias(service):
        return {keys.ALIAS: host}
    if service.dns is None or RecordType.CNAME in service.record_types:
        return {keys.CNAME: host}
    others = "Use a registry service with CNAME records"
    if is_balancer:
        others += ", or one with A or AAAA records, weighted routing and no custom health check"
    raise AnnotationError(
        Problem.of(
            MISSING_ADDRESS,
            field=field_of(KEY),
            found=shown(text),
            rule=f"an IP address for its {' and '.join(sorted(service.record_types))} records",
            whose=whose,
            addresses=f"only the host name {shown(host)}",
            next_step=others,
        )
    )


def _takes_alias(service: ServiceSpec) -> bool:
    """Whether a DNS alias can be registered. Source: RegisterInstance (AWS Cloud Map API reference)."""
    return (
        service.dns is not None
        and service.dns.routing is RoutingPolicy.WEIGHTED
        and bool(service.record_types)
        and service.record_types <= {RecordType.A, RecordType.AAAA}
        and service.health_check is not HealthCheckType.CUSTOM
    )
