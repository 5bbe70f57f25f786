"""Looking after an object once, and saying what came of it: the same for kopf's handlers and for the keeper."""

from collections.abc import Mapping
from typing import Any

from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import ObjectRef
from kube_registrar.operator import lifecycle
from kube_registrar.operator.context import Context
from kube_registrar.operator.verdicts import Verdict, lasting_refusal
from kube_registrar.sync.reporting import EventType

GROUP, VERSION = "kube-registrar.dev", "v1alpha1"


async def ensured(context: Context, thing: CustomObject, attempt: int) -> Verdict:
    """Make, adopt or update what an object declares; measure it, tell the catalog, and say in an event what is new."""
    look_after = lifecycle.ensure_namespace if thing.kind == "RegistryNamespace" else lifecycle.ensure_service
    began = context.clock.monotonic()
    verdict = await look_after(context, thing, attempt)
    context.measures.reconciled(thing.kind, "ok" if verdict.ready else "error", context.clock.monotonic() - began)
    if thing.kind == "RegistryService":
        context.catalog.refuse(thing.uid, lasting_refusal(verdict))
    tell(context, thing, verdict)
    return verdict


def tell(context: Context, thing: CustomObject, verdict: Verdict) -> None:
    """Say in an event how an object stands, if its status says otherwise."""
    if _is_news(verdict, thing.status):
        record(context, thing, "Normal" if verdict.ready else "Warning", verdict.problem)


def _is_news(verdict: Verdict, status: Mapping[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return (ready.get("reason"), ready.get("message")) != (verdict.problem.reason, verdict.problem.message)


def record(context: Context, thing: CustomObject, type_: EventType, problem: Problem) -> None:
    """Say something in an event about an object."""
    ref = ObjectRef(f"{GROUP}/{VERSION}", thing.kind, thing.namespace, thing.name, thing.uid)
    context.recorder.record(ref, type_, problem.reason, problem.message)
