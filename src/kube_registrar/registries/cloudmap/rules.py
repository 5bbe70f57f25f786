"""What Cloud Map takes of namespaces and services, checked before anything is sent; `instances.py` has instances.

botocore checks types, required members and minimums only. Every error names the field and the rule.
Sources: CreateHttpNamespace, CreatePrivateDnsNamespace, CreatePublicDnsNamespace, CreateService, DnsConfig, DnsRecord,
HealthCheckConfig and Tag in the AWS Cloud Map API reference (patterns, lengths); RFC 1035 for the length of names.
"""

import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.model.errors import Refused
from kube_registrar.model.specs import (
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    Route53Check,
    RoutingPolicy,
    ServiceSpec,
    Setting,
)
from kube_registrar.registries.port import Capabilities

MOST_INSTANCES: Final = 1_000
MOST_ATTRIBUTES: Final = 30
MOST_CHARACTERS: Final = 5_000
LONGEST_VALUE: Final = 1_024
LONGEST_DESCRIPTION: Final = 1_024
LONGEST_TOKEN: Final = 64
"""Of a CreatorRequestId."""
LONGEST_DOMAIN: Final = 253
MOST_TAGS: Final = 50

_LONGEST_TAG_KEY: Final = 128
_LONGEST_TAG_VALUE: Final = 256
_LONGEST_PATH: Final = 255
_LONGEST_VPC: Final = 64
_LONGEST_TTL: Final = 2**31 - 1
_MOST_FAILURES: Final = 10
_PROBES: Final = ("HTTP", "HTTPS", "TCP")
_RECORD_SETS: Final = (
    {RecordType.A},
    {RecordType.AAAA},
    {RecordType.A, RecordType.AAAA},
    {RecordType.SRV},
    {RecordType.CNAME},
)

CAPABILITIES: Final = Capabilities(
    namespace_types=frozenset(NamespaceType),
    record_types=frozenset(RecordType),
    custom_health=True,
    watches=False,
    max_instances=MOST_INSTANCES,
    max_attributes=MOST_ATTRIBUTES,
    max_attribute_characters=MOST_CHARACTERS,
    max_attribute_value=LONGEST_VALUE,
    tags=True,
    health_checks=True,
    heeds=frozenset(Setting),
    answers_dns=True,
)

_LABEL = r"(?:[a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])"
_SERVICE_NAME = re.compile(rf"(?=.{{1,127}}\Z){_LABEL}(?:\.{_LABEL})*")
_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_PUBLIC_NAME = re.compile(rf"(?=.{{1,{LONGEST_DOMAIN}}}\Z)(?:{_HOST}\.)+{_HOST}")
_PRIVATE_NAME = re.compile(rf"(?!arn:)(?=[!-~]{{1,{LONGEST_DOMAIN}}}\Z)[^.]{{1,63}}(?:\.[^.]{{1,63}})*")
_HTTP_NAME = re.compile(r"(?!arn:)[!-~]{1,1024}")
_NAMESPACE_NAMES: Final = {
    NamespaceType.HTTP: (_HTTP_NAME, "1 to 1,024 visible ASCII characters, not beginning with arn:"),
    NamespaceType.DNS_PRIVATE: (
        _PRIVATE_NAME,
        f"labels of 1 to 63 visible ASCII characters joined by dots, {LONGEST_DOMAIN} in all, not beginning with arn:",
    ),
    NamespaceType.DNS_PUBLIC: (
        _PUBLIC_NAME,
        f"a domain name of two labels or more, of letters, digits and hyphens, {LONGEST_DOMAIN} characters in all",
    ),
}


def check_namespace(spec: NamespaceSpec) -> None:
    """Raise Refused, with field and rule, if Cloud Map never takes this namespace."""
    pattern, rule = _NAMESPACE_NAMES[spec.type]
    if not pattern.fullmatch(spec.ref.name):
        raise refused(f"namespace name {spec.ref.name!r} of type {spec.type}", "name", rule, "Choose another name")
    if spec.type is NamespaceType.DNS_PRIVATE:
        if len(spec.vpc_id) > _LONGEST_VPC:
            rule = f"at most {_LONGEST_VPC} characters"
            raise refused(f"the VPC of {spec.ref}", "vpcID", rule, "Write the id of a VPC")
    elif spec.vpc_id:
        raise refused(f"the VPC of {spec.ref}", "vpcID", f"none with type {spec.type}", "Leave vpcID out")
    if spec.soa_ttl_seconds is not None:
        if spec.type is NamespaceType.HTTP:
            raise refused(f"the SOA TTL of {spec.ref}", "soaTTLSeconds", "none with type HTTP", "Leave it out")
        _check_ttl(spec.soa_ttl_seconds, "soaTTLSeconds", f"the SOA TTL of {spec.ref}")
    check_description(spec)
    _check_tags(spec)


def check_service(spec: ServiceSpec, namespace: NamespaceSpec) -> None:
    """Raise Refused, with field and rule, if Cloud Map never takes this service in this namespace."""
    if not _SERVICE_NAME.fullmatch(spec.ref.name):
        rule = "at most 127 characters: labels of 1 to 63 of A-Z a-z 0-9 _ - joined by dots"
        raise refused(f"service name {spec.ref.name!r}", "name", rule, "Choose another name")
    if spec.dns is not None:
        if namespace.type is NamespaceType.HTTP:
            rule = f"none in {spec.ref.namespace}, which is of type HTTP"
            raise refused(f"DNS records of {spec.ref}", "dns", rule, "Leave dns out, or use a namespace with DNS")
        _check_records(spec, spec.dns)
        whole = f"{spec.ref.name}.{spec.ref.namespace.name}"
        if len(whole) > LONGEST_DOMAIN:
            rule = f"at most {LONGEST_DOMAIN} characters together with the namespace's name, which make {len(whole)}"
            raise refused(f"service name {spec.ref.name!r}", "name", rule, "Choose a shorter name")
    _check_health(spec, namespace)
    check_description(spec)
    _check_tags(spec)


def _check_records(spec: ServiceSpec, dns: DnsSettings) -> None:
    types = [record.type for record in dns.records]
    if len(types) != len(set(types)) or set(types) not in _RECORD_SETS:
        found = ", ".join(types) or "none"
        rule = "A, AAAA, A with AAAA, SRV or CNAME"
        raise refused(f"the records {found} of {spec.ref}", "dns.records", rule, "Choose one of these")
    if RecordType.CNAME in types and dns.routing is not RoutingPolicy.WEIGHTED:
        found = f"the routing policy {dns.routing} of {spec.ref}"
        raise refused(found, "dns.routingPolicy", "Weighted with CNAME records", "Set it")
    for record in dns.records:
        _check_ttl(record.ttl_seconds, "dns.records.ttlSeconds", f"the TTL of the {record.type} record of {spec.ref}")


def _check_health(spec: ServiceSpec, namespace: NamespaceSpec) -> None:
    field, what = "healthCheck", f"the health check of {spec.ref}"
    if (spec.health_check is HealthCheckType.ROUTE53) != (spec.route53 is not None):
        rule = "the settings of a probe with type Route53, and with no other"
        raise refused(what, f"{field}.route53", rule, "Give both or neither")
    if spec.route53 is None:
        return
    if namespace.type is NamespaceType.DNS_PRIVATE:
        rule = "none of type Route53 in a namespace of type DNSPrivate, which it cannot reach"
        raise refused(what, f"{field}.type", rule, "Use Custom or None")
    if RecordType.CNAME in spec.record_types:
        rule = "none of type Route53 with a CNAME record"
        raise refused(what, f"{field}.type", rule, "Use Custom or None")
    _check_probe(spec.route53, f"{field}.route53", what)


def _check_probe(check: Route53Check, field: str, what: str) -> None:
    if check.type not in _PROBES:
        raise refused(f"{what}, of type {check.type!r}", f"{field}.type", ", ".join(_PROBES), "Choose one of these")
    if check.type == "TCP" and check.resource_path:
        raise refused(f"the path of {what}", f"{field}.resourcePath", "none with type TCP", "Leave it out")
    if len(check.resource_path) > _LONGEST_PATH:
        rule = f"at most {_LONGEST_PATH} characters"
        raise refused(f"the path of {what}", f"{field}.resourcePath", rule, "Shorten it")
    if not 1 <= check.failure_threshold <= _MOST_FAILURES:
        found, rule = f"the threshold {check.failure_threshold} of {what}", f"1 to {_MOST_FAILURES}"
        raise refused(found, f"{field}.failureThreshold", rule, "Correct it")


def check_description(spec: NamespaceSpec | ServiceSpec) -> None:
    """Raise Refused if the description is too long."""
    if len(spec.description) > LONGEST_DESCRIPTION:
        rule = f"at most {LONGEST_DESCRIPTION:,} characters"
        raise refused(f"the description of {spec.ref}", "description", rule, "Shorten it")


def _check_tags(spec: NamespaceSpec | ServiceSpec) -> None:
    check_tags(spec.tags, str(spec.ref))


def check_tags(tags: Mapping[str, str], what: str) -> None:
    """Raise Refused if these cannot be the tags of a resource; `what` names it."""
    if len(tags) > MOST_TAGS:
        raise refused(f"{len(tags)} tags of {what}", "tags", f"at most {MOST_TAGS}", "Leave some out")
    for key, value in tags.items():
        if not 1 <= len(key) <= _LONGEST_TAG_KEY:
            raise refused(
                f"the tag {key!r} of {what}", "tags", f"keys of 1 to {_LONGEST_TAG_KEY} characters", "Rename it"
            )
        if key.lower().startswith("aws:"):
            raise refused(f"the tag {key!r} of {what}", "tags", "keys that do not begin with aws:", "Rename it")
        if len(value) > _LONGEST_TAG_VALUE:
            rule = f"values of at most {_LONGEST_TAG_VALUE} characters"
            raise refused(f"the value of the tag {key!r} of {what}", f"tags.{key}", rule, "Shorten it")


def _check_ttl(seconds: int, field: str, what: str) -> None:
    if not 0 <= seconds <= _LONGEST_TTL:
        raise refused(f"{what}, {seconds}", field, f"0 to {_LONGEST_TTL:,} seconds", "Correct it")


def refused(what: str, field: str, rule: str, next_step: str) -> Refused:
    """Return the error for something that Cloud Map never takes."""
    return Refused(f"Cloud Map does not take {what}; allowed: {rule}. {next_step}", field=field, rule=rule)
