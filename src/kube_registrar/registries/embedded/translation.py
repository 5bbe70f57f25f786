"""Between the port's words and Cloud Map's: settings, instances, errors."""

from typing import Any

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError, Retryable
from kube_registrar.model.instances import Health
from kube_registrar.model.instances import Instance as PortInstance
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
from kube_registrar.registries.embedded import rendering
from kube_registrar.registries.embedded.core import Core
from kube_registrar.registries.embedded.state import (
    DNS_PRIVATE,
    DNS_PUBLIC,
    HTTP,
    Instance,
    Namespace,
    Operation,
    Service,
)
from kube_registrar.registries.port import Found

LIMIT_SECONDS = 30.0
"""After how long a quota is worth another try: only others' leaving makes room."""

_TYPES = {NamespaceType.HTTP: HTTP, NamespaceType.DNS_PRIVATE: DNS_PRIVATE, NamespaceType.DNS_PUBLIC: DNS_PUBLIC}
_NAMES = {value: key for key, value in _TYPES.items()}
_NOT_FOUND = {
    "NamespaceNotFound",
    "ServiceNotFound",
    "InstanceNotFound",
    "OperationNotFound",
    "ResourceNotFoundException",
}
_CONFLICTS = {"NamespaceAlreadyExists", "ServiceAlreadyExists", "ResourceInUse"}
_REFUSED = {"InvalidInput", "SerializationException", "TooManyTagsException", "CustomHealthNotFound"}


def namespace_type(spec: NamespaceSpec) -> str:
    """Return the type of a namespace in Cloud Map's words."""
    return _TYPES[spec.type]


def namespace_request(spec: NamespaceSpec) -> dict[str, Any]:
    """Return the request that makes this namespace, without its creator."""
    request: dict[str, Any] = {"Name": spec.ref.name, "Tags": _tags(spec)}
    if spec.description:
        request["Description"] = spec.description
    if spec.type is NamespaceType.DNS_PRIVATE and spec.vpc_id:
        request["Vpc"] = spec.vpc_id
    if spec.soa_ttl_seconds is not None and spec.type is not NamespaceType.HTTP:
        request["Properties"] = {"DnsProperties": {"SOA": {"TTL": spec.soa_ttl_seconds}}}
    return request


def service_request(spec: ServiceSpec, namespace_id: str) -> dict[str, Any]:
    """Return the request that makes this service, without its creator."""
    request: dict[str, Any] = {"Name": spec.ref.name, "NamespaceId": namespace_id, "Tags": _tags(spec)}
    if spec.description:
        request["Description"] = spec.description
    if spec.dns is not None:
        request["DnsConfig"] = {
            "RoutingPolicy": spec.dns.routing.upper(),
            "DnsRecords": [{"Type": item.type.value, "TTL": item.ttl_seconds} for item in spec.dns.records],
        }
    if spec.health_check is HealthCheckType.CUSTOM:
        request["HealthCheckCustomConfig"] = {}
    if check := check_request(spec):
        request["HealthCheckConfig"] = check
    return request


def check_request(spec: ServiceSpec) -> dict[str, Any]:
    """Return the HealthCheckConfig that is asked for; empty where there is none."""
    if spec.route53 is None:
        return {}
    path = {"ResourcePath": spec.route53.resource_path} if spec.route53.resource_path else {}
    return {"Type": spec.route53.type, "FailureThreshold": spec.route53.failure_threshold, **path}


def _tags(spec: NamespaceSpec | ServiceSpec) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in spec.tags.items()]


def found_namespace(core: Core, namespace: Namespace, registry: RegistryName) -> Found:
    """Return a namespace in the port's words."""
    record = namespace.record
    spec = NamespaceSpec(
        NamespaceRef(registry, record.http_name),
        _NAMES[record.type],
        record.description or "",
        record.vpc,
        record.soa_ttl,
        dict(namespace.tags),
    )
    arn = arns.arn(core.options.region, core.options.account, "namespace", record.id)
    return Found(spec, record.id, arn, record.creator or None)


def found_service(core: Core, service: Service, namespace: NamespaceRef) -> Found:
    """Return a service in the port's words."""
    record = service.record
    dns = None
    if not record.api_only:
        records = tuple(DnsRecord(RecordType(type_), ttl) for type_, ttl in record.records)
        dns = DnsSettings(records, RoutingPolicy(record.routing.capitalize()))
    check = record.check
    spec = ServiceSpec(
        ServiceRef(namespace, record.name),
        record.description or "",
        dns,
        _health_check(service),
        Route53Check(check.type, check.path, check.threshold) if check else None,
        tags=dict(service.tags),
    )
    arn = arns.arn(core.options.region, core.options.account, "service", record.id)
    return Found(spec, record.id, arn, record.creator or None)


def _health_check(service: Service) -> HealthCheckType:
    if service.record.custom_health:
        return HealthCheckType.CUSTOM
    return HealthCheckType.ROUTE53 if service.record.check else HealthCheckType.NONE


def port_instance(service: Service, instance: Instance) -> PortInstance:
    """Return an instance in the port's words."""
    return PortInstance(instance.id, instance.attributes, Health(rendering.health(service, instance)))


def registry_error(error: CloudMapError) -> RegistryError:
    """Return the port's error for one of Cloud Map's.

    A quota is worth another try, later: others may leave. What could not be stored is worth one at once.
    """
    if error.code in _NOT_FOUND:
        return NotFound(error.message)
    if error.code in _CONFLICTS:
        return Conflict(error.message)
    if error.code in _REFUSED:
        return Refused(error.message, field=error.field, rule=error.rule)
    return Retryable(error.message, after=LIMIT_SECONDS if error.code == "ResourceLimitExceeded" else 0.0)


def operation_error(operation: Operation) -> RegistryError:
    """Return the port's error for an operation that ended in FAIL."""
    message = f"{operation.error_message} ({operation.error_code}, operation {operation.id})"
    if operation.error_code in {"CANNOT_CREATE_HOSTED_ZONE", "INVALID_CHANGE_BATCH"}:
        return Refused(message, field="name", rule=operation.error_message)
    return Retryable(message)
