"""kopf's handlers: they translate between kopf and `lifecycle`, and decide nothing.

They run in kopf's own thread; whatever they ask for is done in the main event loop, where everything else lives.
A finalizer stands on an object only while its deletion has to remove something: kopf adds and takes it as the `when=`
of the delete handler says, so that must never ask whether this process leads or whether a registry answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import kopf

from kube_registrar.model.errors import Conflict, RegistryError
from kube_registrar.model.reasons import NOT_EMPTY, REMOVED, RETAINED, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import ObjectRef, Uid, registry_of
from kube_registrar.operator import lifecycle
from kube_registrar.operator.context import Context
from kube_registrar.operator.verdicts import LATER_SECONDS, SOON_SECONDS, Verdict, lasting_refusal, status_of
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
        _write(await context.on_main(_ensured(context, _thing(kind, body), retry)), patch)

    async def remove(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
        since = str(body.metadata["deletionTimestamp"])
        _write(await context.on_main(_removed(context, _thing(kind, body), since)), patch)

    def removes(body: kopf.Body, **_: Any) -> bool:
        return lifecycle.removes(_thing(kind, body))

    where: dict[str, Any] = {"group": GROUP, "version": VERSION, "plural": plural, "registry": registry}
    kopf.on.resume(**where, id="ensure")(ensure)
    kopf.on.create(**where, id="ensure")(ensure)
    kopf.on.update(**where, field="spec", id="ensure")(ensure)
    kopf.on.delete(**where, when=removes, id="remove")(remove)


@dataclass(frozen=True, slots=True)
class _Result:
    """What a handler tells kopf: status fields to patch, and when to come again (seconds; None: done)."""

    status: Mapping[str, object] = field(default_factory=dict)
    retry_after: float | None = None
    message: str = ""


def _write(result: _Result, patch: kopf.Patch) -> None:
    patch.status.update(result.status)
    if result.retry_after is not None:
        raise kopf.TemporaryError(result.message, delay=result.retry_after)


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


async def _ensured(context: Context, thing: CustomObject, attempt: int) -> _Result:
    if thing.terminating:
        return _Result()
    look_after = lifecycle.ensure_namespace if thing.kind == "RegistryNamespace" else lifecycle.ensure_service
    began = context.clock.monotonic()
    verdict = await look_after(context, thing, attempt)
    context.measures.reconciled(thing.kind, "ok" if verdict.ready else "error", context.clock.monotonic() - began)
    if thing.kind == "RegistryService":
        context.catalog.refuse(thing.uid, lasting_refusal(verdict))
    _tell(context, thing, verdict)
    return _result(context, thing, f"{thing.kind} {thing.name}", verdict)


def _result(context: Context, thing: CustomObject, what: str, verdict: Verdict) -> _Result:
    status = status_of(verdict, what, thing.status, thing.generation, context.clock.time())
    return _Result(status, verdict.retry_after, verdict.problem.message)


def _tell(context: Context, thing: CustomObject, verdict: Verdict) -> None:
    if _is_news(verdict, thing.status):
        _record(context, thing, "Normal" if verdict.ready else "Warning", verdict.problem)


def _is_news(verdict: Verdict, status: Mapping[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return (ready.get("reason"), ready.get("message")) != (verdict.problem.reason, verdict.problem.message)


async def _removed(context: Context, thing: CustomObject, since: str) -> _Result:
    ref = lifecycle.target(context, thing)
    if ref is None:
        return _Result()
    what, registry = lifecycle.described(ref), registry_of(ref)
    withheld = lifecycle.withheld_removal(context, thing, ref)
    if withheld:
        _record(context, thing, "Warning", Problem.of(RETAINED, what=what, registry=registry, why=withheld))
        return _Result()
    try:
        await lifecycle.remove(context, ref)
    except RegistryError as error:
        waited = context.clock.time() - datetime.fromisoformat(since).timestamp()
        if waited >= DELETION_TIMEOUT_SECONDS:
            why = f"it could not be removed within {DELETION_TIMEOUT_SECONDS:.0f} s ({error})"
            _record(context, thing, "Warning", Problem.of(RETAINED, what=what, registry=registry, why=why))
            return _Result()
        problem = Problem.of(NOT_EMPTY, what=what, error=error)
        delay = SOON_SECONDS if isinstance(error, Conflict) else LATER_SECONDS
        verdict = Verdict(ready=False, problem=problem, retry_after=delay)
        _tell(context, thing, verdict)
        return _result(context, thing, what, verdict)
    _record(context, thing, "Normal", Problem.of(REMOVED, what=what, registry=registry))
    return _Result()


def _record(context: Context, thing: CustomObject, type_: EventType, problem: Problem) -> None:
    ref = ObjectRef(f"{GROUP}/{VERSION}", thing.kind, thing.namespace, thing.name, thing.uid)
    context.recorder.record(ref, type_, problem.reason, problem.message)
