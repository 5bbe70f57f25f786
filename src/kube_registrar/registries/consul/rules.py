"""What Consul can do, and what it takes.

Sources: agent/structs/structs.go (ValidateServiceMetadata: 64 pairs, keys of 128 characters, values of 512 bytes, none
that begins with `consul-`), agent/dns.go (names are labels), "KV store" in Consul's documentation.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.model import attributes as keys
from kube_registrar.model.attributes import is_custom
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Instance
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.port import Capabilities

LONGEST_KEY: Final = 128
LONGEST_VALUE: Final = 512
MOST_META: Final = 64
MOST_ATTRIBUTES: Final = 48
"""So that room is left for what is ours in the meta, and for keys that Consul does not take as they are."""
_LONGEST_DESCRIPTION: Final = 1_024
_MOST_TAGS: Final = 50
_LONGEST_TAG: Final = 256
_MOST_PORT: Final = 65_535

CAPABILITIES: Final = Capabilities(
    namespace_types=frozenset({NamespaceType.HTTP}),
    record_types=frozenset(),
    custom_health=True,
    watches=True,
    max_attributes=MOST_ATTRIBUTES,
    max_attribute_value=LONGEST_VALUE,
    tags=True,
    lists_tags=True,
    answers_dns=True,
    transactions=True,
)

_NAMESPACE = re.compile(r"(?!arn:)[!-~]{1,255}")
_SERVICE = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,126}")
_ID = re.compile(r"[0-9a-zA-Z_/:.@-]{1,64}")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?\.?")


def refused(what: str, field: str, rule: str, next_step: str) -> Refused:
    """Return the error for something that is never taken."""
    return Refused(f"Consul does not take {what}; allowed: {rule}. {next_step}", field=field, rule=rule)


def check_namespace(spec: NamespaceSpec) -> None:
    """Raise Refused, with field and rule, if this namespace cannot be."""
    if spec.type is not NamespaceType.HTTP:
        rule = "HTTP; Consul's own DNS answers for the services of these, too"
        raise refused(f"type {spec.type} of {spec.ref}", "type", rule, "Use it")
    if not _NAMESPACE.fullmatch(spec.ref.name):
        rule = "1 to 255 visible ASCII characters, not beginning with arn:"
        raise refused(f"namespace name {spec.ref.name!r}", "name", rule, "Choose another name")
    if spec.vpc_id:
        raise refused(f"the VPC of {spec.ref}", "vpcID", "none", "Leave vpcID out")
    if spec.soa_ttl_seconds is not None:
        rule = "none; Consul's own DNS has one for all (dns_config)"
        raise refused(f"the SOA TTL of {spec.ref}", "soaTTLSeconds", rule, "Leave it out")
    _check_texts(spec)


def check_service(spec: ServiceSpec) -> None:
    """Raise Refused, with field and rule, if this service cannot be."""
    if not _SERVICE.fullmatch(spec.ref.name):
        rule = "1 to 127 of A-Z a-z 0-9 _ . - that begin with a letter, a digit or _"
        raise refused(f"service name {spec.ref.name!r}", "name", rule, "Choose another name")
    if spec.dns is not None:
        rule = "none; Consul's own DNS answers A, AAAA and SRV for every service"
        raise refused(f"DNS records of {spec.ref}", "dns", rule, "Leave dns out")
    if spec.health_check is HealthCheckType.ROUTE53 or spec.route53 is not None:
        raise refused(f"the Route53 check of {spec.ref}", "healthCheck.type", "None or Custom", "Use Custom")
    _check_texts(spec)


def _check_texts(spec: NamespaceSpec | ServiceSpec) -> None:
    if len(spec.description) > _LONGEST_DESCRIPTION:
        rule = f"at most {_LONGEST_DESCRIPTION:,} characters"
        raise refused(f"the description of {spec.ref}", "description", rule, "Shorten it")
    check_tags(spec.tags, str(spec.ref))


def check_tags(tags: Mapping[str, str], what: str) -> None:
    """Raise Refused if these cannot be the tags of `what`. What Cloud Map takes is taken here."""
    if len(tags) > _MOST_TAGS:
        raise refused(f"{len(tags)} tags of {what}", "tags", f"at most {_MOST_TAGS}", "Leave some out")
    for key, value in tags.items():
        if not 1 <= len(key) <= _LONGEST_TAG or len(value) > _LONGEST_TAG:
            rule = f"keys and values of at most {_LONGEST_TAG} characters"
            raise refused(f"the tag {key!r} of {what}", "tags", rule, "Shorten it")


def check_instance(instance: Instance) -> None:
    """Raise Refused, with field and rule, if no service takes this instance."""
    if not _ID.fullmatch(instance.id):
        rule = "1 to 64 of A-Z a-z 0-9 _ / : . @ -"
        raise refused(f"instance id {instance.id!r}", "id", rule, "Choose another id")
    for key, value in instance.attributes.items():
        if not _KEY.fullmatch(key):
            rule = f"1 to {LONGEST_KEY} printable ASCII characters without blanks"
            raise refused(f"attribute key {key!r}", "attributes", rule, "Rename it")
        if len(value.encode()) > LONGEST_VALUE:
            rule = f"at most {LONGEST_VALUE} bytes"
            raise refused(f"the value of {key}, {len(value.encode())} bytes long", f"attributes.{key}", rule, "Shorten")
    custom = sum(1 for key in instance.attributes if is_custom(key))
    if custom > MOST_ATTRIBUTES:
        rule = f"at most {MOST_ATTRIBUTES} attributes beside AWS_*"
        raise refused(f"{custom} attributes of {instance.id}", "attributes", rule, "Leave some out")
    _check_values(instance.attributes)


def _check_values(attributes: Mapping[str, str]) -> None:
    """Check the attributes that become the address, the port and the status."""
    for key, version in ((keys.IPV4, 4), (keys.IPV6, 6)):
        if key in attributes and not _is_address(attributes[key], version):
            rule = f"an IPv{version} address"
            raise refused(f"the value {attributes[key]!r} of {key}", f"attributes.{key}", rule, "Correct it")
    if keys.CNAME in attributes and not _HOST.fullmatch(attributes[keys.CNAME]):
        found = f"the value {attributes[keys.CNAME]!r} of {keys.CNAME}"
        raise refused(found, f"attributes.{keys.CNAME}", "the name of a host", "Correct it")
    if not attributes.keys() & {keys.IPV4, keys.IPV6, keys.CNAME}:
        rule = f"{keys.IPV4}, {keys.IPV6} or {keys.CNAME}"
        raise refused("an instance without an address", f"attributes.{keys.IPV4}", rule, "Add one")
    port = attributes.get(keys.PORT)
    if port is not None and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= _MOST_PORT):
        rule = f"a number from 1 to {_MOST_PORT:,}"
        raise refused(f"the value {port!r} of {keys.PORT}", f"attributes.{keys.PORT}", rule, "Correct it")
    if attributes.get(keys.INIT_HEALTH, "HEALTHY") not in {"HEALTHY", "UNHEALTHY"}:
        found = f"the value {attributes[keys.INIT_HEALTH]!r} of {keys.INIT_HEALTH}"
        raise refused(found, f"attributes.{keys.INIT_HEALTH}", "HEALTHY or UNHEALTHY", "Correct it")


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False
