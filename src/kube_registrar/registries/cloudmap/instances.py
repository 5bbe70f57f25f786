"""What Cloud Map takes of an instance, by itself and in its service, checked before it is sent.

Sources: RegisterInstance in the AWS Cloud Map API reference (patterns, lengths, number of attributes, what each record
needs); SRV targets are `<id>.<service>.<namespace>` (DnsRecord there).
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.model import attributes as keys
from kube_registrar.model.attributes import is_custom
from kube_registrar.model.instances import Instance
from kube_registrar.model.specs import HealthCheckType, NamespaceType, RecordType, RoutingPolicy, ServiceSpec
from kube_registrar.registries.cloudmap.rules import (
    LONGEST_DOMAIN,
    LONGEST_VALUE,
    MOST_ATTRIBUTES,
    MOST_CHARACTERS,
    refused,
)

LONGEST_KEY: Final = 255
LONGEST_ID: Final = 64
EC2: Final = "AWS_EC2_INSTANCE_ID"

_ID = re.compile(rf"[0-9a-zA-Z_/:.@-]{{1,{LONGEST_ID}}}")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_VALUE = re.compile(r"(?:[!-~][ \t!-~]*)?")
_PORT = re.compile(r"[0-9]{1,5}")
_MOST_PORT: Final = 65_535
_LONGEST_LABEL: Final = 63
_NEEDED: Final = (
    (RecordType.A, keys.IPV4),
    (RecordType.AAAA, keys.IPV6),
    (RecordType.SRV, keys.PORT),
    (RecordType.CNAME, keys.CNAME),
)


def check_instance(instance: Instance) -> None:
    """Raise Refused, with field and rule, if no service takes this instance."""
    if not _ID.fullmatch(instance.id):
        rule = f"1 to {LONGEST_ID} of A-Z a-z 0-9 _ / : . @ -"
        raise refused(f"instance id {instance.id!r}", "id", rule, "Choose another id")
    for key, value in instance.attributes.items():
        _check_attribute(key, value)
    custom = sum(1 for key in instance.attributes if is_custom(key))
    if custom > MOST_ATTRIBUTES:
        rule = f"at most {MOST_ATTRIBUTES} attributes beside AWS_*"
        raise refused(f"{custom} attributes of {instance.id}", "attributes", rule, "Leave some out")
    characters = sum(len(key) + len(value) for key, value in instance.attributes.items())
    if characters > MOST_CHARACTERS:
        rule = f"at most {MOST_CHARACTERS:,} characters in all keys and values"
        raise refused(f"{characters:,} characters of {instance.id}", "attributes", rule, "Shorten some")
    _check_values(instance.attributes)


def _check_attribute(key: str, value: str) -> None:
    if not _KEY.fullmatch(key):
        rule = f"1 to {LONGEST_KEY} printable ASCII characters without blanks"
        raise refused(f"attribute key {key!r}", "attributes", rule, "Rename it")
    if len(value) > LONGEST_VALUE:
        rule = f"at most {LONGEST_VALUE:,} characters"
        raise refused(f"the value of {key}, {len(value):,} characters long", f"attributes.{key}", rule, "Shorten it")
    if not _VALUE.fullmatch(value):
        rule = "printable ASCII, blanks and tabs, not beginning with a blank"
        raise refused(f"the value {value!r} of {key}", f"attributes.{key}", rule, "Write it in ASCII")


def _check_values(attributes: Mapping[str, str]) -> None:
    """Check the attributes that Cloud Map gives a meaning."""
    for key, version in ((keys.IPV4, 4), (keys.IPV6, 6)):
        if key in attributes and not _is_address(attributes[key], version):
            rule = f"an IPv{version} address"
            raise refused(f"the value {attributes[key]!r} of {key}", f"attributes.{key}", rule, "Correct it")
    port = attributes.get(keys.PORT)
    if port is not None and not (_PORT.fullmatch(port) and 1 <= int(port) <= _MOST_PORT):
        rule = f"a number from 1 to {_MOST_PORT:,}"
        raise refused(f"the value {port!r} of {keys.PORT}", f"attributes.{keys.PORT}", rule, "Correct it")
    if attributes.get(keys.INIT_HEALTH, "HEALTHY") not in {"HEALTHY", "UNHEALTHY"}:
        found = f"the value {attributes[keys.INIT_HEALTH]!r} of {keys.INIT_HEALTH}"
        raise refused(found, f"attributes.{keys.INIT_HEALTH}", "HEALTHY or UNHEALTHY", "Correct it")
    if EC2 in attributes and attributes.keys() - {EC2, keys.INIT_HEALTH}:
        rule = f"nothing beside it but {keys.INIT_HEALTH}"
        raise refused(f"{EC2} with other attributes", f"attributes.{EC2}", rule, "Leave it or the others out")
    if keys.ALIAS in attributes and any(key.startswith("AWS_INSTANCE_") for key in attributes):
        rule = "no AWS_INSTANCE_* beside it"
        raise refused(f"{keys.ALIAS} with an address", f"attributes.{keys.ALIAS}", rule, "Leave one of them out")


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False


def check_in_service(instance: Instance, service: ServiceSpec, namespace: NamespaceType) -> None:
    """Raise Refused, with field and rule, if this service does not take an instance that others may."""
    attributes = instance.attributes
    if keys.INIT_HEALTH in attributes and service.health_check is not HealthCheckType.CUSTOM:
        rule = f"none in {service.ref}, which has no custom health check"
        raise refused(keys.INIT_HEALTH, f"attributes.{keys.INIT_HEALTH}", rule, "Leave it out")
    if EC2 in attributes and namespace is not NamespaceType.HTTP:
        rule = "in namespaces of type HTTP only"
        raise refused(EC2, f"attributes.{EC2}", rule, f"Give {keys.IPV4}")
    if keys.ALIAS in attributes:
        _check_alias(service)
    elif EC2 not in attributes:
        _check_needed(attributes, service)
    if RecordType.SRV in service.record_types:
        _check_target(instance, service)


def _check_alias(service: ServiceSpec) -> None:
    is_weighted = service.dns is not None and service.dns.routing is RoutingPolicy.WEIGHTED
    if not is_weighted or not service.record_types & {RecordType.A, RecordType.AAAA}:
        rule = f"in services with A or AAAA records and weighted routing only, which {service.ref} is not"
        raise refused(keys.ALIAS, f"attributes.{keys.ALIAS}", rule, f"Give {keys.CNAME} or an address")


def _check_needed(attributes: Mapping[str, str], service: ServiceSpec) -> None:
    """Check that the attributes from which the records are made are there."""
    for record, key in _NEEDED:
        if record in service.record_types and key not in attributes:
            rule = f"{key}, for the {record} records of {service.ref}"
            raise refused(f"an instance without {key}", f"attributes.{key}", rule, "Add it")
    if RecordType.SRV in service.record_types and not {keys.IPV4, keys.IPV6} & attributes.keys():
        rule = f"{keys.IPV4} or {keys.IPV6}, for the SRV records of {service.ref}"
        raise refused("an instance without an address", f"attributes.{keys.IPV4}", rule, "Add one")
    if service.health_check is HealthCheckType.ROUTE53 and keys.PORT not in attributes:
        rule = f"{keys.PORT}, for the health check of {service.ref}"
        raise refused(f"an instance without {keys.PORT}", f"attributes.{keys.PORT}", rule, "Add it")


def _check_target(instance: Instance, service: ServiceSpec) -> None:
    """Check that the id can begin an SRV record's target."""
    target = f"{instance.id}.{service.ref.name}.{service.ref.namespace.name}"
    is_name = all(1 <= len(label) <= _LONGEST_LABEL for label in instance.id.split("."))
    if not is_name or len(target) > LONGEST_DOMAIN:
        rule = f"labels of 1 to {_LONGEST_LABEL} characters, for the target of an SRV record of {LONGEST_DOMAIN} in all"
        raise refused(f"instance id {instance.id!r}", "id", rule, "Choose a shorter id")
