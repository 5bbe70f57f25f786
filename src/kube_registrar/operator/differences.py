"""How what is in a registry differs from what an object says, in words."""

from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, ServiceSpec


def difference(wanted: NamespaceSpec | ServiceSpec, found: NamespaceSpec | ServiceSpec) -> str:
    """Name the settings that differ, as the object's fields; empty if none does.

    Only what the object sets is compared: a description or tag that it does not mention is nobody's mistake.
    """
    if isinstance(wanted, NamespaceSpec) and isinstance(found, NamespaceSpec):
        pairs = [
            ("spec.description", wanted.description, found.description),
            ("spec.soaTTLSeconds", wanted.soa_ttl_seconds, found.soa_ttl_seconds),
        ]
    elif isinstance(wanted, ServiceSpec) and isinstance(found, ServiceSpec):
        check = wanted.health_check if wanted.health_check is not HealthCheckType.NONE else None
        pairs = [
            ("spec.description", wanted.description, found.description),
            ("spec.dns.records", _ttls(wanted), _ttls(found)),
            ("spec.healthCheck", check, found.health_check),
        ]
    else:
        return ""
    return "; ".join(
        f"{field} is {found!s} there and {asked!s} here" for field, asked, found in pairs if asked and asked != found
    )


def _ttls(spec: ServiceSpec) -> str:
    records = spec.dns.records if spec.dns else ()
    return ", ".join(sorted(f"{record.type} {record.ttl_seconds}s" for record in records))
