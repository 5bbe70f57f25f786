"""What CreateService and UpdateService may ask for, by the type of the namespace.

Sources: CreateService, UpdateService, DnsConfig, DnsRecord and HealthCheckConfig in the API reference.
"""

from collections.abc import Collection, Mapping
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid, shown
from kube_registrar.registries.embedded.state import DNS_PRIVATE, HTTP, HealthCheck, NamespaceRecord, ServiceRecord

_RECORD_SETS = ({"A"}, {"AAAA"}, {"A", "AAAA"}, {"SRV"}, {"CNAME"})
_NAME_CHARACTERS = 253  # of a domain name as text, without the last dot (RFC 1035, 2.3.4)
_LABEL_CHARACTERS = 63


def check_domain(name: str) -> None:
    """Check that the name of a namespace with DNS can be a domain name."""
    if any(not 1 <= len(label) <= _LABEL_CHARACTERS for label in name.split(".")):
        raise invalid("Name", name, f"a domain name has labels of 1 to {_LABEL_CHARACTERS} characters, joined by dots")


def service_dns(namespace: NamespaceRecord, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the DNS side of a new service as members of its record."""
    config = request.get("DnsConfig")
    if config is None:
        return {"api_only": True}
    if namespace.type == HTTP or request.get("Type") == HTTP:
        raise CloudMapError(
            "InvalidInput",
            "When you specify an HTTP service, you can't include a DnsConfig element.",
            field="DnsConfig",
            rule="no DnsConfig in HTTP namespaces and in services of Type HTTP",
        )
    records = _records("DnsConfig.DnsRecords", config["DnsRecords"])
    types = {type_ for type_, _ in records}
    if types not in _RECORD_SETS:
        raise invalid("DnsConfig.DnsRecords", sorted(types), "A, AAAA, A and AAAA, SRV or CNAME is allowed")
    routing = config.get("RoutingPolicy", "MULTIVALUE")
    if types == {"CNAME"} and routing != "WEIGHTED":
        raise invalid("DnsConfig.RoutingPolicy", config.get("RoutingPolicy"), "CNAME needs WEIGHTED")
    if types == {"CNAME"} and request["Name"] == ".":
        rule = "the namespace itself has SOA and NS records, and beside CNAME nothing is allowed"
        raise invalid("Name", request["Name"], rule)
    whole = namespace.name if request["Name"] == "." else f"{request['Name']}.{namespace.name}"
    if len(whole) > _NAME_CHARACTERS:
        raise invalid(
            "Name", request["Name"], f"with the namespace's name it has {len(whole)} characters, 253 are allowed"
        )
    return {"api_only": False, "records": records, "routing": routing}


def changed_dns(service: ServiceRecord, config: Mapping[str, Any] | None) -> tuple[tuple[str, int], ...]:
    """Return the records after UpdateService: TTLs change, what is omitted goes, no type is added."""
    if config is None:
        return ()
    records = _records("Service.DnsConfig.DnsRecords", config["DnsRecords"])
    added = {type_ for type_, _ in records} - service.record_types
    if added:
        rule = "the record types of a service are fixed when it is created; make it anew to change them"
        raise invalid("Service.DnsConfig.DnsRecords", sorted(added), rule)
    return records


def service_health(namespace: NamespaceRecord, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the health check of a new service, if it has one, as members of its record."""
    custom = request.get("HealthCheckCustomConfig") is not None
    config = request.get("HealthCheckConfig")
    if config is None:
        return {"custom_health": custom}
    if custom:
        raise invalid("HealthCheckConfig", "given", "HealthCheckConfig or HealthCheckCustomConfig is allowed, not both")
    types = {record["Type"] for record in request.get("DnsConfig", {}).get("DnsRecords", ())}
    return {"check": _check(namespace, types, "HealthCheckConfig", config)}


def changed_check(namespace: NamespaceRecord, service: ServiceRecord, change: Mapping[str, Any]) -> HealthCheck | None:
    """Return the health check after UpdateService: what is omitted goes, and the type of one that stays is fixed."""
    config = change.get("HealthCheckConfig")
    if config is None:
        return None
    field = "Service.HealthCheckConfig"
    if service.custom_health:
        raise invalid(field, config["Type"], "the service has a HealthCheckCustomConfig, which excludes it")
    check = _check(namespace, service.record_types, field, config)
    if service.check is not None and service.check.type != check.type:
        rule = f"the type of a health check cannot be changed from {service.check.type}; delete it first, then add one"
        raise invalid(f"{field}.Type", check.type, rule)
    return check


def _check(namespace: NamespaceRecord, types: Collection[str], field: str, config: Mapping[str, Any]) -> HealthCheck:
    """Read a HealthCheckConfig. The threshold that Cloud Map takes where none is given is not documented."""
    kind = config["Type"]
    if namespace.type == DNS_PRIVATE:
        raise invalid(field, kind, "health checks by the registry are for public DNS and HTTP namespaces only")
    if "CNAME" in types:
        raise invalid(field, kind, "a service with CNAME records has no health checks by the registry")
    if kind == "TCP" and "ResourcePath" in config:
        raise invalid(f"{field}.ResourcePath", config["ResourcePath"], "TCP checks have no ResourcePath")
    path = "" if kind == "TCP" else config.get("ResourcePath") or "/"
    return HealthCheck(kind, path, config.get("FailureThreshold", 1))


def _records(field: str, wanted: list[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    records = tuple((record["Type"], record["TTL"]) for record in wanted)
    if not records:
        raise CloudMapError("InvalidInput", f"{field} is empty: one record at least is needed", field=field)
    if len({type_ for type_, _ in records}) != len(records):
        found = shown([type_ for type_, _ in records])
        raise CloudMapError("InvalidInput", f"{field} has {found}: each type is allowed once", field=field)
    return records
