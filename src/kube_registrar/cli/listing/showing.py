"""How namespaces, services and instances of a registry are shown: rows for people, Cloud Map's own shapes as JSON."""

import json
from collections.abc import Mapping, Sequence

import click

from kube_registrar.cli.tables import table
from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, RoutingPolicy, ServiceSpec
from kube_registrar.registries.port import Found

TABLE, WIDE, JSON = "table", "wide", "json"

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice([TABLE, WIDE, JSON]),
    default=TABLE,
    show_default=True,
    help="wide says more; json is the shape of the aws command line.",
)

_TYPES = {
    NamespaceType.HTTP: "HTTP",
    NamespaceType.DNS_PRIVATE: "DNS_PRIVATE",
    NamespaceType.DNS_PUBLIC: "DNS_PUBLIC",
}
_ROUTING = {RoutingPolicy.MULTIVALUE: "MULTIVALUE", RoutingPolicy.WEIGHTED: "WEIGHTED"}

Json = dict[str, object]


def shown(what: str, headings: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> None:
    """Print a table; on standard error, that there is nothing (`what` is empty), so that pipes stay empty."""
    if rows:
        click.echo(table(headings, rows))
    else:
        click.echo(f"{what} {none}", err=True)


def as_json(key: str, found: Sequence[Json]) -> None:
    """Print `{key: found}`."""
    click.echo(json.dumps({key: found}, indent=2))


# Registry namespaces.


def namespace_row(found: Found, spec: NamespaceSpec, *, is_wide: bool) -> list[str]:
    """Return the cells of a registry namespace: name, type, id; wide: VPC, ARN and description too."""
    row = [spec.ref.name, _TYPES[spec.type], found.id]
    return [*row, spec.vpc_id, found.arn or "", spec.description] if is_wide else row


def namespace_json(found: Found, spec: NamespaceSpec) -> Json:
    """Return a registry namespace as ListNamespaces shows it, as far as every registry knows that."""
    return _given(Id=found.id, Arn=found.arn, Name=spec.ref.name, Type=_TYPES[spec.type], Description=spec.description)


# Registry services.


def service_row(found: Found, spec: ServiceSpec, *, is_wide: bool) -> list[str]:
    """Return the cells of a registry service: namespace, name, records, health check, id; wide: routing and more."""
    records = ",".join(f"{record.type}/{record.ttl_seconds}" for record in spec.dns.records) if spec.dns else ""
    check = "" if spec.health_check is HealthCheckType.NONE else spec.health_check.value
    row = [spec.ref.namespace.name, spec.ref.name, records, check, found.id]
    routing = spec.dns.routing.value if spec.dns else ""
    return [*row, routing, found.arn or "", spec.description] if is_wide else row


def service_json(found: Found, spec: ServiceSpec) -> Json:
    """Return a registry service as ListServices shows it, as far as every registry knows that."""
    dns: Json | None = None
    if spec.dns:
        records = [{"Type": record.type.value, "TTL": record.ttl_seconds} for record in spec.dns.records]
        dns = {"RoutingPolicy": _ROUTING[spec.dns.routing], "DnsRecords": records}
    check: Json | None = None
    if spec.route53:
        path = {"ResourcePath": spec.route53.resource_path} if spec.route53.resource_path else {}
        check = {"Type": spec.route53.type, **path, "FailureThreshold": spec.route53.failure_threshold}
    return _given(
        Id=found.id,
        Arn=found.arn,
        Name=spec.ref.name,
        NamespaceName=spec.ref.namespace.name,
        Description=spec.description,
        DnsConfig=dns,
        HealthCheckConfig=check,
        HealthCheckCustomConfig={"FailureThreshold": 1} if spec.health_check is HealthCheckType.CUSTOM else None,
    )


def _given(**members: object) -> Json:
    """Return the members that say something."""
    return {key: value for key, value in members.items() if value is not None and value != ""}


# Instances.

INSTANCE = ["INSTANCE", "ADDRESS", "PORT", "HEALTH", "ATTRIBUTES"]
WHERE_FROM = ["CLUSTER", "POD", "WORKLOAD", "ZONE"]


def instance_row(instance: Instance, *, is_wide: bool) -> list[str]:
    """Return the cells of an instance: `INSTANCE`; wide: `WHERE_FROM` too."""
    given = instance.attributes
    addresses = [given[key] for key in (keys.IPV4, keys.IPV6) if key in given]
    custom = ",".join(f"{key}={value}" for key, value in sorted(given.items()) if not keys.is_reserved(key))
    row = [instance.id, ",".join(addresses), given.get(keys.PORT, ""), instance.health.value, custom]
    return [*row, *where_from(given)] if is_wide else row


def where_from(given: Mapping[str, str]) -> list[str]:
    """Return cluster, pod, workload and zone of an instance, as its attributes tell them."""
    pod = f"{given[keys.NAMESPACE]}/{given.get(keys.POD, '')}" if keys.NAMESPACE in given else ""
    cluster = given.get(keys.CLUSTER) or given.get(keys.CLUSTER_UID, "")
    return [cluster, pod, given.get(keys.WORKLOAD, ""), given.get(keys.AVAILABILITY_ZONE, "")]


def discovered_json(instance: Instance, service: ServiceRef) -> Json:
    """Return an instance as DiscoverInstances shows it."""
    return {
        "InstanceId": instance.id,
        "NamespaceName": service.namespace.name,
        "ServiceName": service.name,
        "HealthStatus": instance.health.value,
        "Attributes": dict(instance.attributes),
    }
