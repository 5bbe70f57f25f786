"""What is held, read from the status of our kinds, and the annotation that approves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kube_registrar.cluster.errors import ApiNotFound
from kube_registrar.cluster.resources import OURS
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.model.errors import UserError
from kube_registrar.model.records import ANNOTATION_PREFIX
from kube_registrar.sync.holds import APPROVE


@dataclass(frozen=True, slots=True)
class Held:
    """What one object holds; `count` 0: nothing."""

    kind: str
    namespace: str
    name: str
    count: int = 0
    since: str = ""
    token: str = ""
    causes: tuple[tuple[str, int], ...] = ()
    pods: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The object, as the command line takes it."""
        where = f" -n {self.namespace}" if self.namespace else ""
        return f"{self.kind.lower()}/{self.name}{where}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster of a kubeconfig and context. Everything raises ApiError, or UserError for what one can change."""

    kubeconfig: str | None
    context: str | None

    async def found(self, named: Sequence[tuple[str, str, str]]) -> Sequence[Held]:
        """Return what these objects hold."""
        async with open_session(self.kubeconfig, self.context) as session:
            return [await _one(session, *each) for each in named]

    async def all_held(self, namespace: str) -> Sequence[Held]:
        """Return all objects that hold something: of one Kubernetes namespace, or of the whole cluster."""
        found: list[Held] = []
        async with open_session(self.kubeconfig, self.context) as session:
            for kind, resource in OURS.items():
                if namespace and not resource.namespaced:
                    continue
                answer = msgspec.json.decode(await session.get(resource.path(namespace)))
                found += [_held(kind, item) for item in answer.get("items") or ()]
        return [each for each in found if each.count]

    async def approve(self, held: Sequence[Held]) -> None:
        """Write on each object that what it holds may go."""
        async with open_session(self.kubeconfig, self.context) as session:
            for each in held:
                body = {"metadata": {"annotations": {f"{ANNOTATION_PREFIX}{APPROVE}": each.token}}}
                await session.patch(OURS[each.kind].path(each.namespace, each.name), body)


async def _one(session: Session, kind: str, namespace: str, name: str) -> Held:
    try:
        return _held(kind, msgspec.json.decode(await session.get(OURS[kind].path(namespace, name))))
    except ApiNotFound:
        title = Held(kind, namespace, name).title
        raise UserError(f"there is no {title}: kubectl get registrar --all-namespaces shows what there is") from None


def _held(kind: str, found: dict[str, Any]) -> Held:
    metadata = found["metadata"]
    held = (found.get("status") or {}).get("held") or {}
    return Held(
        kind,
        metadata.get("namespace", ""),
        metadata["name"],
        count=held.get("count", 0),
        since=held.get("since", ""),
        token=held.get("token", ""),
        causes=tuple(sorted((held.get("causes") or {}).items())),
        pods=tuple(held.get("pods") or ()),
    )


def shown(held: Held) -> str:
    """Return what one object holds, for people."""
    if not held.count:
        return f"{held.title}: nothing is held"
    causes = ", ".join(f"{cause} {count}" for cause, count in held.causes)
    lines = [f"{held.title}: {held.count} held since {held.since} ({causes})", *(f"  {pod}" for pod in held.pods)]
    more = held.count - len(held.pods)
    return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)
