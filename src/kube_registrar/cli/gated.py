"""The readiness gate once no operator opens it: the policy that adds it, and who carries it still."""

from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec

from kube_registrar.cluster.errors import ApiError
from kube_registrar.cluster.session import Session
from kube_registrar.model.records import GATE

_POLICIES: Final = "/apis/admissionregistration.k8s.io/v1"
_PAGE: Final = "500"
_TEMPLATED: Final = (
    ("Deployment", "/apis/apps/v1", "deployments"),
    ("StatefulSet", "/apis/apps/v1", "statefulsets"),
    ("DaemonSet", "/apis/apps/v1", "daemonsets"),
    ("ReplicaSet", "/apis/apps/v1", "replicasets"),
    ("ReplicationController", "/api/v1", "replicationcontrollers"),
    ("CronJob", "/apis/batch/v1", "cronjobs"),
)


class _Gate(msgspec.Struct, rename="camel"):
    condition_type: str = ""


class _Owner(msgspec.Struct):
    controller: bool | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    owner_references: list[_Owner] = []


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] = []
    phase: str = ""


class _Spec(msgspec.Struct, rename="camel"):
    """The spec of a pod, or of whatever has a template of one."""

    readiness_gates: list[_Gate] = []
    template: "_Template | None" = None
    job_template: "_Template | None" = None


class _Template(msgspec.Struct):
    spec: _Spec


class _Thing(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


class _ListMetadata(msgspec.Struct):
    next: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[_Thing] | None = None


async def withdraw(session: Session, policy: str) -> None:
    """Remove the policy of this name that adds the gate, its binding first; what is not there is gone. Raises ApiError.

    The API server forgets it some moments later.
    """
    for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        try:
            await session.delete(f"{_POLICIES}/{plural}/{quote(policy, safe='')}")
        except ApiError as error:
            # A cluster before Kubernetes 1.36 does not know the kind: it has none either.
            if error.status != HTTPStatus.NOT_FOUND:
                raise


async def carriers(session: Session, namespaces: Sequence[str]) -> Sequence[str]:
    """Return the titles of those whose new pods would wait for an operator, and of the pods that wait now.

    `namespaces`: where to look; none: everywhere. Raises ApiError.
    """
    found: list[str] = []
    for kind, root, plural in _TEMPLATED:
        async for thing in _listed(session, root, plural, namespaces):
            is_made = any(owner.controller for owner in thing.metadata.owner_references)
            if not is_made and _lists_gate(thing.spec):
                found.append(f"{kind} {thing.metadata.namespace}/{thing.metadata.name}")
    pods = _listed(session, "/api/v1", "pods", namespaces)
    waiting = [pod.metadata async for pod in pods if _lists_gate(pod.spec) and _waits(pod.status)]
    return [*found, *(f"Pod {each.namespace}/{each.name}" for each in waiting)]


async def _listed(session: Session, root: str, plural: str, namespaces: Sequence[str]) -> AsyncIterator[_Thing]:
    for namespace in namespaces or ("",):
        within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        params = {"limit": _PAGE}
        while True:
            page = msgspec.json.decode(await session.get(f"{root}{within}/{plural}", params), type=_List)
            for thing in page.items or ():
                yield thing
            if not page.metadata.next:
                break
            params = {"limit": _PAGE, "continue": page.metadata.next}


def _lists_gate(spec: _Spec) -> bool:
    """Whether a pod's spec, or the template in it, lists our gate."""
    template = spec.template or spec.job_template
    if template is not None:
        return _lists_gate(template.spec)
    return any(gate.condition_type == GATE for gate in spec.readiness_gates)


def _waits(status: _Status) -> bool:
    """Whether the gate of a pod that goes on is not open."""
    is_open = any(each.type == GATE and each.status == "True" for each in status.conditions)
    return not is_open and status.phase not in {"Succeeded", "Failed"}
