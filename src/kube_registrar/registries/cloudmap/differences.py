"""What differs between what is there and what is asked for, and what can be done about it."""

from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, Route53Check, ServiceSpec, obstacle


def conflict(there: NamespaceSpec | ServiceSpec, asked: NamespaceSpec | ServiceSpec, *, own: bool) -> str:
    """Say what stands in the way of using `there`; empty if nothing does.

    Types and record types matter to all, and so does a name that differs in case only. Who made a service (`own`) also
    cannot have other routing or another custom health check: both are fixed at its creation.
    """
    if there.ref.name != asked.ref.name:
        return f"is called {there.ref.name!r}, which is the same name in DNS"
    in_the_way = obstacle(there, asked)
    if in_the_way or not own or not isinstance(there, ServiceSpec) or not isinstance(asked, ServiceSpec):
        return in_the_way
    if there.dns and asked.dns and there.dns.routing is not asked.dns.routing:
        return f"has the routing policy {there.dns.routing}, not {asked.dns.routing}"
    if (there.health_check is HealthCheckType.CUSTOM) != (asked.health_check is HealthCheckType.CUSTOM):
        return f"has the health check {there.health_check}, not {asked.health_check}"
    return ""


def needs_update(there: NamespaceSpec | ServiceSpec, asked: NamespaceSpec | ServiceSpec) -> bool:
    """Whether a setting differs that its creator may change later."""
    if there.description != asked.description:
        return True
    if isinstance(there, NamespaceSpec) and isinstance(asked, NamespaceSpec):
        return asked.soa_ttl_seconds not in {None, there.soa_ttl_seconds}
    if isinstance(there, ServiceSpec) and isinstance(asked, ServiceSpec):
        return _times_to_live(there) != _times_to_live(asked) or _check(there) != _check(asked)
    return False


def _times_to_live(spec: ServiceSpec) -> dict[str, int]:
    return {record.type: record.ttl_seconds for record in spec.dns.records} if spec.dns else {}


def _check(spec: ServiceSpec) -> Route53Check | None:
    return spec.route53.as_made() if spec.route53 else None
