"""What IAM must allow, by what the operator is to do: one table, of which the documents in `deploy/iam/` are made.

`python -m kube_registrar.registries.cloudmap.permissions FOLDER` writes them. An action is one of an operation that the
code calls, or one that Cloud Map asks for on the caller's behalf (`on_behalf`): those of Route 53 and EC2.
Sources: "Actions, resources, and condition keys for AWS Cloud Map" (Service Authorization Reference) and "AWS Cloud Map
API permissions reference" (developer guide). GetOperation and DiscoverInstances are granted for `*`: whether they are
checked against ARNs has changed, and `*` is right both ways.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

SERVICE: Final = "servicediscovery"
REGION, ACCOUNT = "REGION", "ACCOUNT"
"""What stands for both in the documents, to be replaced."""


class Scope(StrEnum):
    """What an action is allowed on."""

    ANYTHING = "*"
    NAMESPACES = f"arn:aws:{SERVICE}:{REGION}:{ACCOUNT}:namespace/*"
    SERVICES = f"arn:aws:{SERVICE}:{REGION}:{ACCOUNT}:service/*"
    ZONES = "arn:aws:route53:::hostedzone/*"
    CHECKS = "arn:aws:route53:::healthcheck/*"


@dataclass(frozen=True, slots=True)
class Permission:
    """An action, such as `servicediscovery:RegisterInstance`, and what it is allowed on."""

    action: str
    scopes: tuple[Scope, ...]
    on_behalf: bool = False

    @property
    def operation(self) -> str:
        """The operation of Cloud Map that we call; empty for what it does on the caller's behalf."""
        return "" if self.on_behalf else self.action.partition(":")[2]


def _calls(*operations: str, on: tuple[Scope, ...] = (Scope.ANYTHING,)) -> tuple[Permission, ...]:
    return tuple(Permission(f"{SERVICE}:{operation}", on) for operation in operations)


def _on_behalf(*actions: str, on: tuple[Scope, ...] = (Scope.ANYTHING,)) -> tuple[Permission, ...]:
    return tuple(Permission(action, on, on_behalf=True) for action in actions)


_REGISTER = (
    *_calls("RegisterInstance", "DeregisterInstance", "ListInstances", "GetService", on=(Scope.SERVICES,)),
    *_calls("GetInstancesHealthStatus", on=(Scope.SERVICES,)),  # read with the instances of services with a check
    *_calls("GetNamespace", on=(Scope.NAMESPACES,)),
    *_calls("ListTagsForResource", on=(Scope.NAMESPACES, Scope.SERVICES)),
    *_calls("GetOperation", "ListNamespaces", "ListOperations", "ListServices"),
)
_HEALTH = _calls("UpdateInstanceCustomHealthStatus", on=(Scope.SERVICES,))
_SERVICES = (
    # Whoever creates something with tags needs TagResource, too.
    *_calls("CreateService", "TagResource", on=(Scope.NAMESPACES, Scope.SERVICES)),
    *_calls("UpdateService", "DeleteService", on=(Scope.SERVICES,)),
)
_NAMESPACES = (
    *_calls("CreateHttpNamespace"),
    *_calls("UpdateHttpNamespace", "DeleteNamespace", on=(Scope.NAMESPACES,)),
)
_RECORDS = (
    *_on_behalf("route53:ChangeResourceRecordSets", "route53:GetHostedZone", on=(Scope.ZONES,)),
    *_on_behalf("route53:ListHostedZonesByName"),
)
_CHECKS = (
    *_on_behalf("route53:CreateHealthCheck"),
    *_on_behalf("route53:GetHealthCheck", "route53:UpdateHealthCheck", "route53:DeleteHealthCheck", on=(Scope.CHECKS,)),
)
_ZONES = (
    *_on_behalf("route53:CreateHostedZone"),
    *_on_behalf("route53:DeleteHostedZone", on=(Scope.ZONES,)),
)
_PRIVATE = (
    *_calls("CreatePrivateDnsNamespace"),
    *_calls("UpdatePrivateDnsNamespace", on=(Scope.NAMESPACES,)),
    *_on_behalf("ec2:DescribeVpcs", "ec2:DescribeRegions"),
)
_PUBLIC = (
    *_calls("CreatePublicDnsNamespace"),
    *_calls("UpdatePublicDnsNamespace", on=(Scope.NAMESPACES,)),
)
_DISCOVER = _calls("DiscoverInstances", "ListNamespaces")

POLICIES: Final[Mapping[str, tuple[Permission, ...]]] = {
    "register": _REGISTER,
    "register-health": (*_REGISTER, *_HEALTH),
    "services": (*_REGISTER, *_HEALTH, *_SERVICES),
    "namespaces": (*_REGISTER, *_HEALTH, *_SERVICES, *_NAMESPACES),
    "private-dns": (*_REGISTER, *_HEALTH, *_SERVICES, *_NAMESPACES, *_RECORDS, *_ZONES, *_PRIVATE),
    "public-dns": (*_REGISTER, *_HEALTH, *_SERVICES, *_NAMESPACES, *_RECORDS, *_ZONES, *_CHECKS, *_PUBLIC),
    "dns-records": _RECORDS,
    "route53-checks": _CHECKS,
    "discover": _DISCOVER,
}
"""The documents. Each of the first six is whole, and holds the one before it; `dns-records` and `route53-checks` are
additions to the first four, for registry namespaces with DNS, and services with Route 53 checks, that others make."""

_BY_ACTION: Final = {permission.action: permission for permissions in POLICIES.values() for permission in permissions}


def operations(policy: str) -> frozenset[str]:
    """Return the operations of Cloud Map that a policy lets us call."""
    return frozenset(permission.operation for permission in POLICIES[policy]) - {""}


def action_of(operation: str) -> str:
    """Return the IAM action of an operation of Cloud Map."""
    return f"{SERVICE}:{operation}"


def statement(action: str, resource: str = "") -> str:
    """Return the IAM statement that allows an action, as one line of JSON; `resource` is an ARN, if one is known."""
    known = _BY_ACTION.get(action)
    scopes: Sequence[str] = [resource] if resource else known.scopes if known else [Scope.ANYTHING]
    return json.dumps({"Effect": "Allow", "Action": action, "Resource": scopes[0] if len(scopes) == 1 else scopes})


def document(permissions: Sequence[Permission]) -> Mapping[str, object]:
    """Return a policy document: one statement for each set of resources, in the order of the table."""
    by_scopes: dict[tuple[Scope, ...], list[str]] = {}
    for permission in permissions:
        by_scopes.setdefault(permission.scopes, []).append(permission.action)
    statements = [
        {"Effect": "Allow", "Action": sorted(actions), "Resource": scopes[0] if len(scopes) == 1 else list(scopes)}
        for scopes, actions in by_scopes.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def rendered(policy: str) -> str:
    """Return the text of a document in `deploy/iam/`."""
    return json.dumps(document(POLICIES[policy]), indent=2) + "\n"


def main(folder: Path) -> None:
    """Write all documents."""
    for policy in POLICIES:
        (folder / f"{policy}.json").write_text(rendered(policy), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
