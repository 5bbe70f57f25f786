"""kopf's handlers: they translate between kopf and `lifecycle`, and decide nothing.

A finalizer stands on an object only while its deletion has to remove something: kopf adds and takes it as the `when=`
of the delete handler says, so that must never ask whether this process leads or whether a registry answers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import kopf

from kube_registrar.model.errors import Conflict, RegistryError
from kube_registrar.model.reasons import NOT_EMPTY, REMOVED, RETAINED, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import ObjectRef, Uid, registry_of
from kube_registrar.operator import lifecycle
from kube_registrar.operator.context import Context
from kube_registrar.operator.verdicts import LATER_SECONDS, SOON_SECONDS, Verdict, status_of
from kube_registrar.sync.reporting import EventType

GROUP, VERSION = "kube-registrar.dev", "v1alpha1"
DELETION_TIMEOUT_SECONDS = 600.0
"""A thing that cannot be removed for so long is retained, so that deleting an object always ends."""


def handlers(context: Context) -> kopf.OperatorRegistry:
    """Return the handlers for both kinds."""
    registry = kopf.OperatorRegistry()
    for plural, kind in (("registrynamespaces", "RegistryNamespace"), ("registryservices", "RegistryService")):
        _handle(registry, context, plural, kind)
    return registry


def _handle(registry: kopf.OperatorRegistry, context: Context, plural: str, kind: str) -> None:
    async def ensure(body: kopf.Body, patch: kopf.Patch, retry: int, **_: Any) -> None:
        await _ensure(context, _thing(kind, body), patch, retry)

    async def remove(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
        await _remove(context, _thing(kind, body), patch, str(body.metadata["deletionTimestamp"]))

    def removes(body: kopf.Body, **_: Any) -> bool:
        return lifecycle.removes(_thing(kind, body))

    where: dict[str, Any] = {"group": GROUP, "version": VERSION, "plural": plural, "registry": registry}
    kopf.on.resume(**where, id="ensure")(ensure)
    kopf.on.create(**where, id="ensure")(ensure)
    kopf.on.update(**where, field="spec", id="ensure")(ensure)
    kopf.on.delete(**where, when=removes, id="remove")(remove)


def _thing(kind: str, body: kopf.Body) -> CustomObject:
    metadata = body.metadata
    return CustomObject(
        kind=kind,
        namespace=metadata.get("namespace") or "",
        name=metadata["name"],
        uid=Uid(metadata["uid"]),
        generation=int(metadata.get("generation", 1)),
        spec=dict(body.spec),
        terminating="deletionTimestamp" in metadata,
        status=dict(body.status),
    )


async def _ensure(context: Context, thing: CustomObject, patch: kopf.Patch, attempt: int) -> None:
    if thing.terminating:
        return
    look_after = lifecycle.ensure_namespace if thing.kind == "RegistryNamespace" else lifecycle.ensure_service
    verdict = await look_after(context, thing, attempt)
    if thing.kind == "RegistryService":
        context.catalog.refuse(thing.uid, _lasting_refusal(verdict))
    what = f"{thing.kind} {thing.name}"
    patch.status.update(status_of(verdict, what, thing.status, thing.generation, context.clock.time()))
    if _is_news(verdict, thing.status):
        _record(context, thing, "Normal" if verdict.ready else "Warning", verdict.problem)
    if verdict.retry_after is not None:
        raise kopf.TemporaryError(verdict.problem.message, delay=verdict.retry_after)


def _lasting_refusal(verdict: Verdict) -> str:
    """Why instances may not be registered: not for an outage, which must not hold what could go on."""
    return (
        ""
        if verdict.ready or verdict.problem.reason in {"RegistryUnavailable", "NotReady"}
        else verdict.problem.message
    )


def _is_news(verdict: Verdict, status: Mapping[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return (ready.get("reason"), ready.get("message")) != (verdict.problem.reason, verdict.problem.message)


async def _remove(context: Context, thing: CustomObject, patch: kopf.Patch, since: str) -> None:
    ref = lifecycle.target(context, thing)
    if ref is None:
        return
    what, registry = lifecycle.described(ref), registry_of(ref)
    try:
        await lifecycle.remove(context, ref)
    except RegistryError as error:
        waited = context.clock.time() - datetime.fromisoformat(since).timestamp()
        if waited >= DELETION_TIMEOUT_SECONDS:
            why = f"it could not be removed within {DELETION_TIMEOUT_SECONDS:.0f} s ({error})"
            _record(context, thing, "Warning", Problem.of(RETAINED, what=what, registry=registry, why=why))
            return
        verdict = Verdict(ready=False, problem=Problem.of(NOT_EMPTY, what=what, error=error))
        patch.status.update(status_of(verdict, what, thing.status, thing.generation, context.clock.time()))
        if _is_news(verdict, thing.status):
            _record(context, thing, "Warning", verdict.problem)
        delay = SOON_SECONDS if isinstance(error, Conflict) else LATER_SECONDS
        raise kopf.TemporaryError(verdict.problem.message, delay=delay) from error
    _record(context, thing, "Normal", Problem.of(REMOVED, what=what, registry=registry))


def _record(context: Context, thing: CustomObject, type_: EventType, problem: Problem) -> None:
    ref = ObjectRef(f"{GROUP}/{VERSION}", thing.kind, thing.namespace, thing.name, thing.uid)
    context.recorder.record(ref, type_, problem.reason, problem.message)
