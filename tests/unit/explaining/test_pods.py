"""A pod at every gate: where it stops, and in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.declared.specs import AllowedFrom, AllowedNamespaces
from kube_registrar.explaining.instances import Seen
from kube_registrar.explaining.pods import Surroundings, explain_pod
from kube_registrar.explaining.steps import Explanation, State, Step
from kube_registrar.model import attributes as keys
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import KubeNamespace, Pod
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, ServiceRef
from kube_registrar.model.specs import NamespaceType
from kube_registrar.sources.pods import trace_of, wish_of
from kube_registrar.sources.world import DeclaredNamespace, World
from kube_registrar.sync.catalog import Catalog
from kube_registrar.testing import builders

SERVICE = builders.service_ref()


def world(*, custom_health: bool = False, defaults: Mapping[str, str] | None = None) -> World:
    """Return a world with one registry namespace for all, one service in it, and defaults of Kubernetes namespace."""
    namespace, service = builders.namespace_spec(), builders.service_spec(custom_health=custom_health)
    declared = DeclaredNamespace(
        "test-namespace", namespace.ref, NamespaceType.HTTP, AllowedNamespaces(AllowedFrom.ALL)
    )
    bare = World(
        builders.CLUSTER_UID,
        declared_namespaces={namespace.ref: [declared]},
        kube_namespaces={"default": {}},
        namespaces={namespace.ref: namespace},
        services={service.ref: service},
        listed=frozenset({namespace.ref}),
        listed_registries=frozenset({DEFAULT_REGISTRY}),
    )
    if defaults is None:
        return bare
    catalog = Catalog(bare)
    catalog.put_kube_namespace(KubeNamespace("default", builders.uid_of("kube"), {}, defaults))
    return replace(bare, defaults=catalog.world.defaults)


def wanted(pod: Pod, world: World) -> Instance:
    [registration] = wish_of(replace(pod, ready=True), world).registrations
    return registration.instance


def seen(*instances: Instance, discovered: bool = True) -> Mapping[ServiceRef, Seen]:
    held = {each.id: each for each in instances}
    return {SERVICE: Seen(held, frozenset(held) if discovered else frozenset())}


def explain(pod: Pod, here: World, found: Mapping[ServiceRef, Seen] | None = None, **more: Any) -> Explanation:
    return explain_pod(pod, Surroundings(trace_of(pod, here), found or {}, **more))


def stop(explanation: Explanation) -> Step:
    step = explanation.stopped_at
    assert step is not None
    return step


def states(explanation: Explanation) -> Sequence[tuple[str, State]]:
    return [(step.name, step.state) for step in explanation.steps]


def test_a_pod_that_is_registered_as_wanted_passes_every_gate_in_order() -> None:
    pod, here = builders.pod(), world()
    found = explain(pod, here, seen(wanted(pod, here)))
    assert found.stopped_at is None
    assert [name for name, _ in states(found)] == [
        "exists", "asked for", "annotations", "reference", "port", "attributes", "address", "ready", "not terminating",
        "registry", "instance", "discoverable",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "gate", "state", "words"),
    [
        ({"annotations": {}}, "asked for", State.FAILS, "nothing asks for it"),
        ({"annotations": {"servce": "x"}}, "asked for", State.FAILS, "Did you mean kube-registrar.dev/service?"),
        (
            {"annotations": {"service": "test-namespace/flask-app", "register": "false"}},
            "asked for",
            State.FAILS,
            "the annotation register says",
        ),
        (
            {"annotations": {"service": "test-namespace/flask-app", "attributes": '{"a"'}},
            "annotations",
            State.FAILS,
            "annotation kube-registrar.dev/attributes",
        ),
        (
            {"annotations": {"service": "test-namespace/nope"}},
            "reference",
            State.FAILS,
            "has no service 'nope'. Create a RegistryService",
        ),
        ({"annotations": {"service": "flask"}}, "reference", State.FAILS, "has no RegistryService of that name"),
        (
            {"annotations": {"service": "test-namespace/flask-app", "port": "htpp"}},
            "port",
            State.FAILS,
            "annotation kube-registrar.dev/port is 'htpp'",
        ),
        ({"ips": (), "ready": False}, "address", State.WAITS, "the pod has no address yet"),
        ({"ready": False}, "ready", State.WAITS, "its condition Ready is not True"),
        ({"ready": False, "gated": True}, "ready", State.WAITS, "its condition ContainersReady is not True"),
        ({"terminating": True}, "not terminating", State.FAILS, "the pod is terminating"),
        ({"phase": "Failed", "ready": True}, "not terminating", State.FAILS, "the pod has failed"),
    ],
)
def test_a_pod_stops_at_the_first_gate_that_it_does_not_pass(
    change: Mapping[str, Any], gate: str, state: State, words: str
) -> None:
    step = stop(explain(builders.pod(**change), world(), seen()))
    assert (step.name, step.state) == (gate, state)
    assert words in step.message


@pytest.mark.parametrize("annotations", [{"service": "test-namespace/nope"}, {"port": "x"}, {"attributes": "a"}])
def test_what_is_wrong_is_told_in_the_words_of_its_event(annotations: Mapping[str, str]) -> None:
    pod = builders.pod(annotations={"service": "test-namespace/flask-app", "port": "http", **annotations})
    problems = [problem.message for problem in wish_of(pod, world()).problems]
    told = [step.message for step in explain(pod, world(), seen()).steps if step.state is State.FAILS]
    assert told[: len(problems)] == problems


def test_a_namespace_that_is_not_watched_is_the_first_gate() -> None:
    step = stop(explain(builders.pod(), world(), watched=("shop",)))
    assert (step.name, step.message) == ("watched", "Kubernetes namespace 'default' is not watched; watched are shop")


def test_an_annotation_that_nothing_reads_is_a_note_and_stops_nobody() -> None:
    pod = builders.pod(annotations={"service": "test-namespace/flask-app", "port": "http", "prot": "1"})
    here = world()
    found = explain(pod, here, seen(wanted(pod, here)))
    assert found.stopped_at is None
    [note] = [step.message for step in found.steps if step.state is State.NOTE]
    assert "Did you mean kube-registrar.dev/port?" in note


def test_attributes_say_whose_they_are_and_name_the_losers() -> None:
    pod = builders.pod(
        annotations={"service": "test-namespace/flask-app", "port": "http", "attributes": "stage=dev"},
        labels={"app": "flask"},
    )
    here = world(defaults={"attributes": "stage=prod,team=a"})
    [step] = [step for step in explain(pod, here).steps if step.name == "attributes"]
    assert step.message == "stage=dev (pod, over Kubernetes namespace's 'prod'), team=a (Kubernetes namespace)"


def test_a_label_that_is_missing_is_a_note() -> None:
    pod = builders.pod(
        annotations={
            "service": "test-namespace/flask-app", "port": "http", "attributes": "v=$(metadata.labels['version'])",
        }
    )  # fmt: skip
    here = world()
    found = explain(pod, here, seen(wanted(pod, here)))
    assert found.stopped_at is None
    assert "left out: v: the pod has no label version" in [step.message for step in found.steps]


def test_the_defaults_of_a_namespace_are_named_as_who_asks() -> None:
    here = world(defaults={"service": "test-namespace/flask-app"})
    found = explain(builders.pod(annotations={}), here)
    assert found.steps[1].message == "asked for by the annotations of Kubernetes namespace default"


def test_a_registry_that_cannot_be_read_is_said() -> None:
    step = stop(explain(builders.pod(), world(), {SERVICE: Seen(error="no answer")}))
    assert (step.name, step.state) == ("registry", State.FAILS)
    assert "no answer" in step.message


def test_an_instance_that_is_missing_waits_for_the_operator() -> None:
    pod = builders.pod()
    step = stop(explain(pod, world(), seen()))
    assert (step.name, step.message) == ("instance", f"{wanted(pod, world()).id} is not there")


def test_an_instance_that_differs_says_in_which_keys() -> None:
    pod, here = builders.pod(), world()
    right = wanted(pod, here)
    wrong = replace(right, attributes={**right.attributes, keys.IPV4: "10.9.9.9"})
    step = stop(explain(pod, here, seen(wrong)))
    assert (step.name, step.message) == ("instance", f"{right.id} differs in {keys.IPV4}")


def test_one_of_which_clients_are_shown_something_else_is_said() -> None:
    pod, here = builders.pod(), world()
    right = wanted(pod, here)
    step = stop(explain(pod, here, seen(replace(right, is_whole=False))))
    assert (step.name, step.state) == ("instance", State.WAITS)
    assert (
        step.message
        == f"{right.id} is there, and what clients are shown of it, as in DNS, was changed by somebody else"
    )


def test_a_policy_that_withholds_it_is_said_in_the_words_of_its_event() -> None:
    pod, here = builders.pod(), world()
    step = stop(explain(pod, here, seen(), policies={DEFAULT_REGISTRY: Policy.OBSERVE}))
    assert step.state is State.FAILS
    assert step.message.startswith(f"Withheld the registration of {wanted(pod, here).id} in {SERVICE}: the policy of")


def test_an_instance_of_somebody_else_under_our_id_is_a_conflict() -> None:
    pod, here = builders.pod(), world()
    foreign = Instance(wanted(pod, here).id, {keys.IPV4: "10.9.9.9"})
    step = stop(explain(pod, here, seen(foreign)))
    assert (step.name, step.state) == ("instance", State.FAILS)
    assert "belongs to somebody else" in step.message


@pytest.mark.parametrize(("health", "stopped"), [(Health.HEALTHY, None), (Health.UNHEALTHY, "health")])
def test_the_health_of_an_instance_is_a_gate_where_it_is_ours(health: Health, stopped: str | None) -> None:
    pod, here = builders.pod(), world(custom_health=True)
    found = explain(pod, here, seen(replace(wanted(pod, here), health=health)))
    assert (found.stopped_at.name if found.stopped_at else None) == stopped
    assert "health" in [step.name for step in found.steps]


def test_an_instance_that_no_discovery_answers_is_not_through() -> None:
    pod, here = builders.pod(), world()
    assert stop(explain(pod, here, seen(wanted(pod, here), discovered=False))).name == "discoverable"


@pytest.mark.parametrize(("gate", "stopped"), [("True", None), ("", "readiness gate")])
def test_a_readiness_gate_is_the_last_one(gate: str, stopped: str | None) -> None:
    pod, here = builders.pod(gated=True, gate=gate), world()
    found = explain(pod, here, seen(wanted(pod, here)))
    assert found.steps[-1].name == "readiness gate"
    assert (found.stopped_at.name if found.stopped_at else None) == stopped


def test_an_instance_of_a_pod_that_is_not_ready_is_told_to_be_there_still() -> None:
    pod, here = builders.pod(), world()
    there = wanted(pod, here)
    found = explain(replace(pod, ready=False), here, seen(there))
    assert stop(found).name == "ready"
    assert found.steps[-1].message == f"{there.id} is still there"
    assert InstanceId(there.id) in found.steps[-1].message
