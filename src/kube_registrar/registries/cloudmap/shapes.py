"""Between Cloud Map's JSON and our specs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import (
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    Route53Check,
    RoutingPolicy,
    ServiceSpec,
)
from kube_registrar.registries.cloudmap.rules import LONGEST_TOKEN
from kube_registrar.registries.port import Found

_NAMESPACE_TYPES: Final = {
    "HTTP": NamespaceType.HTTP,
    "DNS_PRIVATE": NamespaceType.DNS_PRIVATE,
    "DNS_PUBLIC": NamespaceType.DNS_PUBLIC,
}


def token(creator: str) -> str:
    """Return the CreatorRequestId for a creator: itself where it fits, else its beginning and its hash."""
    if len(creator) <= LONGEST_TOKEN:
        return creator
    digest = hashlib.sha256(creator.encode()).hexdigest()[:32]
    return f"{creator[: LONGEST_TOKEN - len(digest) - 1]}-{digest}"


def namespace_found(registry: RegistryName, json: Mapping[str, Any], created_by: str | None = None) -> Found:
    """Return what a Namespace or NamespaceSummary says. Cloud Map tells neither the VPC nor, in lists, tags."""
    dns = json.get("Properties", {}).get("DnsProperties", {})
    spec = NamespaceSpec(
        ref=NamespaceRef(registry, json["Name"]),
        type=_NAMESPACE_TYPES[json["Type"]],
        description=json.get("Description", ""),
        soa_ttl_seconds=dns.get("SOA", {}).get("TTL"),
    )
    return Found(spec, json["Id"], json.get("Arn"), created_by)


def http_name(json: Mapping[str, Any]) -> str:
    """Return the name by which DiscoverInstances knows a namespace; a reused name gets another one there."""
    name: str = json.get("Properties", {}).get("HttpProperties", {}).get("HttpName") or json["Name"]
    return name


def service_found(namespace: NamespaceRef, json: Mapping[str, Any], created_by: str | None = None) -> Found:
    """Return what a Service or ServiceSummary says."""
    check, route53 = HealthCheckType.NONE, None
    if "HealthCheckCustomConfig" in json:
        check = HealthCheckType.CUSTOM
    elif config := json.get("HealthCheckConfig"):
        check = HealthCheckType.ROUTE53
        route53 = Route53Check(config["Type"], config.get("ResourcePath", ""), config.get("FailureThreshold", 1))
    spec = ServiceSpec(
        ref=ServiceRef(namespace, json["Name"]),
        description=json.get("Description", ""),
        dns=_dns_settings(json.get("DnsConfig") or {}),
        health_check=check,
        route53=route53,
    )
    return Found(spec, json["Id"], json.get("Arn"), created_by)


def _dns_settings(json: Mapping[str, Any]) -> DnsSettings | None:
    if not json.get("DnsRecords"):
        return None
    records = tuple(DnsRecord(RecordType(record["Type"]), record["TTL"]) for record in json["DnsRecords"])
    routing = RoutingPolicy.WEIGHTED if json.get("RoutingPolicy") == "WEIGHTED" else RoutingPolicy.MULTIVALUE
    return DnsSettings(records, routing)


def create_namespace(spec: NamespaceSpec, creator: str) -> tuple[str, dict[str, object]]:
    """Return the operation that makes this namespace, and its request."""
    request: dict[str, object] = {"Name": spec.ref.name, "CreatorRequestId": token(creator), **_described(spec)}
    if spec.type is NamespaceType.HTTP:
        return "CreateHttpNamespace", request
    request |= _soa(spec)
    if spec.type is NamespaceType.DNS_PRIVATE:
        return "CreatePrivateDnsNamespace", {**request, "Vpc": spec.vpc_id}
    return "CreatePublicDnsNamespace", request


def update_namespace(spec: NamespaceSpec, namespace_id: str) -> tuple[str, dict[str, object]]:
    """Return the operation that gives a namespace this description and SOA TTL, and its request."""
    change: dict[str, object] = {"Description": spec.description}
    request: dict[str, object] = {"Id": namespace_id}
    if spec.type is NamespaceType.HTTP:
        return "UpdateHttpNamespace", {**request, "Namespace": change}
    kind = "Private" if spec.type is NamespaceType.DNS_PRIVATE else "Public"
    return f"Update{kind}DnsNamespace", {**request, "Namespace": {**change, **_soa(spec)}}


def create_service(spec: ServiceSpec, namespace_id: str, creator: str) -> dict[str, object]:
    """Return the request that makes this service."""
    request: dict[str, object] = {
        "Name": spec.ref.name,
        "NamespaceId": namespace_id,
        "CreatorRequestId": token(creator),
        **_described(spec),
        **_route53(spec),
    }
    if spec.health_check is HealthCheckType.CUSTOM:
        request["HealthCheckCustomConfig"] = {"FailureThreshold": 1}
    if spec.dns is not None:
        request["DnsConfig"] = {"RoutingPolicy": spec.dns.routing.upper(), "DnsRecords": _records(spec.dns)}
    return request


def update_service(spec: ServiceSpec, service_id: str) -> dict[str, object]:
    """Return the request that gives a service these settings. All of them: what it omits Cloud Map deletes."""
    change: dict[str, object] = {"Description": spec.description, **_route53(spec)}
    if spec.dns is not None:
        change["DnsConfig"] = {"DnsRecords": _records(spec.dns)}
    return {"Id": service_id, "Service": change}


def _records(dns: DnsSettings) -> Sequence[Mapping[str, object]]:
    return [{"Type": record.type.value, "TTL": record.ttl_seconds} for record in dns.records]


def _route53(spec: ServiceSpec) -> dict[str, object]:
    check = spec.route53
    if spec.health_check is not HealthCheckType.ROUTE53 or check is None:
        return {}
    path = {"ResourcePath": check.resource_path} if check.resource_path else {}
    return {"HealthCheckConfig": {"Type": check.type, "FailureThreshold": check.failure_threshold, **path}}


def _described(spec: NamespaceSpec | ServiceSpec) -> dict[str, object]:
    tags = [{"Key": key, "Value": value} for key, value in spec.tags.items()]
    return {
        **({"Description": spec.description} if spec.description else {}),
        **({"Tags": tags} if tags else {}),
    }


def _soa(spec: NamespaceSpec) -> dict[str, object]:
    if spec.soa_ttl_seconds is None:
        return {}
    return {"Properties": {"DnsProperties": {"SOA": {"TTL": spec.soa_ttl_seconds}}}}
