"""What CreateService and UpdateService may ask for, by the type of the namespace.

Sources: CreateService, UpdateService, DnsConfig, DnsRecord and HealthCheckConfig in the API reference.
"""

from collections.abc import Mapping
from typing import Any

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid, shown
from kube_registrar.registries.embedded.state import DNS_PRIVATE, HTTP, NamespaceRecord, ServiceRecord

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
    whole = f"{request['Name']}.{namespace.name}"
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


def custom_health(namespace: NamespaceRecord, request: Mapping[str, Any]) -> bool:
    """Return whether a new service has a custom health check."""
    custom = request.get("HealthCheckCustomConfig") is not None
    if request.get("HealthCheckConfig") is not None:
        if custom:
            raise invalid(
                "HealthCheckConfig", "given", "HealthCheckConfig or HealthCheckCustomConfig is allowed, not both"
            )
        refuse_route53(namespace, "HealthCheckConfig", request["HealthCheckConfig"])
    return custom


def refuse_route53(namespace: NamespaceRecord, field: str, config: Mapping[str, Any]) -> None:
    """Refuse a Route 53 health check: Cloud Map would, too, in a private namespace; this registry makes none yet."""
    if namespace.type == DNS_PRIVATE:
        raise invalid(
            field, config["Type"], "health checks by the registry are for public DNS and HTTP namespaces only"
        )
    if config["Type"] == "TCP" and "ResourcePath" in config:
        raise invalid(f"{field}.ResourcePath", config["ResourcePath"], "TCP checks have no ResourcePath")
    rule = "this registry makes no health checks of its own in this version; use HealthCheckCustomConfig"
    raise invalid(field, config["Type"], rule)


def _records(field: str, wanted: list[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    records = tuple((record["Type"], record["TTL"]) for record in wanted)
    if not records:
        raise CloudMapError("InvalidInput", f"{field} is empty: one record at least is needed", field=field)
    if len({type_ for type_, _ in records}) != len(records):
        found = shown([type_ for type_, _ in records])
        raise CloudMapError("InvalidInput", f"{field} has {found}: each type is allowed once", field=field)
    return records
