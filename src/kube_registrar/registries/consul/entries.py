"""Instances as entries of Consul's catalog, and back.

An entry has the instance's address and port, its attributes as meta and, for clients that filter by tag, the user's
attributes once more as tags `key=value`. What address and port say already is not in the meta. Attributes that Consul
does not take as meta, such as a key with a slash, are together as JSON in the meta `kube-registrar-attributes-N`. So
every attribute reads as it was written. An entry that is not of this shape is somebody else's: its meta are its
attributes.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kube_registrar.model import attributes as keys
from kube_registrar.model.attributes import is_reserved
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.consul.names import check_id, instance_id, service_id
from kube_registrar.registries.consul.rules import LONGEST_VALUE, MOST_META, refused

JsonObject = Mapping[str, Any]

NAMESPACE_META: Final = "kube-registrar-namespace"
SERVICE_META: Final = "kube-registrar-service"
_MORE: Final = "kube-registrar-attributes-"
_OURS: Final = "kube-registrar-"
_META_KEY = re.compile(r"(?!consul-|kube-registrar-)[A-Za-z0-9_-]{1,128}")
_LONGEST_TAG: Final = 255
_PIECE: Final = LONGEST_VALUE
PASSING, CRITICAL = "passing", "critical"
_STATUSES: Final = {Health.HEALTHY: PASSING, Health.UNHEALTHY: CRITICAL}


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance that was read: on which node it stands, and by which index it was last written.

    `key`: the instance of ours that has this entry, whatever was made of it; empty if none of ours would.
    """

    instance: Instance
    node: str
    is_ours: bool
    index: int
    key: InstanceId


# To Consul.


def service_json(ref: ServiceRef, name: str, instance: Instance, index: int) -> dict[str, Any]:
    """Return an instance as an entry of the service that Consul calls `name`. Raises Refused if its meta are too many.

    `index`: that of the entry that it replaces, which the verb `cas` checks; 0: there is none.
    The instance has passed `rules.check_instance`.
    """
    attributes = {key: value for key, value in instance.attributes.items() if key != keys.INIT_HEALTH}
    address = next(attributes[key] for key in (keys.IPV4, keys.IPV6, keys.CNAME) if key in attributes)
    port = int(attributes.get(keys.PORT, "0"))
    said = _said(address, port)
    rest = {key: value for key, value in attributes.items() if said.get(key) != value}
    return {
        "ID": service_id(name, instance.id),
        "Service": name,
        "Tags": sorted(_tags(attributes)),
        "Address": address,
        "Port": port,
        "Meta": _meta(ref, instance.id, rest),
        "Weights": {"Passing": 1, "Warning": 1},
        "ModifyIndex": index,
    }


def check_json(node: str, name: str, instance: InstanceId, health: Health) -> dict[str, Any]:
    """Return the check that holds an instance's status."""
    return {
        "Node": node,
        "CheckID": check_id(name, instance),
        "Name": "Readiness in Kubernetes",
        "Notes": "set by kube-registrar",
        "Status": _STATUSES[health],
        "ServiceID": service_id(name, instance),
        "ServiceName": name,
    }


def _tags(attributes: Mapping[str, str]) -> Iterable[str]:
    texts = (f"{key}={value}" for key, value in attributes.items() if not is_reserved(key))
    return (text for text in texts if len(text) <= _LONGEST_TAG)


def _meta(ref: ServiceRef, instance: InstanceId, attributes: Mapping[str, str]) -> Mapping[str, str]:
    plain = {key: value for key, value in attributes.items() if _META_KEY.fullmatch(key)}
    names = {NAMESPACE_META: ref.namespace.name, SERVICE_META: ref.name}
    more = {key: value for key, value in attributes.items() if key not in plain}
    text = msgspec.json.encode(more).decode() if more else ""
    pieces = _pieces(text)
    meta = {**plain, **names, **{f"{_MORE}{number}": piece for number, piece in enumerate(pieces)}}
    if len(meta) > MOST_META:
        rule = f"{MOST_META} pairs of meta, of which attributes with other keys than A-Z a-z 0-9 _ - need several"
        raise refused(f"{len(meta)} of {instance}", "attributes", rule, "Leave some out, or rename them")
    return meta


def _pieces(text: str) -> list[str]:
    """Cut a text into pieces that Consul takes as values: counted in bytes, and cut between characters."""
    pieces, start, size = list[str](), 0, 0
    for place, character in enumerate(text):
        width = len(character.encode())
        if size + width > _PIECE:
            pieces.append(text[start:place])
            start, size = place, 0
        size += width
    return [*pieces, text[start:]] if text else []


# From Consul.


def entry_of(json: JsonObject, name: str, *, has_status: bool) -> Entry:
    """Return what an element of the answer of `/v1/health/service/NAME` says; `has_status`: of custom health."""
    service, node = json["Service"], json["Node"]["Node"]
    identifier = service["ID"]
    key = instance_id(name, identifier) if identifier.startswith(f"{name}/") else InstanceId("")
    is_ours = bool(key) and SERVICE_META in (service.get("Meta") or {})
    named = key if is_ours else InstanceId(f"{node}/{identifier}")
    health = _health(json, identifier) if has_status else Health.UNKNOWN
    address = service.get("Address") or json["Node"].get("Address") or ""
    attributes = _said(address, service.get("Port") or 0) | _attributes(service.get("Meta") or {})
    return Entry(Instance(named, attributes, health), node, is_ours, service.get("ModifyIndex", 0), key)


def _health(json: JsonObject, identifier: str) -> Health:
    """Return the status as Consul counts it: of the instance's checks and of its node's, the worst."""
    checks = [each for each in json.get("Checks") or [] if each.get("ServiceID") in {"", identifier}]
    return Health.UNHEALTHY if any(each["Status"] == CRITICAL for each in checks) else Health.HEALTHY


def _said(address: str, port: int) -> dict[str, str]:
    """Return the attributes that an address and a port are."""
    try:
        key = {4: keys.IPV4, 6: keys.IPV6}[ipaddress.ip_address(address).version]
    except ValueError:
        key = keys.CNAME
    said = {key: address} if address else {}
    return {**said, keys.PORT: str(port)} if port else said


def _attributes(meta: Mapping[str, str]) -> dict[str, str]:
    attributes = {key: value for key, value in meta.items() if not key.startswith(_OURS)}
    pieces = sorted((int(key.removeprefix(_MORE)), value) for key, value in meta.items() if _is_piece(key))
    if pieces:
        try:
            attributes |= msgspec.json.decode("".join(piece for _, piece in pieces), type=dict[str, str])
        except msgspec.DecodeError:  # somebody wrote it by hand: then these attributes are not there, and are repaired
            return attributes
    return attributes


def _is_piece(key: str) -> bool:
    return key.startswith(_MORE) and key.removeprefix(_MORE).isdecimal()
