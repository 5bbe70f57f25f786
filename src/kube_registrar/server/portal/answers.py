"""Answers in Cloud Map's shapes, of what the port tells. What it does not tell is left out: no member is invented."""

from typing import Any

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceType, RoutingPolicy, ServiceSpec
from kube_registrar.registries.port import Found
from kube_registrar.server.portal.directory import ACCOUNT, Known, KnownService

TYPES = {
    NamespaceType.HTTP: "HTTP",
    NamespaceType.DNS_PRIVATE: "DNS_PRIVATE",
    NamespaceType.DNS_PUBLIC: "DNS_PUBLIC",
}
_ROUTING = {RoutingPolicy.MULTIVALUE: "MULTIVALUE", RoutingPolicy.WEIGHTED: "WEIGHTED"}

Json = dict[str, Any]


def namespace_summary(known: Known, region: str) -> Json:
    """Return a NamespaceSummary."""
    spec = known.spec
    soa = {} if spec.soa_ttl_seconds is None else {"TTL": spec.soa_ttl_seconds}
    answer = {
        "Id": known.found.id,
        "Arn": _arn(known.found, "namespace", region),
        "ResourceOwner": ACCOUNT,
        "Name": spec.ref.name,
        "Type": TYPES[spec.type],
        "ServiceCount": len(known.services),
        "Properties": {"DnsProperties": {"SOA": soa}, "HttpProperties": {"HttpName": spec.ref.name}},
    }
    return answer | ({"Description": spec.description} if spec.description else {})


def namespace(known: Known, region: str) -> Json:
    """Return a Namespace."""
    return namespace_summary(known, region) | _creator(known.found)


def service_summary(known: KnownService, region: str) -> Json:
    """Return a ServiceSummary, without a count of instances: that would be a list of them for each service."""
    spec = known.spec
    answer = {
        "Id": known.found.id,
        "Arn": _arn(known.found, "service", region),
        "ResourceOwner": ACCOUNT,
        "Name": spec.ref.name,
        "NamespaceId": known.namespace.id,
        "DnsConfig": _dns(spec, known.namespace.id),
        "Type": "DNS_HTTP" if spec.dns else "HTTP",
        "CreatedByAccount": ACCOUNT,
    }
    return answer | _checks(spec) | ({"Description": spec.description} if spec.description else {})


def service(known: KnownService, region: str) -> Json:
    """Return a Service."""
    return service_summary(known, region) | _creator(known.found)


def instance(found: Instance) -> Json:
    """Return an Instance, which is an InstanceSummary too."""
    return {"Id": found.id, "Attributes": dict(found.attributes), "CreatedByAccount": ACCOUNT}


def discovered(found: Instance, of: ServiceRef) -> Json:
    """Return an HttpInstanceSummary."""
    return {
        "InstanceId": found.id,
        "NamespaceName": of.namespace.name,
        "ServiceName": of.name,
        "HealthStatus": found.health.value,
        "Attributes": dict(found.attributes),
    }


def _arn(found: Found, kind: str, region: str) -> str:
    return found.arn or arns.arn(region, ACCOUNT, kind, found.id)


def _creator(found: Found) -> Json:
    return {"CreatorRequestId": found.created_by} if found.created_by else {}


def _dns(spec: ServiceSpec, namespace_id: str) -> Json:
    if spec.dns is None:
        return {}
    records = [{"Type": record.type.value, "TTL": record.ttl_seconds} for record in spec.dns.records]
    return {"NamespaceId": namespace_id, "RoutingPolicy": _ROUTING[spec.dns.routing], "DnsRecords": records}


def _checks(spec: ServiceSpec) -> Json:
    if spec.route53:
        path = {"ResourcePath": spec.route53.resource_path} if spec.route53.resource_path else {}
        threshold = spec.route53.failure_threshold
        return {"HealthCheckConfig": {"Type": spec.route53.type, **path, "FailureThreshold": threshold}}
    is_custom = spec.health_check is HealthCheckType.CUSTOM
    return {"HealthCheckCustomConfig": {"FailureThreshold": 1}} if is_custom else {}
