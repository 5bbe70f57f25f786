"""kopf's handlers: they translate between kopf and `lifecycle`, and decide nothing.

They run in kopf's own thread; whatever they ask for is done in the main event loop, where everything else lives.
A finalizer stands on an object only while its deletion has to remove something: kopf adds and takes it as the `when=`
of the delete handler says, so that must never ask whether this process leads or whether a registry answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kube_registrar.cluster.errors import ApiError
from kube_registrar.model.errors import Conflict, RegistryError
from kube_registrar.model.reasons import NOT_EMPTY, REMOVED, RETAINED, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import RegistryName, Uid, registry_of
from kube_registrar.operator import lifecycle, removing
from kube_registrar.operator.context import Context
from kube_registrar.operator.lean import kopf
from kube_registrar.operator.telling import GROUP, VERSION, ensured, record, tell
from kube_registrar.operator.verdicts import LATER_SECONDS, SOON_SECONDS, Verdict, status_of


def handlers(context: Context) -> kopf.OperatorRegistry:
    """Return the handlers for both kinds."""
    registry = kopf.OperatorRegistry()
    for plural, kind in (("registrynamespaces", "RegistryNamespace"), ("registryservices", "RegistryService")):
        _handle(registry, context, plural, kind)
    return registry


def _handle(registry: kopf.OperatorRegistry, context: Context, plural: str, kind: str) -> None:
    async def ensure(body: kopf.Body, patch: kopf.Patch, retry: int, **_: Any) -> None:
        _write(await context.on_main(_ensured(context, _thing(kind, body), retry)), patch)

    async def remove(body: kopf.Body, patch: kopf.Patch, retry: int, **_: Any) -> None:
        since = str(body.metadata["deletionTimestamp"])
        _write(await context.on_main(_removed(context, _thing(kind, body), since, retry)), patch)

    def removes(body: kopf.Body, **_: Any) -> bool:
        return removing.removes(_thing(kind, body))

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
    verdict = await ensured(context, thing, attempt)
    return _result(context, thing, f"{thing.kind} {thing.name}", verdict)


def _result(context: Context, thing: CustomObject, what: str, verdict: Verdict) -> _Result:
    status = status_of(verdict, what, thing.status, thing.generation, context.clock.time())
    return _Result(status if context.writes_statuses else {}, verdict.retry_after, verdict.problem.message)


async def _removed(context: Context, thing: CustomObject, since: str, attempt: int = 0) -> _Result:
    what = f"What {thing.kind} {thing.name} made"
    registry = RegistryName(str(thing.status.get("registry", context.default_registry)))
    try:
        ref = await removing.target(context, thing)
        if ref is None:
            return _Result()  # it is gone
        what, registry = lifecycle.described(ref), registry_of(ref)
        if withheld := removing.withheld_removal(context, thing, ref):
            return _retained(context, thing, what, registry, withheld)
        await context.vouch()
        await removing.remove(context, thing, ref)
    except ApiError as error:  # an object of another cluster may have this name, and go there
        return _Result({}, LATER_SECONDS, f"{what} is not removed: {error}")
    except removing.Stays as error:
        return _retained(context, thing, what, registry, str(error))
    except RegistryError as error:
        timeout = removing.timeout_seconds(thing)
        left = timeout - (context.clock.time() - datetime.fromisoformat(since).timestamp())
        if left <= 0:
            why = f"it could not be removed within {timeout:.0f} s ({error})"
            return _retained(context, thing, what, registry, why)
        problem = Problem.of(NOT_EMPTY, what=what, error=error, timeout=f"{timeout:.0f}")
        soon = SOON_SECONDS * 1.5 ** min(attempt, 6)  # each look is a list: many that wait must not use them up
        delay = min(left, soon if isinstance(error, Conflict) else LATER_SECONDS)
        verdict = Verdict(ready=False, problem=problem, retry_after=delay)
        tell(context, thing, verdict)
        return _result(context, thing, what, verdict)
    record(context, thing, "Normal", Problem.of(REMOVED, what=what, registry=registry))
    return _Result()


def _retained(context: Context, thing: CustomObject, what: str, registry: RegistryName, why: str) -> _Result:
    """Say that what an object made stays though the object goes."""
    record(context, thing, "Warning", Problem.of(RETAINED, what=what, registry=registry, why=why))
    return _Result()
