"""What this registry takes, checked before anything is sent. Every error names the field and the rule."""

import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, RecordType, ServiceSpec
from kube_registrar.registries.etcd import skydns
from kube_registrar.registries.port import Capabilities

MOST_CHARACTERS: Final = 65_536
"""Of all attributes of an instance: several instances, each twice and escaped, fit into etcd's 1.5 MB of a request."""

CAPABILITIES: Final = Capabilities(
    namespace_types=frozenset(NamespaceType),
    record_types=frozenset(RecordType),
    custom_health=True,
    watches=True,
    max_attribute_characters=MOST_CHARACTERS,
    tags=True,
    lists_tags=True,
    answers_dns=True,
    transactions=True,
)

_ID = re.compile(r"[0-9a-zA-Z_/:.@-]{1,64}")
_KEY = re.compile(r"[!-~]{1,255}")
_HTTP_NAME = re.compile(r"(?!arn:)[!-~]{1,1024}")
_LABEL = r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,61}[A-Za-z0-9_]|[A-Za-z0-9])"
_SERVICE = re.compile(rf"(?=.{{1,127}}\Z){_LABEL}(?:\.{_LABEL})*")
_LOWER = r"(?:[a-z0-9_][a-z0-9_-]{0,61}[a-z0-9_]|[a-z0-9])"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LOWER}(?:\.{_LOWER})*")
_LONGEST_DOMAIN = 253 - 64 - 1  # the label of an instance comes before it
_LONGEST_TTL = 2**31 - 1


def check_namespace(spec: NamespaceSpec) -> None:
    """Raise Refused for a registry namespace that is never taken."""
    if spec.type is NamespaceType.HTTP:
        _must(
            _HTTP_NAME, spec.ref.name, "registry namespace", "name", "1 to 1,024 visible ASCII characters, not an ARN"
        )
    else:
        _must(_DOMAIN, spec.ref.name, "registry namespace", "name", "a domain name in lower case, for DNS has but one")


def check_service(spec: ServiceSpec, namespace: NamespaceType) -> None:
    """Raise Refused for a registry service that is never taken in a namespace of that type."""
    _must(_SERVICE, spec.ref.name, "registry service", "name", "at most 127 characters, labels joined by dots")
    if spec.health_check is HealthCheckType.ROUTE53:
        raise _refused(
            f"the health check of {spec.ref}", "Route53", "healthCheck.type", "None or Custom: etcd checks none"
        )
    if spec.dns is None:
        return
    if namespace is NamespaceType.HTTP:
        raise _refused(f"the DNS records of {spec.ref}", sorted(spec.record_types), "dns", "none in an HTTP namespace")
    if not spec.dns.records:
        raise _refused(f"the DNS records of {spec.ref}", "none", "dns.records", "one or more, or no dns at all")
    _must(
        _DOMAIN,
        spec.ref.name,
        "registry service",
        "name",
        "labels in lower case joined by dots, where it has DNS records",
    )
    whole = f"{spec.ref.name}.{spec.ref.namespace.name}"
    if len(whole) > _LONGEST_DOMAIN:
        raise _refused(f"the domain {whole}", len(whole), "name", f"at most {_LONGEST_DOMAIN} characters")
    for record in spec.dns.records:
        if not 0 <= record.ttl_seconds <= _LONGEST_TTL:
            raise _refused(f"the time to live of {spec.ref}", record.ttl_seconds, "dns.records", f"0 to {_LONGEST_TTL}")


def refused_instance(instance: Instance) -> Refused | None:
    """Return why `instance` is never taken; None if it is."""
    if not _ID.fullmatch(instance.id):
        return _refused("the instance id", instance.id, "id", "1 to 64 of A-Z a-z 0-9 _ / : . @ -")
    for key, value in instance.attributes.items():
        if not _KEY.fullmatch(key):
            return _refused("an attribute key", key, "attributes", "1 to 255 printable ASCII characters, no space")
        if not _is_text(value):
            return _refused(f"attribute {key}", value, f"attributes.{key}", "text that UTF-8 can hold")
    status = instance.attributes.get(INIT_HEALTH)
    if status not in {None, Health.HEALTHY, Health.UNHEALTHY}:
        return _refused(f"attribute {INIT_HEALTH}", status, f"attributes.{INIT_HEALTH}", "HEALTHY or UNHEALTHY")
    if (characters := size(instance.attributes)) > MOST_CHARACTERS:
        rule = f"at most {MOST_CHARACTERS:,} characters, keys and values"
        return _refused("the size of all attributes", characters, "attributes", rule)
    return skydns.refused(instance.attributes)


def refused_status(spec: ServiceSpec, health: Health) -> Refused | None:
    """Return why a service never takes this status; None if it does."""
    if spec.health_check is HealthCheckType.CUSTOM and health is not Health.UNKNOWN:
        return None
    rule = "HEALTHY or UNHEALTHY, in a service with custom health checks"
    return Refused(f"{spec.ref} takes no status {health}; allowed: {rule}", field="health", rule=rule)


def size(attributes: Mapping[str, str]) -> int:
    """Return how many characters attributes have."""
    return sum(len(key) + len(value) for key, value in attributes.items())


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _must(pattern: re.Pattern[str], name: str, what: str, field: str, rule: str) -> None:
    if not pattern.fullmatch(name):
        raise _refused(f"the name of a {what}", name, field, rule)


def _refused(what: str, found: object, field: str, rule: str) -> Refused:
    return Refused(f"{what} is {found!r}; allowed: {rule}. Correct it", field=field, rule=rule)
