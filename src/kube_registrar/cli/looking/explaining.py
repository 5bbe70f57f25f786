"""Reads what an explanation needs, and has it explained."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kube_registrar.cli.kinds import Kind
from kube_registrar.cli.looking.declaring import made, verdict_on
from kube_registrar.cli.looking.planning import Progress
from kube_registrar.cli.looking.stage import Stage, looking
from kube_registrar.cluster import resources
from kube_registrar.cluster.errors import ApiError, ApiForbidden, ApiNotFound
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.declared.settings import Configuration
from kube_registrar.explaining.declared import explain_object, explain_service
from kube_registrar.explaining.instances import Seen
from kube_registrar.explaining.pods import Surroundings, explain_pod
from kube_registrar.explaining.steps import Explanation, State, Step
from kube_registrar.model.errors import RegistryError, UserError
from kube_registrar.model.instances import HealthFilter, Query
from kube_registrar.model.reasons import NOT_READY, Problem
from kube_registrar.model.records import CustomObject, KubeService, Pod
from kube_registrar.model.refs import ServiceRef
from kube_registrar.operator.lifecycle import described
from kube_registrar.operator.verdicts import Verdict
from kube_registrar.sources.pods import Trace, trace_of
from kube_registrar.sources.published import wish_of_service

_EVENTS_SHOWN = 10
_PODS = resources.pods(lambda *_: True)
_SERVICES = resources.services(lambda *_: True)
_NOWHERE = "default"
"""What is watched for a cluster-scoped object: it asks for nothing in Kubernetes namespaces."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, and the last events on the object; `note`: why there are none to show."""

    explanation: Explanation
    events: Sequence[Mapping[str, str]] = ()
    note: str = ""


async def explained(configuration: Configuration, kind: Kind, namespace: str, name: str, timeout: float) -> Explained:
    """Explain one object. Raises UserError where there is none, and Unsettled after `timeout` seconds."""
    within = [namespace] if kind.namespaced else [_NOWHERE]
    async with looking(configuration, namespaces=within, reads_instances=False) as stage:
        with Progress() as progress:
            await stage.settle(stage.clock.monotonic() + timeout, progress.say)
            explanation = await _explanation(stage, kind, namespace, name)
            events, note = await _events(stage, kind, namespace, name)
    return Explained(explanation, events, note)


async def _explanation(stage: Stage, kind: Kind, namespace: str, name: str) -> Explanation:
    match kind.name:
        case "Pod":
            pod = await Lookup(stage.session).get(_PODS, namespace, name)
            if not isinstance(pod, Pod):
                raise _absent(kind, namespace, name)
            return (await _pods(stage, [pod]))[0]
        case "Service":
            return await _service(stage, kind, namespace, name)
        case "RegistryService" | "RegistryNamespace":
            return await _object(stage, kind, namespace, name)
        case _:
            return await _workload(stage, kind, namespace, name)


def _absent(kind: Kind, namespace: str, name: str) -> UserError:
    where = f" in Kubernetes namespace {namespace!r}" if kind.namespaced else ""
    step = "correct the name, or name its namespace with -n" if kind.namespaced else "correct the name"
    return UserError(f"there is no {kind.name} {name!r}{where}: {step}")


async def _pods(stage: Stage, pods: Sequence[Pod]) -> Sequence[Explanation]:
    """Explain pods; every registry service that they ask for is read once."""
    world = stage.catalog.world
    traces = [trace_of(pod, world) for pod in pods]
    wanted = {one.registration.service for trace in traces for one in trace.judged if one.registration}
    seen = await _seen(stage, wanted)
    watched = stage.configuration.watch_namespaces

    def around(trace: Trace) -> Surroundings:
        return Surroundings(trace, seen, stage.policies, watched)

    return [explain_pod(pod, around(trace)) for pod, trace in zip(pods, traces, strict=True)]


async def _seen(stage: Stage, services: Iterable[ServiceRef]) -> Mapping[ServiceRef, Seen]:
    async def look(service: ServiceRef) -> tuple[ServiceRef, Seen]:
        registry = stage.registries[service.namespace.registry]
        try:
            held = await registry.now(service)
            found = await registry.discover(Query(service, health=HealthFilter.HEALTHY))
        except RegistryError as error:
            return service, Seen(error=str(error))
        return service, Seen({each.id: each for each in held}, frozenset(each.id for each in found))

    return dict(await asyncio.gather(*map(look, services)))


async def _all_pods(stage: Stage, namespace: str) -> Sequence[Pod]:
    found: list[Pod] = []
    token = ""
    while True:
        params = {"limit": "500", **({"continue": token} if token else {})}
        page = _PODS.codec.page(await stage.session.get(_PODS.path(namespace), params))
        found += [pod for pod in page.records if isinstance(pod, Pod)]
        token = page.token
        if not token:
            return sorted(found, key=lambda pod: pod.name)


async def _workload(stage: Stage, kind: Kind, namespace: str, name: str) -> Explanation:
    steps = [Step("exists", State.OK, f"the {kind.name} is there")]
    try:
        await stage.session.get(kind.path(namespace, name))
    except ApiNotFound:
        raise _absent(kind, namespace, name) from None
    except ApiForbidden:
        steps = [Step("exists", State.NOTE, f"not allowed to get a {kind.name}; its pods are looked for all the same")]
    mine = [pod for pod in await _all_pods(stage, namespace) if pod.workload == f"{kind.name}/{name}"]
    if mine:
        steps.append(Step("pods", State.OK, f"it has {len(mine)} pods"))
    else:
        steps.append(
            Step("pods", State.WAITS, "it has no pods", f"Look at it: kubectl describe {kind.names[0]} {name}")
        )
    return Explanation(f"{kind.name} {namespace}/{name}", steps, await _pods(stage, mine))


async def _service(stage: Stage, kind: Kind, namespace: str, name: str) -> Explanation:
    service = await Lookup(stage.session).get(_SERVICES, namespace, name)
    if not isinstance(service, KubeService):
        raise _absent(kind, namespace, name)
    uids = stage.catalog.world.endpoints.pods_of(service.key)
    mine = [pod for pod in await _all_pods(stage, namespace) if pod.uid in uids] if uids else []
    world = stage.catalog.world
    wish = wish_of_service(service, world)
    seen = await _seen(stage, {registration.service for registration in wish.registrations})
    parts = await _pods(stage, mine)
    return explain_service(service, world, wish, seen=seen, policies=stage.policies, parts=parts)


async def _object(stage: Stage, kind: Kind, namespace: str, name: str) -> Explanation:
    thing: CustomObject | None = await Lookup(stage.session).get(resources.OURS[kind.name], namespace, name)
    if thing is None:
        raise _absent(kind, namespace, name)
    verdict = await verdict_on(stage, thing)
    if verdict.found and verdict.found.spec.ref in made(stage):
        missing = Problem.of(NOT_READY, what=described(verdict.found.spec.ref), error="it is not in the registry yet")
        verdict = Verdict(ready=False, problem=missing)
    world = stage.catalog.world
    mine: Sequence[Pod] = ()
    if kind.name == "RegistryService" and "selector" in thing.spec:
        pods = await _all_pods(stage, namespace)
        mine = [pod for pod in pods if name in world.selection.of_pod(namespace, pod.labels)]
    parts = await _pods(stage, mine)
    return explain_object(thing, verdict.problem, is_ready=verdict.ready, differs=verdict.synced, parts=parts)


class _Regarding(msgspec.Struct):
    name: str = ""
    kind: str = ""


class _Series(msgspec.Struct, rename="camel"):
    count: int = 1
    last_observed_time: str = ""


class _Event(msgspec.Struct, rename="camel"):
    reason: str = ""
    type: str = ""
    note: str = ""
    event_time: str | None = None
    deprecated_last_timestamp: str | None = None
    series: _Series | None = None


class _Events(msgspec.Struct):
    items: list[_Event] | None = None


async def _events(stage: Stage, kind: Kind, namespace: str, name: str) -> tuple[Sequence[Mapping[str, str]], str]:
    """Return the last events on an object, the oldest first; the right to see them is not needed."""
    where = namespace if kind.namespaced else "default"
    params: dict[str, Any] = {"fieldSelector": f"regarding.name={name},regarding.kind={kind.name}"}
    try:
        body = await stage.session.get(f"/apis/events.k8s.io/v1/namespaces/{where}/events", params)
        found = msgspec.json.decode(body, type=_Events).items or []
    except (ApiError, msgspec.DecodeError) as error:
        return (), f"events are left out: {error}"
    told = sorted(found, key=_last)
    return [_shown(event) for event in told[-_EVENTS_SHOWN:]], ""


def _last(event: _Event) -> str:
    seen = (event.series.last_observed_time if event.series else "") or event.event_time
    return seen or event.deprecated_last_timestamp or ""


def _shown(event: _Event) -> Mapping[str, str]:
    count = str(event.series.count if event.series else 1)
    fields = {"type": event.type, "reason": event.reason, "count": count, "message": event.note}
    return {"last": _last(event), **fields}
