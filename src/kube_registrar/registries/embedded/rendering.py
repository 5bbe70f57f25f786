"""Answers in Cloud Map's shapes: what the state holds, as its JSON members.

Sources: the API reference, and the outputs in the AWS CLI's examples where that leaves something open
(`DnsProperties: {SOA: {}}` of HTTP namespaces, `DnsConfig: {}` of services without DNS).
"""

from typing import Any

from kube_registrar.model.cloudmap import arns
from kube_registrar.registries.embedded.state import (
    HTTP,
    Instance,
    Namespace,
    Operation,
    Service,
)


def namespace_summary(namespace: Namespace, account: str, region: str) -> dict[str, Any]:
    """Return a NamespaceSummary."""
    record = namespace.record
    dns: dict[str, Any] = {"SOA": {} if record.soa_ttl is None else {"TTL": record.soa_ttl}}
    if record.hosted_zone_id:
        dns = {"HostedZoneId": record.hosted_zone_id, **dns}
    answer = {
        "Id": record.id,
        "Arn": arns.arn(region, account, "namespace", record.id),
        "ResourceOwner": account,
        "Name": record.name,
        "Type": record.type,
        "ServiceCount": len(namespace.services),
        "Properties": {"DnsProperties": dns, "HttpProperties": {"HttpName": record.http_name}},
        "CreateDate": record.created_ms / 1000,
    }
    if record.description is not None:
        answer["Description"] = record.description
    return answer


def namespace(found: Namespace, account: str, region: str) -> dict[str, Any]:
    """Return a Namespace."""
    return {**namespace_summary(found, account, region), **creator(found.record.creator)}


def service_summary(service: Service, account: str, region: str) -> dict[str, Any]:
    """Return a ServiceSummary."""
    record = service.record
    answer = {
        "Id": record.id,
        "Arn": arns.arn(region, account, "service", record.id),
        "ResourceOwner": account,
        "Name": record.name,
        "NamespaceId": record.namespace_id,
        "InstanceCount": len(service.instances),
        "DnsConfig": _dns_config(service),
        "Type": HTTP if record.api_only else "DNS_HTTP",
        "CreateDate": record.created_ms / 1000,
        "CreatedByAccount": account,
    }
    if record.description is not None:
        answer["Description"] = record.description
    if record.custom_health:
        answer["HealthCheckCustomConfig"] = {"FailureThreshold": 1}
    if record.check is not None:
        path = {"ResourcePath": record.check.path} if record.check.path else {}
        answer["HealthCheckConfig"] = {"Type": record.check.type, **path, "FailureThreshold": record.check.threshold}
    return answer


def service(found: Service, account: str, region: str) -> dict[str, Any]:
    """Return a Service."""
    return {**service_summary(found, account, region), **creator(found.record.creator)}


def _dns_config(service: Service) -> dict[str, Any]:
    record = service.record
    if record.api_only:
        return {}
    return {
        "NamespaceId": record.namespace_id,
        "RoutingPolicy": record.routing,
        "DnsRecords": [{"Type": type_, "TTL": ttl} for type_, ttl in record.records],
    }


def creator(token: str) -> dict[str, str]:
    """Return the member that names who made a thing, where somebody said so."""
    return {"CreatorRequestId": token} if token else {}


def instance_summary(instance: Instance, account: str) -> dict[str, Any]:
    """Return an InstanceSummary."""
    return {"Id": instance.id, "Attributes": instance.attributes, "CreatedByAccount": account}


def instance(found: Instance, account: str) -> dict[str, Any]:
    """Return an Instance."""
    return {**instance_summary(found, account), **creator(found.creator)}


def health(service: Service, instance: Instance) -> str:
    """Return an instance's status: UNKNOWN where the service has no health check."""
    return instance.health if service.record.has_health else "UNKNOWN"


def discovered(service: Service, instance: Instance) -> dict[str, Any]:
    """Return an HttpInstanceSummary."""
    return {
        "InstanceId": instance.id,
        "NamespaceName": service.namespace.record.http_name,
        "ServiceName": service.record.name,
        "HealthStatus": health(service, instance),
        "Attributes": instance.attributes,
    }


def operation(found: Operation, account: str) -> dict[str, Any]:
    """Return an Operation."""
    targets = {
        "NAMESPACE": found.namespace_id,
        "SERVICE": found.service_id,
        "INSTANCE": found.instance_id,
    }
    answer = {
        "Id": found.id,
        "OwnerAccount": account,
        "Type": found.type,
        "Status": found.status,
        "CreateDate": found.created_ms / 1000,
        "UpdateDate": found.updated_ms / 1000,
        "Targets": {kind: identifier for kind, identifier in targets.items() if identifier},
    }
    if found.error_code:
        answer |= {"ErrorCode": found.error_code, "ErrorMessage": found.error_message}
    return answer
