"""The gates of our own kinds, and of Services."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kube_registrar.declared.annotations import Publish
from kube_registrar.declared.problems import AnnotationError
from kube_registrar.explaining.instances import Seen, instance_steps
from kube_registrar.explaining.steps import Explanation, State, Step, of_problem
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import NOT_READY, REGISTRY_UNAVAILABLE, Problem
from kube_registrar.model.records import CustomObject, KubeService
from kube_registrar.model.refs import RegistryName, ServiceRef
from kube_registrar.sources.resolving import Unresolved, resolve
from kube_registrar.sources.services import ServiceItem, asks_of, service_port
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World

_MOST_INSTANCES = 50
"""A Service may have thousands of machines; the first ones are shown."""
_PASSING = {NOT_READY.name, REGISTRY_UNAVAILABLE.name}
_TOLD_HERE = {"Ready", "Synced"}
_RUNS = "See that kube-registrar run is running, and leads: its log says so"


def explain_object(
    thing: CustomObject,
    verdict: Problem,
    *,
    is_ready: bool,
    differs: Problem | None,
    parts: Sequence[Explanation] = (),
) -> Explanation:
    """Return how a RegistryNamespace or RegistryService stands.

    `verdict`: what its handler finds, in the words of its condition; `differs`: where it is used though it is not as
    the object says. `parts`: the pods that it selects, explained.
    """
    name = f"{thing.kind} {thing.namespace}/{thing.name}" if thing.namespace else f"{thing.kind} {thing.name}"
    steps = [Step("exists", State.OK, "the object is there")]
    if thing.terminating:
        steps.append(Step("not terminating", State.FAILS, "the object is being deleted", "See its events"))
    if is_ready:
        steps.append(Step("in the registry", State.OK, verdict.message))
    else:
        state = State.WAITS if verdict.reason in _PASSING else State.FAILS
        steps.append(Step("in the registry", state, verdict.message))
    if differs:
        steps.append(Step("settings", State.NOTE, differs.message))
    steps += _conditions(thing)
    if thing.kind == "RegistryService" and "selector" in thing.spec:
        steps.append(_selected(len(parts)))
    return Explanation(name, steps, parts)


def _conditions(thing: CustomObject) -> Iterator[Step]:
    found: Any = thing.status.get("conditions") or ()
    conditions: Sequence[Mapping[str, Any]] = found
    ready = next((one for one in conditions if one.get("type") == "Ready"), None)
    if ready is None:
        yield Step("status", State.WAITS, "the operator has not looked at it yet", _RUNS)
    elif ready.get("observedGeneration", thing.generation) != thing.generation:
        yield Step("status", State.WAITS, "the operator has not looked at its last change yet", _RUNS)
    else:
        state = State.OK if ready.get("status") == "True" else State.WAITS
        yield Step("status", state, f"condition Ready is {ready.get('status')}: {ready.get('message')}")
    for one in conditions:
        if one.get("type") not in _TOLD_HERE:
            yield Step(
                "status", State.NOTE, f"condition {one.get('type')} is {one.get('status')}: {one.get('message')}"
            )
    counts: Any = thing.status.get("instances")
    if isinstance(counts, dict):
        wanted, registered, held = (counts.get(key, 0) for key in ("wanted", "registered", "held"))
        state = State.OK if wanted == registered else State.WAITS
        yield Step("instances", state, f"{registered} of {wanted} that are wanted are registered, {held} are held")


def _selected(count: int) -> Step:
    if count:
        return Step("selector", State.OK, f"it selects {count} pods")
    return Step("selector", State.NOTE, "it selects no pod of its Kubernetes namespace", "Correct spec.selector")


def explain_service(
    service: KubeService,
    world: World,
    wish: Wish,
    *,
    seen: Mapping[ServiceRef, Seen],
    policies: Mapping[RegistryName, Policy],
    parts: Sequence[Explanation] = (),
) -> Explanation:
    """Return how a Service stands: what it asks for, and what stands for itself or for machines.

    `wish`: what it wants beside its pods; `parts`: the pods behind its endpoints, explained.
    """
    asks = asks_of(service, world)
    steps = [Step("exists", State.OK, f"the Service is there, of type {service.type}")]
    if service.terminating:
        steps.append(Step("not terminating", State.FAILS, "the Service is being deleted"))
    if asks.reading.register is False:
        message = "the annotation register says that it is not to be registered"
        steps.append(Step("asked for", State.FAILS, message, "Remove kube-registrar.dev/register, or set it to true"))
    elif not asks.items and not asks.problems:
        step = "Annotate it with kube-registrar.dev/service, or name it in spec.serviceRef of a RegistryService"
        steps.append(Step("asked for", State.FAILS, "nothing asks for it", step))
    elif asks.items:
        sources = dict.fromkeys("its own annotations" if one.is_annotated else one.source for one in asks.items)
        steps.append(Step("asked for", State.OK, f"asked for by {', '.join(sources)}"))
    told = dict.fromkeys((*asks.problems, *wish.problems))
    steps += [of_problem("annotations", problem) for problem in told]
    for item in asks.items:
        steps += [step for step in _item(service, item, world) if step.message not in {each.message for each in told}]
    if asks.items and asks.publish is Publish.ENDPOINTS:
        steps.append(_endpoints(service, len(parts), world))
    if asks.items:
        steps += _published(wish)
    for registration in wish.registrations[:_MOST_INSTANCES]:
        service_seen = seen.get(registration.service, Seen(error="it was not looked at"))
        policy = policies.get(registration.service.namespace.registry, Policy.SYNC)
        steps += instance_steps(
            registration, service_seen, policy, cluster=(world.cluster_uid, world.cluster_name), is_wanted=True
        )
    return Explanation(f"Service {service.namespace}/{service.name}", steps, parts)


def _item(service: KubeService, item: ServiceItem, world: World) -> Iterator[Step]:
    text = item.item.reference.text
    try:
        target = resolve(item.item.reference, service.namespace, world)
    except Unresolved as error:
        if error.problem:
            yield of_problem("reference", error.problem, about=text)
        else:
            yield Step("reference", State.WAITS, error.why, "It goes on by itself", text)
        return
    about = str(target.service.ref)
    yield Step("reference", State.OK, f"{text} of {item.source} means registry service {about}", about=about)
    try:
        port = service_port(service, item)
    except AnnotationError as error:
        yield of_problem("port", error.problem, about=about)
    else:
        yield Step("port", State.OK, f"port {port.name or port.number}" if port else "no port", about=about)


def _published(wish: Wish) -> Iterator[Step]:
    """Yield why what the Service publishes is not registered, or not all of it."""
    if wish.absent_because:
        stays = "Until that is known, what is registered stays as it is"
        yield Step("published", State.WAITS, wish.absent_because, stays if wish.held else "It goes on by itself")
    elif wish.missing_ids:
        there, missing = len(wish.registrations), len(wish.missing_ids)
        message = f"{there} of what it publishes can be registered, {missing} more cannot now"
        yield Step("published", State.NOTE, f"{message}: not ready, ending or excluded")


def _endpoints(service: KubeService, pods: int, world: World) -> Step:
    slices = world.endpoints.slices_of(service.key)
    count = sum(len(one.endpoints) for one in slices)
    message = f"{count} endpoints in {len(slices)} EndpointSlices, for {pods} pods"
    if count:
        return Step("endpoints", State.OK, message)
    return Step("endpoints", State.WAITS, message, "See that its selector matches pods: kubectl get endpointslices")
