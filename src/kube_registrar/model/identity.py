"""How an own instance is named, and how it is known again.

Identity is (cluster UID, origin UID, registry service, resolved port). The id must be a valid DNS label
(SRV targets are `<id>.<service>.<namespace>`), at most 63 characters, and never an IP: an IP is reused by
another pod within seconds, and two clusters may share a range.
"""

import hashlib
import re
from collections.abc import Mapping

from kube_registrar.model import attributes as keys
from kube_registrar.model.refs import InstanceId, Origin, ServiceRef, Uid

_HASH_CHARACTERS = 16  # of base32, 5 bits each: 80 bits
_LABEL_CHARACTERS = 63
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def instance_id(
    cluster_uid: Uid, origin_uid: Uid, service: ServiceRef, port: int | None, name: str, *, show_name: bool = True
) -> InstanceId:
    """Return the id of the instance with this identity.

    `origin_uid`: the pod's; for what stands for no pod, the Service's, a slash and the address, or whatever else tells
    its instances apart. `name` (the pod's, or the Service's) comes first for people, shortened; `show_name=False`
    leaves it out, for public DNS, where SRV targets show ids to the world. The registry's configured name is no part
    of the identity: renaming a registry in the configuration renames no instance.
    """
    identity = "\0".join((cluster_uid, origin_uid, service.namespace.name, service.name, str(port or "")))
    digest = _base32(hashlib.sha256(identity.encode()).digest())
    stem = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") if show_name else ""
    stem = stem[: _LABEL_CHARACTERS - _HASH_CHARACTERS - 1].strip("-")
    return InstanceId(f"{stem}-{digest}" if stem else f"i{digest}")


def _base32(digest: bytes) -> str:
    number = int.from_bytes(digest, "big")
    return "".join(_BASE32[(number >> (5 * place)) & 31] for place in range(_HASH_CHARACTERS))


def is_own(attributes: Mapping[str, str], cluster_uid: Uid) -> bool:
    """Whether an instance belongs to this cluster: equality of the whole UID, never a prefix."""
    has_origin = attributes.get(keys.POD_UID) or attributes.get(keys.SERVICE_UID)
    return attributes.get(keys.CLUSTER_UID) == cluster_uid and bool(has_origin)


def is_estranged(attributes: Mapping[str, str], cluster_uid: Uid, cluster_name: str) -> bool:
    """Whether an instance carries this cluster's UID and another name than this cluster has.

    A clone of this cluster wrote it, or this cluster before it was renamed: nobody can tell which, so it is left alone.
    """
    written = attributes.get(keys.CLUSTER, "")
    return bool(written) and written != cluster_name and is_own(attributes, cluster_uid)


def is_namesake(attributes: Mapping[str, str], cluster_uid: Uid, cluster_name: str) -> bool:
    """Whether an instance carries this cluster's name and another UID: another cluster's, or a former self's."""
    uid = attributes.get(keys.CLUSTER_UID, "")
    return bool(cluster_name and uid) and uid != cluster_uid and attributes.get(keys.CLUSTER) == cluster_name


def origin_of(attributes: Mapping[str, str]) -> Origin:
    """Return what an own instance stands for, as its attributes name it: a pod, or else a Service."""
    kind, name, uid = "Pod", keys.POD, keys.POD_UID
    if not attributes.get(keys.POD_UID) and attributes.get(keys.SERVICE_UID):
        kind, name, uid = "Service", keys.SERVICE, keys.SERVICE_UID
    return Origin(
        kind=kind,
        namespace=attributes.get(keys.NAMESPACE, ""),
        name=attributes.get(name, ""),
        uid=Uid(attributes.get(uid, "")),
    )
