"""What an object asks of a registry that cannot do it, told by what the registry says of itself, before it is asked.

Nothing is dropped in silence: what matters to whoever registers or discovers is refused, with the field; what does not
is said beside.
"""

from collections.abc import Iterable, Iterator

from kube_registrar.model.errors import Refused
from kube_registrar.model.ownership import users_tags
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, RoutingPolicy, ServiceSpec, Setting
from kube_registrar.registries.port import Capabilities

Spec = NamespaceSpec | ServiceSpec


def refusal(spec: Spec, can: Capabilities) -> Refused | None:
    """Return why a registry with these capabilities can never do what `spec` asks; None if it can."""
    for field, found, allowed in _namespace(spec, can) if isinstance(spec, NamespaceSpec) else _service(spec, can):
        rule = f"this registry can do {allowed}"
        return Refused(f"{field} is {found}: {rule}. Change it, or use another registry", field=field, rule=rule)
    return None


def unhonoured(spec: Spec, can: Capabilities) -> str:
    """Name what a registry leaves out of `spec`, though it can be used; empty if nothing."""
    return "; ".join(_left_out(spec, can))


def _left_out(spec: Spec, can: Capabilities) -> Iterator[str]:
    tags = users_tags(spec.tags)
    if tags and not can.tags:
        yield f"spec.tags is {', '.join(sorted(tags))}, and this registry keeps no tags: leave them out"
    if isinstance(spec, NamespaceSpec):
        if spec.soa_ttl_seconds is not None and Setting.SOA_TTL not in can.heeds:
            yield f"spec.soaTTLSeconds is {spec.soa_ttl_seconds}, and this registry's DNS has its own: leave it out"
        if spec.vpc_id and Setting.VPC not in can.heeds:
            yield f"spec.vpcID is {spec.vpc_id}, and this registry knows no VPCs: its DNS answers whoever asks"
    elif spec.dns is not None:
        if spec.dns.routing is RoutingPolicy.WEIGHTED and Setting.WEIGHTED_ROUTING not in can.heeds:
            yield "spec.dns.routingPolicy is Weighted, and this registry's DNS answers with all instances"
        times = sorted({record.ttl_seconds for record in spec.dns.records})
        if len(times) > 1 and Setting.RECORD_TTLS not in can.heeds:
            yield (
                f"spec.dns.records has the ttlSeconds {', '.join(map(str, times))}, and this registry has one for all "
                f"records: the shortest, {times[0]}"
            )


def _namespace(spec: NamespaceSpec, can: Capabilities) -> Iterator[tuple[str, str, str]]:
    if spec.type not in can.namespace_types:
        yield "spec.type", spec.type, _listed(can.namespace_types)


def _service(spec: ServiceSpec, can: Capabilities) -> Iterator[tuple[str, str, str]]:
    if unknown := spec.record_types - can.record_types:
        yield "spec.dns.records", _listed(unknown), _listed(can.record_types) if can.record_types else "no DNS records"
    if spec.health_check is HealthCheckType.CUSTOM and not can.custom_health:
        yield "spec.healthCheck.type", spec.health_check, _checks(can)
    if spec.health_check is HealthCheckType.ROUTE53 and not can.health_checks:
        yield "spec.healthCheck.type", spec.health_check, _checks(can)


def _checks(can: Capabilities) -> str:
    able = [HealthCheckType.NONE]
    able += [HealthCheckType.CUSTOM] if can.custom_health else []
    return _listed(able + ([HealthCheckType.ROUTE53] if can.health_checks else []))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
