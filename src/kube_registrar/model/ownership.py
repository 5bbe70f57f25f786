"""Whose the settings of a registry namespace or service are: recorded in its tags, by name.

By name, not UID: an object that is restored from a backup is the same owner. A thing without such tags belongs to whom
it was made by. To hand settings over, a person writes these tags.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from kube_registrar.model.refs import Uid

PREFIX: Final = "kube-registrar/"
"""What begins the keys of our own tags; users may not set such."""
OWNER: Final = "kube-registrar/owner"
"""`Kind/namespace/name` of the object, or `Kind/name`."""
CLUSTER_UID: Final = "kube-registrar/cluster-uid"
CLUSTER: Final = "kube-registrar/cluster"
"""The cluster's name, for people; only where it has one."""

_LONGEST_VALUE: Final = 256  # of a tag; TagResource, AWS Cloud Map API reference


def owner_tags(cluster_uid: Uid, cluster_name: str, kind: str, namespace: str, name: str) -> Mapping[str, str]:
    """Return the tags that record an object as the owner of settings."""
    owner = "/".join(filter(None, (kind, namespace, name)))
    if len(owner) > _LONGEST_VALUE:
        digest = hashlib.sha256(owner.encode()).hexdigest()[:16]
        owner = f"{owner[: _LONGEST_VALUE - len(digest) - 1]}.{digest}"
    named = {CLUSTER: cluster_name} if cluster_name else {}
    return {OWNER: owner, CLUSTER_UID: cluster_uid, **named}


def owns(there: Mapping[str, str], asked: Mapping[str, str], *, made: bool) -> bool:
    """Whether who asks with these tags owns what has those `there`; `made`: whether he made it."""
    recorded = (there.get(CLUSTER_UID), there.get(OWNER))
    if recorded == (None, None):
        return made
    return recorded == (asked.get(CLUSTER_UID), asked.get(OWNER))


def owner_named(tags: Mapping[str, str], created_by: str | None) -> str:
    """Name the owner for people, as the tags have it, or else who made the thing."""
    if OWNER in tags:
        kind, _, name = tags[OWNER].partition("/")
        cluster = tags.get(CLUSTER) or tags.get(CLUSTER_UID, "")
        return f"{kind} {name} of cluster {cluster}" if cluster else f"{kind} {name}"
    return f"whoever made it ({created_by})" if created_by else "whoever made it, and left no name"


def users_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tags that are not ours."""
    return {key: value for key, value in tags.items() if not key.startswith(PREFIX)}
