"""How what is in a registry differs from what an object says, in words."""

from kube_registrar.model.ownership import users_tags
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, Route53Check, ServiceSpec


def difference(wanted: NamespaceSpec | ServiceSpec, found: NamespaceSpec | ServiceSpec) -> str:
    """Name the settings that differ, as the object's fields; empty if none does.

    Only what the object sets is compared: a description or tag that it does not mention is nobody's mistake.
    """
    return "; ".join(
        f"{field} is {found!s} there and {asked!s} here"
        for field, asked, found in [*_pairs(wanted, found), *_tag_pairs(wanted, found)]
        if asked and asked != found
    )


def drift(wanted: NamespaceSpec | ServiceSpec, found: NamespaceSpec | ServiceSpec) -> str:
    """Name the settings that differ from what their owner says, which is all that there is to say; empty if none does.

    Tags are left out: lists do not tell them.
    """
    return "; ".join(
        f"{field} was {found or 'empty'!s}" for field, asked, found in _pairs(wanted, found) if asked != found
    )


def _pairs(wanted: NamespaceSpec | ServiceSpec, found: NamespaceSpec | ServiceSpec) -> list[tuple[str, object, object]]:
    if isinstance(wanted, NamespaceSpec) and isinstance(found, NamespaceSpec):
        ttl = found.soa_ttl_seconds if wanted.soa_ttl_seconds is not None else None
        return [
            ("spec.description", wanted.description, found.description),
            ("spec.soaTTLSeconds", wanted.soa_ttl_seconds, ttl),
        ]
    if isinstance(wanted, ServiceSpec) and isinstance(found, ServiceSpec):
        return [
            ("spec.description", wanted.description, found.description),
            ("spec.dns.records", _ttls(wanted), _ttls(found)),
            ("spec.healthCheck", _check(wanted), _check(found)),
        ]
    return []


def _tag_pairs(
    wanted: NamespaceSpec | ServiceSpec, found: NamespaceSpec | ServiceSpec
) -> list[tuple[str, object, object]]:
    if not found.tags:  # none, or a list that tells none
        return []
    return [
        (f"spec.tags.{key}", value, found.tags.get(key, "")) for key, value in sorted(users_tags(wanted.tags).items())
    ]


def _ttls(spec: ServiceSpec) -> str:
    records = spec.dns.records if spec.dns else ()
    return ", ".join(sorted(f"{record.type} {record.ttl_seconds}s" for record in records))


def _check(spec: ServiceSpec) -> str:
    """Name a health check; empty where there is none."""
    if spec.health_check is HealthCheckType.NONE:
        return ""
    return f"{spec.health_check}{_probe(spec.route53.as_made()) if spec.route53 else ''}"


def _probe(check: Route53Check) -> str:
    return f" {check.type}{check.resource_path} ×{check.failure_threshold}"
