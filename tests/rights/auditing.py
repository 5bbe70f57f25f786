"""What the chart grants the operator, and what the API server's audit log says that it used of it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kube_registrar.testing.control_plane import ControlPlane
from tests.chart.helm import Helm, is_hook, one
from tests.scenarios.place import CORE

Json = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
ROLES = {"ClusterRole", "Role"}
OPERATOR_KINDS = {"ServiceAccount", "ClusterRoleBinding", "RoleBinding"} | ROLES
_REASON = re.compile(r'of (ClusterRole|Role) "([^"]+)"')


class Grant(NamedTuple):
    """One verb on one resource, by one role; `namespace`: of the role."""

    role: str
    namespace: str
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.what} by {self.role}{f' in {self.namespace}' if self.namespace else ''}"

    @property
    def what(self) -> str:
        """The verb and the resource, as messages name them."""
        resource, slash, part = self.resource.partition("/")
        return f"{self.verb} {resource}{f'.{self.group}' if self.group else ''}{slash}{part}"

    @property
    def path(self) -> str:
        """The path of the role."""
        scope = f"namespaces/{self.namespace}/roles" if self.namespace else "clusterroles"
        return f"/apis/{RBAC}/v1/{scope}/{self.role}"


def policy(*accounts: str) -> Json:
    """Return an audit policy that writes down what these ServiceAccounts (`namespace:name`) do, and nothing else."""
    users = [f"system:serviceaccount:{account}" for account in accounts]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": users}, {"level": "None"}],
    }


@dataclass(frozen=True, slots=True)
class Account:
    """The operator's ServiceAccount as the chart renders it, with all that is bound to it."""

    objects: Sequence[Json]

    @classmethod
    def rendered(cls, helm: Helm, values: Mapping[str, object] | None = None) -> "Account":
        """Render it, as release `kube-registrar` in the namespace of that name. `values`: of the chart."""
        return cls([each for each in _rendered(helm, values) if not is_hook(each)])

    @classmethod
    def of_the_hook(cls, helm: Helm, values: Mapping[str, object] | None = None) -> "Account":
        """Render that of the hook before an uninstall."""
        return cls([each for each in _rendered(helm, values) if is_hook(each)])

    @property
    def name(self) -> str:
        """The name of the ServiceAccount."""
        return str(one(self.objects, "ServiceAccount")["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace, which is that of the release."""
        return str(one(self.objects, "ServiceAccount")["metadata"]["namespace"])

    @property
    def roles(self) -> Sequence[Json]:
        """All roles that it has."""
        return [each for each in self.objects if each["kind"] in ROLES]

    def granted(self) -> set[Grant]:
        """Return all that it may do."""
        return {
            Grant(role["metadata"]["name"], role["metadata"].get("namespace", ""), group, resource, verb)
            for role in self.roles
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def without(self, *rights: str) -> "Account":
        """Return it without these rights, each `verb resource`."""

        def left(rule: Json) -> Sequence[Json]:
            pairs = [(resource, verb) for resource in rule["resources"] for verb in rule["verbs"]]
            kept = [(resource, verb) for resource, verb in pairs if f"{verb} {resource}" not in rights]
            return [{**rule, "resources": [resource], "verbs": [verb]} for resource, verb in kept]

        def lessened(found: Json) -> Json:
            if found["kind"] not in ROLES:
                return found
            return {**found, "rules": [each for rule in found["rules"] for each in left(rule)]}

        return Account([lessened(each) for each in self.objects])

    def take(self, plane: ControlPlane, grant: Grant) -> None:
        """Take one right away from where it is applied."""
        plane.api.patch(grant.path, {"rules": self._rules(grant, self.without(f"{grant.verb} {grant.resource}"))})

    def give_back(self, plane: ControlPlane, grant: Grant) -> None:
        """Give the role of a right all that it had."""
        plane.api.patch(grant.path, {"rules": self._rules(grant, self)})

    @staticmethod
    def _rules(grant: Grant, account: "Account") -> Sequence[Json]:
        (found,) = [
            each["rules"]
            for each in account.roles
            if (each["metadata"]["name"], each["metadata"].get("namespace", "")) == (grant.role, grant.namespace)
        ]
        return list(found)

    def apply(self, plane: ControlPlane) -> None:
        """Apply it to a cluster."""
        plane.apply(self.objects)

    def remove(self, plane: ControlPlane) -> None:
        """Take all of it from a cluster."""
        for found in self.objects:
            where = found["metadata"].get("namespace")
            scope = f"/namespaces/{where}" if where else ""
            root = CORE if found["kind"] == "ServiceAccount" else f"/apis/{RBAC}/v1"
            plane.api.delete(f"{root}{scope}/{found['kind'].lower()}s/{found['metadata']['name']}")


@contextmanager
def bound(plane: ControlPlane, account: Account) -> Iterator[Path]:
    """Return the kubeconfig of an account that has its rights until the end."""
    account.apply(plane)
    yield plane.service_account_kubeconfig(account.namespace, account.name)
    account.remove(plane)


def _rendered(helm: Helm, values: Mapping[str, object] | None) -> Sequence[Json]:
    found = [each for each in helm.objects(values=values or {}) if each["kind"] in OPERATOR_KINDS]
    registry = "registry"  # its ServiceAccount has no role
    ours = [each for each in found if each["metadata"]["labels"]["app.kubernetes.io/component"] != registry]
    return [each for each in ours if not _is_for_people(each)]


def _is_for_people(found: Json) -> bool:
    return any("/aggregate-to-" in label for label in found["metadata"]["labels"])


@dataclass(frozen=True, slots=True)
class Audit:
    """What one ServiceAccount did.

    `used`: by the role that the API server names. `asked`: namespace, group, resource and verb of every request.
    `refused`: what was not allowed, as `verb resource namespace`.
    """

    used: set[Grant]
    asked: set[tuple[str, str, str, str]]
    refused: set[str]

    def exercised(self, granted: Iterable[Grant]) -> set[Grant]:
        """Return what was used: where a ClusterRole allows the same, the API server never names the Role."""
        return self.used | {each for each in granted if each.namespace and each[1:] in self.asked}


def read(lines: Iterable[str]) -> Audit:
    """Read an audit log. What everybody may do, as asking what one may do, is left out."""
    used, asked_for, refused = set(), set(), set()
    for line in lines:
        event = json.loads(line)
        if "objectRef" not in event:
            continue
        asked, notes = event["objectRef"], event.get("annotations", {})
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        namespace = asked.get("namespace", "")
        if notes.get("authorization.k8s.io/decision") == "forbid":
            refused.add(f"{event['verb']} {resource} {namespace}".strip())
            continue
        by = _REASON.search(notes.get("authorization.k8s.io/reason", ""))
        if by is None or by[2].startswith("system:"):
            continue
        what = (asked.get("apiGroup", ""), resource, event["verb"])
        asked_for.add((namespace, *what))
        used.add(Grant(by[2], namespace if by[1] == "Role" else "", *what))
    return Audit(used, asked_for, refused)


def sorted_text(grants: Iterable[Grant]) -> list[str]:
    """Return them as a person reads them."""
    return sorted(map(str, grants))
