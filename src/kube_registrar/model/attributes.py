"""The attributes of an own instance, and who may write which.

Cloud Map's own keys begin with AWS_, those of ECS are ECS_*, AVAILABILITY_ZONE and REGION, ours begin with KUBE_.
Sources: RegisterInstance (AWS Cloud Map API reference), Amazon ECS service discovery.
"""

from collections.abc import Mapping
from typing import Final

IPV4: Final = "AWS_INSTANCE_IPV4"
IPV6: Final = "AWS_INSTANCE_IPV6"
PORT: Final = "AWS_INSTANCE_PORT"
CNAME: Final = "AWS_INSTANCE_CNAME"
ALIAS: Final = "AWS_ALIAS_DNS_NAME"
"""The host name of a load balancer; Cloud Map takes no `AWS_INSTANCE_*` beside it."""
INIT_HEALTH: Final = "AWS_INIT_HEALTH_STATUS"
AVAILABILITY_ZONE: Final = "AVAILABILITY_ZONE"
REGION: Final = "REGION"

CLUSTER: Final = "KUBE_CLUSTER"
CLUSTER_UID: Final = "KUBE_CLUSTER_UID"
NAMESPACE: Final = "KUBE_NAMESPACE"
POD: Final = "KUBE_POD"
POD_UID: Final = "KUBE_POD_UID"
WORKLOAD: Final = "KUBE_WORKLOAD"
SERVICE: Final = "KUBE_SERVICE"
"""The Service that an instance without a pod stands for."""
SERVICE_UID: Final = "KUBE_SERVICE_UID"
USER_KEYS: Final = "KUBE_ATTRIBUTES"
"""The user's keys that we wrote, joined by commas: tells ours from foreign ones after a restart."""
TAKEN_OVER: Final = "KUBE_TAKEN_OVER"
"""The UID of the cluster it was of until `takeover` gave it to this one: who finds one did not write it itself."""

RESERVED_PREFIXES: Final = ("AWS_", "ECS_", "KUBE_")
RESERVED_KEYS: Final = frozenset({AVAILABILITY_ZONE, REGION})


def is_reserved(key: str) -> bool:
    """Whether users may not set this key."""
    return key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES)


def is_custom(key: str) -> bool:
    """Whether Cloud Map counts this key among an instance's 30 custom attributes: all but its own `AWS_*`."""
    return not key.startswith("AWS_")


def is_ours(key: str, attributes: Mapping[str, str]) -> bool:
    """Whether we wrote `key` of an own instance: standard keys, and the user's that KUBE_ATTRIBUTES lists."""
    return is_reserved(key) or key in user_keys(attributes)


def user_keys(attributes: Mapping[str, str]) -> frozenset[str]:
    """The user's keys that we wrote on an own instance."""
    return frozenset(filter(None, attributes.get(USER_KEYS, "").split(",")))
