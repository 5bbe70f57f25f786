"""Before anything else: is the API server there, does it know us, may we do what we must, are our kinds installed?

One sentence if not. Source: Kubernetes documentation, "Checking API access" (SelfSubjectAccessReview).
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from kube_registrar.cluster.errors import ApiError, ApiForbidden, ApiUnauthorized, ApiUnreachable
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.cluster.resources import GROUP, OURS, VERSION
from kube_registrar.cluster.session import Session
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import Uid

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""CRDs that were applied a moment ago are not served yet."""


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that RBAC may grant. `namespaced`: in watched Kubernetes namespaces; else it is asked cluster-wide.

    `namespace`: in this one, whatever is watched. `name`: of this object; empty: of all.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespaced: bool = True
    namespace: str = ""
    name: str = ""

    def within(self, watched: Sequence[str]) -> Sequence[str]:
        """Return the Kubernetes namespaces in which it is needed; an empty name: in all, or outside of any."""
        if self.namespace:
            return (self.namespace,)
        return (watched if self.namespaced else ()) or ("",)

    @property
    def what(self) -> str:
        """The resource as RBAC rules name it, with its group."""
        return (f"{self.resource}.{self.group}" if self.group else self.resource) + (
            f"/{self.subresource}" if self.subresource else ""
        )


STATUSES: tuple[Right, ...] = (
    Right("patch", GROUP, "registrynamespaces", "status", namespaced=False),
    Right("patch", GROUP, "registryservices", "status"),
)
"""What shows on our objects how they stand."""
EVENTS: tuple[Right, ...] = tuple(Right(verb, "events.k8s.io", "events") for verb in ("create", "patch"))
"""What tells users of their objects."""
RIGHTS: tuple[Right, ...] = (
    *(Right(verb, "", "pods") for verb in ("get", "list", "watch")),
    *(Right(verb, "", "services") for verb in ("get", "list", "watch")),
    *(Right(verb, "discovery.k8s.io", "endpointslices") for verb in ("list", "watch")),
    *(Right(verb, "", "namespaces", namespaced=False) for verb in ("get", "list", "watch")),
    *(Right(verb, GROUP, "registrynamespaces", namespaced=False) for verb in ("get", "list", "watch", "patch")),
    *(Right(verb, GROUP, "registryservices") for verb in ("get", "list", "watch", "patch")),
    *STATUSES,
    *EVENTS,
)
"""What `run` asks of the API server. Without STATUSES and EVENTS it works all the same, and tells less."""
NODES: tuple[Right, ...] = tuple(Right(verb, "", "nodes", namespaced=False) for verb in ("list", "watch"))
"""What tells zones where pods have no labels for them, unreachable nodes, and the addresses of NodePorts."""

OPTIONAL: Mapping[tuple[Right, ...], str] = {
    STATUSES: "RegistryNamespaces and RegistryServices do not show how they stand, which events and the log say",
    EVENTS: "nothing is told on the objects that it concerns, and kubectl describe shows nothing of it; conditions, "
    "the log and kube-registrar explain do",
    NODES: "zones are known of pods that have labels for them only, and pods on unreachable nodes are deregistered "
    "like any that are not ready",
}
"""Rights without which the rest works on, and what is missing then."""


def lease_rights(namespace: str, name: str) -> tuple[Right, ...]:
    """Return what an election by this Lease needs. RBAC cannot restrict create to a name."""
    return tuple(
        Right(verb, "coordination.k8s.io", "leases", namespace=namespace, name="" if verb == "create" else name)
        for verb in ("create", "get", "update", "watch")
    )


READING: tuple[Right, ...] = tuple(right for right in RIGHTS if right.verb in {"get", "list", "watch"})
"""What is needed to look only."""


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


class _ApiResource(msgspec.Struct):
    name: str


class _ApiResources(msgspec.Struct):
    resources: list[_ApiResource] | None = None


class _ReviewStatus(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _ReviewStatus


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that was found."""

    uid: Uid
    """Of its kube-system namespace."""
    version: str
    """Such as `v1.37.2`."""
    may_read_nodes: bool = True
    may_write_statuses: bool = True


async def check(
    session: Session,
    watch_namespaces: Sequence[str] = (),
    rights: Sequence[Right] = RIGHTS,
    *,
    patience: float = PATIENCE_SECONDS,
) -> Cluster:
    """Prove that the API server answers, that we have the rights, and that our kinds are installed.

    Of OPTIONAL rights one that is missing is logged, and no more; nodes are asked about in any case.
    `patience`: seconds to wait for our kinds. Raises UserError: one sentence with the URL, where the credentials came
    from, and the next step.
    """
    where = f"the API server {session.server} ({session.credentials.source})"
    try:
        version = msgspec.json.decode(await session.get("/version"), type=_Version).git_version
        await _check_kinds(session, where, patience)
        lacking = await _check_rights(session, watch_namespaces, rights, where)
        uid = await Lookup(session).cluster_uid()
        return Cluster(uid, version, may_read_nodes=NODES not in lacking, may_write_statuses=STATUSES not in lacking)
    except ApiUnreachable as error:
        raise UserError(f"{where} does not answer: check --kubeconfig, --context and the network ({error})") from None
    except ApiUnauthorized:
        raise UserError(f"{where} does not accept the credentials: log in anew, or choose another --context") from None
    except ApiForbidden as error:
        raise UserError(f"{where} refuses what everybody may ask: check its RBAC ({error})") from None
    except (ApiError, msgspec.DecodeError) as error:
        raise UserError(f"{where} does not answer as one: check its URL and that it is well ({error})") from None


async def _check_kinds(session: Session, where: str, patience: float) -> None:
    """Wait a moment for our kinds: whoever applies the CRDs just before we start should not see us fail."""
    deadline = session.clock.monotonic() + patience
    while missing := await _missing_kinds(session):
        if session.clock.monotonic() >= deadline:
            raise UserError(
                f"{where} lacks the kinds {' and '.join(missing)}: install them with kubectl apply -f crds/"
            )
        logger.info("waiting for the kinds %s to be served", " and ".join(missing))
        await session.clock.sleep(1.0)


async def _missing_kinds(session: Session) -> list[str]:
    try:
        body = await session.get(f"/apis/{GROUP}/{VERSION}")
    except (ApiUnreachable, ApiUnauthorized, ApiForbidden):
        raise
    except ApiError:
        installed = set()
    else:
        installed = {one.name for one in msgspec.json.decode(body, type=_ApiResources).resources or ()}
    return [f"{one.plural}.{GROUP}" for one in OURS.values() if one.plural not in installed]


async def _check_rights(
    session: Session, namespaces: Sequence[str], rights: Sequence[Right], where: str
) -> Collection[tuple[Right, ...]]:
    """Return which of the optional ones are missing; each is logged. Raises UserError where one that we need is."""
    asked = [*rights, *(right for right in NODES if right not in rights)]
    missing = await _missing(session, namespaces, asked)
    optional = {right for group in OPTIONAL for right in group}
    needed = [each for each in missing if each[0] not in optional]
    if needed:
        raise UserError(
            f"{where} does not allow us to {_said(needed)}: grant it to the operator's service account or user"
        )
    lacking = []
    for group, without in OPTIONAL.items():
        if found := [each for each in missing if each[0] in group]:
            lacking.append(group)
            logger.warning(
                "not allowed to %s: %s; grant it to the service account or user, and restart", _said(found), without
            )
    return lacking


async def _missing(session: Session, namespaces: Sequence[str], rights: Sequence[Right]) -> Sequence[tuple[Right, str]]:
    """Return the rights that are missing, each with the Kubernetes namespace in which it is."""
    asked = [(right, within) for right in rights for within in right.within(namespaces)]
    answers = await asyncio.gather(*(_is_allowed(session, right, within) for right, within in asked))
    return [each for each, allowed in zip(asked, answers, strict=True) if not allowed]


def _said(missing: Sequence[tuple[Right, str]]) -> str:
    """Say them, the verbs of one resource together."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right, within in missing:
        verbs.setdefault((right.what, within), []).append(right.verb)
    return "; ".join(
        f"{', '.join(found)} {what} in {f'namespace {within}' if within else 'all namespaces'}"
        for (what, within), found in verbs.items()
    )


async def _is_allowed(session: Session, right: Right, namespace: str) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": namespace,
        "name": right.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return msgspec.json.decode(await session.post(_REVIEWS, review), type=_Review).status.allowed
