"""What RegisterInstance may ask for, by the settings of the service.

Source: RegisterInstance in the API reference.
Keys and values are checked against their patterns before, in `model.cloudmap.validation`.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from kube_registrar.model.cloudmap.errors import CloudMapError, invalid
from kube_registrar.registries.embedded import dnsnames
from kube_registrar.registries.embedded.checks.addresses import Addresses
from kube_registrar.registries.embedded.checks.endpoints import checked_address
from kube_registrar.registries.embedded.options import Options
from kube_registrar.registries.embedded.quotas import Quotas
from kube_registrar.registries.embedded.state import HTTP, Service

_ALIAS = "AWS_ALIAS_DNS_NAME"
_EC2 = "AWS_EC2_INSTANCE_ID"
_INIT = "AWS_INIT_HEALTH_STATUS"
_CNAME = "AWS_INSTANCE_CNAME"
_IPV4 = "AWS_INSTANCE_IPV4"
_IPV6 = "AWS_INSTANCE_IPV6"
_PORT = "AWS_INSTANCE_PORT"
STANDARD: Final = frozenset({_ALIAS, _EC2, _INIT, _CNAME, _IPV4, _IPV6, _PORT})
"""The attributes that Cloud Map gives a meaning; all others are custom ones, which it counts."""

_PORTS = 65535


def check_instance(service: Service, instance_id: str, attributes: Mapping[str, str], options: Options) -> None:
    """Check an instance against its service. Raises CloudMapError InvalidInput, naming the attribute."""
    _check_size(attributes, options.quotas)
    _check_values(service, attributes)
    types = service.record.record_types
    if _ALIAS in attributes:
        _check_alias(service, attributes)
    else:
        _check_needed(types, attributes)
        if service.record.check is not None:
            _check_checkable(attributes, options.check_addresses)
    if "SRV" in types:
        dnsnames.check_target(service, instance_id)


def check_quota(service: Service, quotas: Quotas) -> None:
    """Check that one more instance fits. Raises CloudMapError ResourceLimitExceeded."""
    most = quotas.instances_of_service
    if most is not None and service.expected >= most:
        raise CloudMapError(
            "ResourceLimitExceeded",
            f"Service {service.record.name!r} has {most:,} instances: no more are allowed in a service",
        )
    most = quotas.instances_of_namespace
    if most is not None and sum(other.expected for other in service.namespace.services.values()) >= most:
        raise CloudMapError(
            "ResourceLimitExceeded",
            f"Namespace {service.namespace.record.name!r} has {most:,} instances: no more are allowed in a namespace",
        )


def _check_size(attributes: Mapping[str, str], quotas: Quotas) -> None:
    custom, most = len(attributes.keys() - STANDARD), quotas.custom_attributes
    if most is not None and custom > most:
        rule = f"{most} custom attributes are allowed"
        raise CloudMapError("InvalidInput", f"Attributes has {custom}: {rule}", field="Attributes", rule=rule)
    characters = sum(map(len, attributes)) + sum(map(len, attributes.values()))
    most = quotas.attribute_characters
    if most is not None and characters > most:
        rule = f"{most:,} characters of keys and values together are allowed"
        raise CloudMapError("InvalidInput", f"Attributes has {characters:,}: {rule}", field="Attributes", rule=rule)


def _check_values(service: Service, attributes: Mapping[str, str]) -> None:
    if _EC2 in attributes:
        if service.namespace.record.type != HTTP:
            raise invalid(f"Attributes[{_EC2}]", attributes[_EC2], "it is allowed in HTTP namespaces only")
        if attributes.keys() - {_EC2, _INIT}:
            raise invalid(f"Attributes[{_EC2}]", attributes[_EC2], f"nothing but {_INIT} is allowed beside it")
        rule = f"this registry knows no EC2 instances and cannot look up its address; give {_IPV4}"
        raise invalid(f"Attributes[{_EC2}]", attributes[_EC2], rule)
    if _INIT in attributes:
        if not service.record.custom_health:
            raise invalid(f"Attributes[{_INIT}]", attributes[_INIT], "the service has no HealthCheckCustomConfig")
        if attributes[_INIT] not in {"HEALTHY", "UNHEALTHY"}:
            raise invalid(f"Attributes[{_INIT}]", attributes[_INIT], "HEALTHY or UNHEALTHY is allowed")
    _check_addresses(attributes)


def _check_addresses(attributes: Mapping[str, str]) -> None:
    if _IPV4 in attributes and not _PLAIN_IPV4.fullmatch(attributes[_IPV4]):
        _check_address(_IPV4, attributes[_IPV4], ipaddress.IPv4Address)
    if _IPV6 in attributes:
        _check_address(_IPV6, attributes[_IPV6], ipaddress.IPv6Address)
    if _PORT in attributes:
        port = attributes[_PORT]
        if not (port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= _PORTS):  # noqa: PLR2004 - digits of 65535
            raise invalid(f"Attributes[{_PORT}]", port, f"a port is a number from 1 to {_PORTS:,}")


_PART = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_IPV4 = re.compile(rf"(?:{_PART}\.){{3}}{_PART}")
"""What surely is an address, in a twentieth of the time; what it does not match may be one all the same."""


def _check_address(key: str, value: str, form: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    try:
        is_scoped = getattr(form(value), "scope_id", None) is not None  # `%eth0` means something on one machine only
    except ValueError:
        is_scoped = True
    if is_scoped:
        raise invalid(f"Attributes[{key}]", value, "this is no address of that kind")


def _check_alias(service: Service, attributes: Mapping[str, str]) -> None:
    found = attributes[_ALIAS]
    if not service.record.record_types & {"A", "AAAA"} or service.record.routing != "WEIGHTED":
        raise invalid(f"Attributes[{_ALIAS}]", found, "the service must have A or AAAA records and WEIGHTED routing")
    if any(key.startswith("AWS_INSTANCE_") for key in attributes):
        raise invalid(f"Attributes[{_ALIAS}]", found, "no AWS_INSTANCE_* attribute is allowed beside it")


def _check_needed(types: frozenset[str], attributes: Mapping[str, str]) -> None:
    """Check that the attributes from which DNS records of these types are made are there."""
    if not types:
        return
    for type_, key in (("A", _IPV4), ("AAAA", _IPV6), ("SRV", _PORT), ("CNAME", _CNAME)):
        if type_ in types and key not in attributes:
            raise _missing(key, f"{type_} records")
    if "CNAME" in types:
        dnsnames.check_alias(attributes[_CNAME])
    if "SRV" in types and _IPV4 not in attributes and _IPV6 not in attributes:
        raise _missing(f"{_IPV4} or {_IPV6}", "SRV records")


def _check_checkable(attributes: Mapping[str, str], allowed: Addresses) -> None:
    """Check that the registry can and may check the health of an instance.

    "This value is required if you specified settings for [...] a Route 53 health check", says RegisterInstance of the
    port. Route 53 would resolve a name where there is no address; here none is resolved.
    """
    key = checked_address(attributes)
    if key is None:
        raise _missing(f"{_IPV4} or {_IPV6}", "a health check", "needs")
    if _PORT not in attributes:
        raise _missing(_PORT, "a health check", "needs")
    if refusal := allowed.refusal(attributes[key]):
        raise invalid(f"Attributes[{key}]", attributes[key], f"the service has a health check, and {refusal}")


def _missing(key: str, what: str, need: str = "need") -> CloudMapError:
    rule = f"the service has {what}, which {need} it"
    return CloudMapError("InvalidInput", f"Attributes[{key}] is missing: {rule}", field=f"Attributes[{key}]", rule=rule)
