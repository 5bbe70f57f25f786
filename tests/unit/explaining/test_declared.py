"""Our own kinds and Services at their gates."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kube_registrar.explaining.declared import explain_object, explain_service
from kube_registrar.explaining.instances import Seen
from kube_registrar.explaining.steps import Explanation, State
from kube_registrar.model.reasons import CREATED, NAMESPACE_NOT_ALLOWED, NOT_READY, Problem, Reason
from kube_registrar.model.records import CustomObject, Endpoint, KubeService, ServicePort, Slice
from kube_registrar.sources.endpoints import EndpointIndex
from kube_registrar.sources.published import wish_of_service
from kube_registrar.sources.world import World
from kube_registrar.testing import builders
from tests.unit.explaining.test_pods import SERVICE, world

GOOD = Problem.of(CREATED, what="Registry service test-namespace/web", registry="default")


def thing(status: Mapping[str, object], **spec: object) -> CustomObject:
    return CustomObject("RegistryService", "default", "web", builders.uid_of("web"), 2, spec, status=status)


def ready(status: str = "True", generation: int = 2, **counts: int) -> Mapping[str, object]:
    condition = {"type": "Ready", "status": status, "message": "as it is", "observedGeneration": generation}
    return {"conditions": [condition], **({"instances": counts} if counts else {})}


def first_stop(found: Explanation) -> tuple[str, State] | None:
    return (found.stopped_at.name, found.stopped_at.state) if found.stopped_at else None


def test_an_object_that_is_in_the_registry_and_counted_passes() -> None:
    found = explain_object(thing(ready(wanted=2, registered=2, held=0)), GOOD, is_ready=True, differs=None)
    assert first_stop(found) is None
    assert GOOD.message in [step.message for step in found.steps]


@pytest.mark.parametrize(
    ("status", "stopped"),
    [
        ({}, ("status", State.WAITS)),
        (ready(generation=1), ("status", State.WAITS)),
        (ready(wanted=2, registered=1), ("instances", State.WAITS)),
    ],
)
def test_an_operator_that_lags_behind_is_waited_for(status: Mapping[str, object], stopped: tuple[str, State]) -> None:
    assert first_stop(explain_object(thing(status), GOOD, is_ready=True, differs=None)) == stopped


@pytest.mark.parametrize(("reason", "state"), [(NOT_READY, State.WAITS), (NAMESPACE_NOT_ALLOWED, State.FAILS)])
def test_what_its_handler_finds_is_told_in_its_words(reason: Reason, state: State) -> None:
    verdict = Problem(reason.name, "the sentence of the condition")
    found = explain_object(thing(ready("False")), verdict, is_ready=False, differs=None)
    assert first_stop(found) == ("in the registry", state)
    assert found.stopped_at is not None
    assert found.stopped_at.message == "the sentence of the condition"


def test_a_selector_that_selects_nothing_is_a_note() -> None:
    found = explain_object(thing(ready(), selector={}), GOOD, is_ready=True, differs=None)
    assert ("selector", State.NOTE) in [(step.name, step.state) for step in found.steps]


def service(**annotations: str) -> KubeService:
    ports = (ServicePort("http", 80),)
    uid = builders.uid_of("svc")
    return KubeService("default", "web", uid, annotations, ports=ports, cluster_ips=("10.96.0.1",))


def explain(found: KubeService, seen: Mapping[object, Seen] | None = None, here: World | None = None) -> Explanation:
    here = here or world()
    looked = {SERVICE: seen[SERVICE]} if seen else {}
    return explain_service(found, here, wish_of_service(found, here), seen=looked, policies={})


@pytest.mark.parametrize(
    ("annotations", "stopped"),
    [
        ({}, ("asked for", State.FAILS)),
        ({"service": "test-namespace/flask-app", "register": "false"}, ("asked for", State.FAILS)),
        ({"service": "test-namespace/flask-app"}, ("endpoints", State.WAITS)),
        ({"service": "test-namespace/flask-app", "port": "nope"}, ("annotations", State.FAILS)),
        ({"service": "test-namespace/flask-app", "publish": "ClusterIP"}, ("instance", State.WAITS)),
    ],
)
def test_a_service_stops_at_its_first_gate(annotations: dict[str, str], stopped: tuple[str, State]) -> None:
    assert first_stop(explain(service(**annotations), {SERVICE: Seen()})) == stopped


BALANCED = replace(
    service(service="test-namespace/flask-app", publish="LoadBalancer"),
    type="LoadBalancer",
    ports=(ServicePort("http", 80, node_port=30080),),
)
BY_NODE = replace(BALANCED, annotations={**BALANCED.annotations, "publish": "NodePort"}, type="NodePort")
MACHINES = service(service="test-namespace/flask-app")


def machines(*endpoints: Endpoint, checked: bool = True) -> World:
    """Return a world in which the Service has endpoints without pods, that may be registered."""
    here, index = world(), EndpointIndex()
    index.put_service(MACHINES)
    index.put_slice(Slice("default", "web-1", builders.uid_of("web-1"), "web", endpoints, (("http", 8080),)))
    declared = {
        ref: [replace(one, allows_machines=True) for one in found] for ref, found in here.declared_namespaces.items()
    }
    known = {address: "" for each in endpoints for address in each.addresses} if checked else {}
    return replace(here, endpoints=index, declared_namespaces=declared, pod_addresses=known)


@pytest.mark.parametrize(
    ("found", "here", "message", "next_step"),
    [
        (BALANCED, world(), "its load balancer has no address yet", "It goes on by itself"),
        (BY_NODE, world(), "no node has been read yet", "Until that is known, what is registered stays as it is"),
        (
            MACHINES,
            machines(Endpoint(("192.0.2.1",), ready=False), Endpoint(("192.0.2.2",), ready=False)),
            "nothing that it publishes can be registered now",
            "It goes on by itself",
        ),
        (
            MACHINES,
            machines(Endpoint(("192.0.2.1",)), checked=False),
            "it is not known yet whether pods have some of its addresses",
            "It goes on by itself",
        ),
    ],
    ids=["balancer", "nodes", "not ready", "not checked"],
)
def test_a_service_of_which_nothing_can_be_registered_stops_there(
    found: KubeService, here: World, message: str, next_step: str
) -> None:
    told = explain(found, {SERVICE: Seen()}, here)
    stopped = told.stopped_at
    assert stopped is not None
    assert (stopped.name, stopped.state) == ("published", State.WAITS)
    assert (stopped.message, stopped.next_step) == (message, next_step)


def test_some_machines_that_are_not_ready_are_a_note() -> None:
    here = machines(Endpoint(("192.0.2.1",)), Endpoint(("192.0.2.2",), ready=False))
    [registration] = wish_of_service(MACHINES, here).registrations
    held = {registration.instance.id: registration.instance}
    told = explain(MACHINES, {SERVICE: Seen(held, frozenset(held))}, here)
    assert first_stop(told) is None
    assert [step.message for step in told.steps if step.name == "published"] == [
        "1 of what it publishes can be registered, 1 more cannot now: not ready, ending or excluded"
    ]


def test_a_service_that_publishes_itself_is_followed_to_its_instance() -> None:
    found, here = service(service="test-namespace/flask-app", publish="ClusterIP"), world()
    [registration] = wish_of_service(found, here).registrations
    held = {registration.instance.id: registration.instance}
    told = explain(found, {SERVICE: Seen(held, frozenset(held))})
    assert first_stop(told) is None
    assert [step.name for step in told.steps][-3:] == ["registry", "instance", "discoverable"]
