"""What CoreDNS's etcd plugin serves of an instance: SkyDNS's JSON, one key an address.

Source: plugin/etcd of CoreDNS 1.15 (`msg.Service`, `SRV`, `A`). The keys of addresses strip their own label from the
target of SRV records, so a dual-stack instance is one target with both addresses; and all instances of a service stand
at one depth, which is what groups are compared at.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.specs import DnsSettings, RecordType, ServiceSpec

GROUP: Final = "skydns.group"
PRIORITY: Final = "skydns.priority"
TEXT: Final = "skydns.text"
WEIGHT: Final = "skydns.weight"
"""Attributes that users may set: what SkyDNS has and a registry service has not."""

_NUMBERS: Final = (PRIORITY, WEIGHT)
_NUMBER = re.compile(r"[1-9]\d{0,4}")
_MOST = 65_535
_ADDRESSES: Final = {
    RecordType.A: ("ipv4", keys.IPV4),
    RecordType.AAAA: ("ipv6", keys.IPV6),
    RecordType.CNAME: ("cname", keys.CNAME),
}
_PORT = re.compile(r"\d{1,5}")


class Published(msgspec.Struct, frozen=True, omit_defaults=True):
    """SkyDNS's own fields and no others."""

    host: str = ""
    port: int = 0
    priority: int = 0
    weight: int = 0
    text: str = ""
    ttl: int = 0
    group: str = ""
    targetstrip: int = 0


def refused(attributes: Mapping[str, str]) -> Refused | None:
    """Return why attributes that mean something to SkyDNS are never taken; None if they are."""
    for key in _NUMBERS:
        value = attributes.get(key)
        if value is not None and not (_NUMBER.fullmatch(value) and int(value) <= _MOST):
            rule = f"a whole number from 1 to {_MOST}"
            return Refused(f"attribute {key} is {value!r}; allowed: {rule}", field=f"attributes.{key}", rule=rule)
    return None


def published(spec: ServiceSpec, instance: Instance) -> Mapping[str, bytes]:
    """Return what stands in DNS for an instance, by family; nothing for one that is unhealthy."""
    if spec.dns is None or instance.health is Health.UNHEALTHY:
        return {}
    values = {
        family: _value(spec.dns, instance.attributes, host, strip=int(family != "cname"))
        for family, host in _hosts(spec, instance.attributes).items()
    }
    if text := instance.attributes.get(TEXT):  # without a host, or CoreDNS answers that and no TXT
        group = instance.attributes.get(GROUP, "")
        values["text"] = Published(text=text, ttl=_ttl(spec.dns), group=group)
    return {family: msgspec.json.encode(value) for family, value in values.items()}


def _hosts(spec: ServiceSpec, attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Return the addresses that the service's records ask for; SRV's targets have all that there are."""
    types = spec.record_types
    if RecordType.SRV in types:
        types |= {RecordType.A, RecordType.AAAA}
    found = (_ADDRESSES[each] for each in sorted(types) if each in _ADDRESSES)
    return {family: attributes[key] for family, key in found if attributes.get(key)}


def _value(dns: DnsSettings, attributes: Mapping[str, str], host: str, *, strip: int) -> Published:
    return Published(
        host=host,
        port=_port(dns, attributes),
        priority=int(attributes.get(PRIORITY, "0")),
        weight=int(attributes.get(WEIGHT, "0")),
        ttl=_ttl(dns),
        group=attributes.get(GROUP, ""),
        targetstrip=strip,
    )


def _ttl(dns: DnsSettings) -> int:
    """Return the shortest time to live of all records; 0 would be taken for none, which is 300."""
    return max(1, min(record.ttl_seconds for record in dns.records))


def _port(dns: DnsSettings, attributes: Mapping[str, str]) -> int:
    """Return the port, or CoreDNS's -1 for "not in SRV records"."""
    port = attributes.get(keys.PORT, "")
    has_srv = any(record.type is RecordType.SRV for record in dns.records)
    return int(port) if has_srv and _PORT.fullmatch(port) else -1
