"""Takes the gate's policy away, stops an operator, and takes its finalizers from our objects, within a time."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from kube_registrar.cli import gated
from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiNotFound
from kube_registrar.cluster.resources import FINALIZER, OURS
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.model.errors import UserError

_log = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Marked:
    """An object with our finalizer; `others` are those that stay."""

    title: str
    path: str
    version: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be released.

    `deployment`: namespace and name of the one to stop. `namespaces`: of RegistryServices and workloads; none: all.
    `policy`: the name of the policy that adds the readiness gate. `gates`: whether to look for who carries it.
    """

    deployment: tuple[str, str] | None = None
    namespaces: Sequence[str] = ()
    policy: str = ""
    gates: bool = True


@dataclass(frozen=True, slots=True)
class Released:
    """Titles of the objects that were released, and of what carries the gate; `unknown`: why that is not known."""

    objects: Sequence[str]
    gated: Sequence[str] = ()
    unknown: str = ""


async def release(kubeconfig: str | None, context: str | None, work: Work, seconds: float) -> Released:
    """Take the policy away and stop the Deployment, if there are such, then release every object.

    The policy is first: a pod that is given the gate while nobody opens it waits for ever. Raises UserError when the
    time is over, ApiError as the API server answers.
    """
    released: dict[str, None] = {}
    where = "before anything was asked"
    deployment, namespaces = work.deployment, work.namespaces
    try:
        async with asyncio.timeout(seconds), open_session(kubeconfig, context) as session:
            if work.policy:
                where = f"while policy {work.policy} was taken away"
                await gated.withdraw(session, work.policy)
            if deployment:
                where = f"while Deployment {'/'.join(deployment)} was ending"
                await _stop(session, *deployment)
            where = "while finalizers were taken"
            while marked := await _marked(session, namespaces):
                for each in marked:
                    if await _take(session, each):
                        released[each.title] = None
                # What is marked again has an operator that runs still.
                await session.clock.sleep(_LOOK_AGAIN_SECONDS)
            where = "while workloads were looked at"
            return await _looked(session, work, tuple(released))
    except TimeoutError:
        raise UserError(
            f"the {seconds:g} s of --timeout were over {where}: stop the operator, then run this again; or take "
            f"{FINALIZER} from metadata.finalizers of the objects that kubectl get registrar -A shows"
        ) from None


async def _looked(session: Session, work: Work, released: Sequence[str]) -> Released:
    """Add who carries the gate; that it cannot be known is no reason to fail."""
    if not work.gates:
        return Released(released)
    try:
        return Released(released, await gated.carriers(session, work.namespaces))
    except ApiError as error:
        return Released(released, unknown=str(error))


async def _stop(session: Session, namespace: str, name: str) -> None:
    """Scale a Deployment to nothing and wait until its pods are gone; one that is not there has stopped."""
    scale = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/deployments/{quote(name, safe='')}/scale"
    try:
        found = msgspec.json.decode(await session.patch(scale, {"spec": {"replicas": 0}}))
    except ApiNotFound:
        _log.info("there is no Deployment %s/%s to stop", namespace, name)
        return
    selector = {"labelSelector": found["status"]["selector"]}
    pods = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
    while msgspec.json.decode(await session.get(pods, selector))["items"]:
        await session.clock.sleep(_LOOK_AGAIN_SECONDS)
    _log.info("Deployment %s/%s has ended", namespace, name)


async def _marked(session: Session, namespaces: Sequence[str]) -> Sequence[_Marked]:
    """Return the objects with our finalizer."""
    found: list[_Marked] = []
    for kind, resource in OURS.items():
        for within in (namespaces if resource.namespaced else ()) or ("",):
            answer: dict[str, Any] = msgspec.json.decode(await session.get(resource.path(within)))
            for item in answer.get("items") or ():
                metadata = item["metadata"]
                finalizers = tuple(metadata.get("finalizers") or ())
                if FINALIZER in finalizers:
                    namespace, name = metadata.get("namespace", ""), metadata["name"]
                    title = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
                    others = tuple(each for each in finalizers if each != FINALIZER)
                    path = resource.path(namespace, name)
                    found.append(_Marked(title, path, metadata["resourceVersion"], others))
    return found


async def _take(session: Session, marked: _Marked) -> bool:
    """Take our finalizer from an object as it was read; False where it has changed, and has to be read again."""
    metadata = {"finalizers": list(marked.others) or None, "resourceVersion": marked.version}
    try:
        await session.patch(marked.path, {"metadata": metadata})
    except ApiConflict:
        return False
    except ApiNotFound:
        return True
    return True
