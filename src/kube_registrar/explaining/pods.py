"""Every gate between a pod's annotation and its confirmed instance, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.declared.templates import PodField, fill
from kube_registrar.explaining.instances import Seen, instance_steps
from kube_registrar.explaining.steps import Explanation, State, Step, of_problem
from kube_registrar.model import attributes as keys
from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import UNKNOWN_ANNOTATION, Problem
from kube_registrar.model.records import GATE, Pod
from kube_registrar.model.refs import RegistryName, ServiceRef, Uid
from kube_registrar.sources.asked import OWN, Taken
from kube_registrar.sources.offers import Layer, Unread
from kube_registrar.sources.pods import Judged, Trace

ASK = "Annotate the pod template with kube-registrar.dev/service, or let a RegistryService select the pod"
_LAYERS = {
    Layer.NAMESPACE: "Kubernetes namespace",
    Layer.REGISTRY_SERVICE: "RegistryService",
    Layer.SERVICE: "Service",
    Layer.POD: "pod",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known besides the pod: what its registries hold, and how far one may go in them."""

    trace: Trace
    seen: Mapping[ServiceRef, Seen] = field(default_factory=dict)
    policies: Mapping[RegistryName, Policy] = field(default_factory=dict)
    watched: Sequence[str] = ()
    """The Kubernetes namespaces that the settings watch; none: all."""


def explain_pod(pod: Pod, around: Surroundings) -> Explanation:
    """Return how a pod stands at every gate up to its instances."""
    trace = around.trace
    steps = [_exists(pod), *_watched(pod, around.watched), _asked(pod, trace)]
    if steps[-1].state is State.OK:
        steps += _annotations(trace)
        steps += [step for taken in trace.taken for step in _reference(taken)]
        steps += [step for judged in trace.judged for step in _fit(pod, judged)]
        steps += [_address(pod), _ready(pod, trace), _living(pod)]
        for judged in trace.judged:
            if judged.registration is not None:
                steps += _instance(pod, judged, around)
        steps += _gate(pod)
    return Explanation(f"Pod {pod.namespace}/{pod.name}", steps)


def _exists(pod: Pod) -> Step:
    where = f" on node {pod.node}" if pod.node else ", and no node has it yet"
    return Step("exists", State.OK, f"the pod is there: {pod.phase}{where}")


def _watched(pod: Pod, watched: Sequence[str]) -> Iterator[Step]:
    if watched and pod.namespace not in watched:
        message = f"Kubernetes namespace {pod.namespace!r} is not watched; watched are {', '.join(watched)}"
        yield Step("watched", State.FAILS, message, "Add it to watchNamespaces of the operator's settings")


def _asked(pod: Pod, trace: Trace) -> Step:
    if trace.opted_out:
        message = "the annotation register says that it is not to be registered"
        return Step("asked for", State.FAILS, message, "Remove kube-registrar.dev/register, or set it to true")
    sources = list(dict.fromkeys(_source(pod, trace, taken) for taken in trace.taken))
    if trace.own.asks and not sources:
        sources.append("its own annotations")
    sources += [each.why for each in trace.offers if isinstance(each, Unread)]
    if not sources and trace.defaults.asks:
        sources.append(f"the annotations of Kubernetes namespace {pod.namespace}")
    if not sources:
        told = [*trace.own.problems, *trace.own.lonely]
        message = "; ".join(problem.message for problem in told) or "nothing asks for it"
        return Step("asked for", State.FAILS, message, ASK if not told else "")
    return Step("asked for", State.OK, f"asked for by {', '.join(sources)}")


def _source(pod: Pod, trace: Trace, taken: Taken) -> str:
    if taken.source != OWN:
        return taken.source
    return "its own annotations" if trace.own.asks else f"the annotations of Kubernetes namespace {pod.namespace}"


def _annotations(trace: Trace) -> Iterator[Step]:
    problems = (*trace.own.problems, *(() if trace.own.asks else trace.defaults.problems))
    wrong = [problem for problem in problems if not _is_ignored(problem)]
    yield from (Step("annotations", State.NOTE, problem.message) for problem in problems if _is_ignored(problem))
    yield from (of_problem("annotations", problem) for problem in wrong)
    if not wrong:
        yield Step("annotations", State.OK, "all that is written can be read")


def _is_ignored(problem: Problem) -> bool:
    """Whether it is told, and nothing is held for it."""
    return problem.reason == UNKNOWN_ANNOTATION.name


def _reference(taken: Taken) -> Iterator[Step]:
    """Yield what a reference means, and which port is taken for it."""
    about = str(taken.target.service.ref) if taken.target else taken.text
    if taken.target is None:
        if taken.problem:
            yield of_problem("reference", taken.problem, about=about)
        else:
            yield Step("reference", State.WAITS, taken.why, "It goes on by itself", about)
        return
    yield Step("reference", State.OK, f"{taken.text} of {taken.source} means registry service {about}", about=about)
    if taken.problem:
        yield of_problem("port", taken.problem, about=about)
    elif taken.why:
        yield Step("port", State.WAITS, taken.why, "It goes on by itself", about)
    elif taken.port is None:
        yield Step("port", State.OK, "no port is registered", about=about)
    else:
        yield Step("port", State.OK, f"port {taken.port}", about=about)


def _fit(pod: Pod, judged: Judged) -> Iterator[Step]:
    """Yield the attributes with whose they are, or why the pod does not fit in."""
    about = str(judged.asked.target.service.ref)
    if judged.problem:
        is_address = judged.problem.reason == "MissingAddress"
        yield of_problem("address" if is_address else "attributes", judged.problem, about=about)
        return
    if judged.why_held:
        step = "Correct it; until then what is registered stays as it is"
        yield Step("attributes", State.FAILS, judged.why_held, step, about)
        return
    won: dict[str, tuple[str, str]] = {}
    lost: dict[str, list[str]] = {}
    missing = []
    for layer, _, written in judged.asked.layered:
        for key, template in written.items():
            value = fill(template, pod)
            if key in won:
                lost.setdefault(key, []).append(f"{won[key][1]}'s {won[key][0]!r}")
            shown = f"(label {value.label} is missing)" if isinstance(value, PodField) else value
            won[key] = (shown, _LAYERS[layer])
            if isinstance(value, PodField):
                missing.append(f"{key}: the pod has no label {value.label}")
    told = [f"{key}={value} ({whose}{_over(lost.get(key))})" for key, (value, whose) in won.items()]
    yield Step("attributes", State.OK, ", ".join(told) or "none but the standard ones", about=about)
    if missing:
        yield Step("attributes", State.NOTE, f"left out: {'; '.join(missing)}", "Set the label, or correct it", about)


def _over(lost: Sequence[str] | None) -> str:
    return f", over {' and '.join(lost)}" if lost else ""


def _address(pod: Pod) -> Step:
    if not pod.ips:
        return Step("address", State.WAITS, "the pod has no address yet", "It gets one when a node runs it")
    return Step("address", State.OK, ", ".join(pod.ips))


def _ready(pod: Pod, trace: Trace) -> Step:
    what = "its ContainersReady holds (it lists our readiness gate)" if pod.gated else "it is Ready"
    if pod.ready:
        return Step("ready", State.OK, what)
    if any(judged.asked.counts_unready for judged in trace.judged):
        return Step("ready", State.NOTE, "the pod is not ready, and a Service publishes it all the same")
    needed = "ContainersReady" if pod.gated else "Ready"
    step = f"Look at its containers and probes: kubectl describe pod {pod.name} -n {pod.namespace}"
    return Step("ready", State.WAITS, f"the pod is not ready: its condition {needed} is not True", step)


def _living(pod: Pod) -> Step:
    if pod.terminating:
        return Step("not terminating", State.FAILS, "the pod is terminating", "Look at the pod that replaces it")
    if pod.is_terminal:
        message = f"the pod has {pod.phase.lower()}"
        return Step("not terminating", State.FAILS, message, "Look at the pod that replaces it")
    return Step("not terminating", State.OK, "the pod lives")


def _instance(pod: Pod, judged: Judged, around: Surroundings) -> Iterator[Step]:
    registration = judged.registration
    if registration is None:
        return
    service = registration.service
    seen = around.seen.get(service, Seen(error="it was not looked at"))
    policy = around.policies.get(service.namespace.registry, Policy.SYNC)
    is_wanted = (pod.ready or judged.asked.counts_unready) and not pod.terminating and not pod.is_terminal
    ours = registration.instance.attributes
    cluster = (Uid(ours.get(keys.CLUSTER_UID, "")), ours.get(keys.CLUSTER, ""))
    yield from instance_steps(registration, seen, policy, cluster=cluster, is_wanted=is_wanted)


def _gate(pod: Pod) -> Iterator[Step]:
    if pod.gated:
        is_open = pod.gate == "True"
        message = f"the condition {GATE} is {pod.gate or 'not set'}"
        after = "It opens when all that the pod asks for is confirmed"
        yield Step("readiness gate", State.OK if is_open else State.WAITS, message, "" if is_open else after)
