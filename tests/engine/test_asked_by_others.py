"""Pods that others ask for: Services by their slices, RegistryServices by selectors, namespaces by default."""

from dataclasses import replace
from typing import Any

from kube_registrar.model import attributes as keys
from kube_registrar.model.records import (
    CustomObject,
    Endpoint,
    KubeNamespace,
    KubeService,
    Node,
    Pod,
    ServicePort,
    Slice,
)
from kube_registrar.model.refs import Uid
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground

SERVICE = KubeService(
    "default",
    "web",
    Uid("uid-web"),
    annotations={"service": "test-namespace/flask-app", "attributes": "tier=front"},
    selector={"app": "flask"},
    ports=(ServicePort("http", 80),),
    cluster_ips=("10.96.0.1",),
)


def bare(number: int = 0, **changes: Any) -> Pod:
    """Return a pod without annotations, with labels."""
    fields: dict[str, Any] = {"annotations": {}, "labels": {"app": "flask"}, "ips": (f"10.0.0.{number + 1}",)}
    return builders.pod(f"flask-app-{number}", **(fields | changes))


def slice_of(*pods: Pod, name: str = "web-1", **changes: Any) -> Slice:
    """Return a slice that names these pods."""
    endpoints = tuple(Endpoint(pod.ips, pod=pod.name, pod_uid=pod.uid) for pod in pods)
    found = Slice("default", name, Uid(f"uid-{name}"), "web", endpoints, (("http", 8080),))
    return replace(found, **changes)


def selecting(object_name: str = "flask-app", **spec: Any) -> CustomObject:
    """Return a RegistryService that selects."""
    fields = {"namespaceRef": {"name": "default-test-namespace"}, "name": "flask-app", **spec}
    return CustomObject("RegistryService", "default", object_name, builders.uid_of(f"svc-{object_name}"), 1, fields)


BY_LABEL: dict[str, Any] = {"selector": {"matchLabels": {"app": "flask"}}}


async def test_an_annotated_service_registers_the_pods_of_all_its_slices(ground: Ground) -> None:
    pods = [bare(0), bare(1)]
    for number, pod in enumerate(pods):
        ground.cluster.apply(pod)
        ground.cluster.apply_slice(slice_of(pod, name=f"web-{number}"))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    found = ground.instance("flask-app-0").attributes
    assert (found[keys.PORT], found["tier"], found[keys.POD]) == ("8080", "front", "flask-app-0")


async def test_a_service_that_comes_later_has_its_pods_and_slices_read(ground: Ground) -> None:
    pod = bare()
    ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pod))
    await ground.start()
    assert ground.engine.wanted.pods == {}
    ground.cluster.apply_service(SERVICE)
    await ground.advance(1.0)
    assert ground.names() == ["flask-app-0"]


async def test_one_slice_deleted_of_many_takes_nothing_that_the_selector_matches(ground: Ground) -> None:
    pods = [bare(number) for number in range(3)]
    for number, pod in enumerate(pods):
        ground.cluster.apply(pod)
        ground.cluster.apply_slice(slice_of(pod, name=f"web-{number}"))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    ground.cluster.delete_slice("web-1")
    await ground.advance(30.0)
    assert ground.names() == ["flask-app-0", "flask-app-1", "flask-app-2"]
    assert ground.deregistered() == []


async def test_a_pod_behind_a_service_leaves_when_it_is_not_ready_and_when_it_ends(ground: Ground) -> None:
    pods = [bare(0), bare(1)]
    for pod in pods:
        ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(*pods))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    ground.cluster.edit("flask-app-0", ready=False)
    ground.cluster.edit("flask-app-1", terminating=True)
    await ground.settle()
    assert ground.names() == []


async def test_a_service_that_is_deleted_or_asks_no_longer_takes_its_pods_out(ground: Ground) -> None:
    for number in (0, 1):
        pod = bare(number)
        ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(bare(0), bare(1)))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    assert len(ground.names()) == 2
    ground.cluster.apply_service(replace(SERVICE, annotations={}))
    await ground.advance(20.0)
    assert ground.names() == []
    assert ground.engine.wanted.pods == {}
    ground.cluster.apply_service(SERVICE)
    await ground.advance(2.0)
    assert len(ground.names()) == 2
    ground.cluster.delete_service("web")
    await ground.advance(20.0)
    assert ground.names() == []


async def test_a_selector_needs_no_annotation(ground: Ground) -> None:
    ground.cluster.apply(bare())
    ground.cluster.apply(bare(1, labels={"app": "other"}))
    ground.cluster.apply_object(selecting(**BY_LABEL, attributes={"stage": "dev"}, attributesFromLabels={"app": "app"}))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    found = ground.instance("flask-app-0").attributes
    assert (found["stage"], found["app"], found[keys.USER_KEYS]) == ("dev", "flask", "stage,app")


async def test_a_selector_that_comes_later_has_its_pods_read(ground: Ground) -> None:
    for number in range(20):
        ground.cluster.apply(bare(number))
    await ground.start()
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.advance(1.0)
    assert len(ground.names()) == 20


async def test_a_selector_that_changes_removes_nothing_before_the_others_are_read(ground: Ground) -> None:
    ground.cluster.apply(bare(0))
    ground.cluster.apply(bare(1, labels={"app": "next"}))
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    ground.cluster.apply_object(selecting(selector={"matchLabels": {"app": "next"}}))
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    await ground.advance(20.0)
    assert ground.names() == ["flask-app-1"]
    assert ground.registry.history[1].instance.startswith("flask-app-1")


async def test_while_what_is_newly_selected_cannot_be_read_nothing_leaves_for_want_of_a_wish(ground: Ground) -> None:
    ground.cluster.apply(bare(0))
    ground.cluster.apply(bare(1, labels={"app": "next"}))
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.start()
    ground.cluster.lookup_error = RuntimeError("503")
    ground.cluster.apply_object(selecting(selector={"matchLabels": {"app": "next"}}))
    await ground.advance(600.0)
    assert ground.names() == ["flask-app-0"]
    ground.cluster.lookup_error = None
    await ground.advance(45.0)
    assert ground.names() == ["flask-app-1"]


async def test_one_pod_asked_for_three_times_is_one_instance(ground: Ground) -> None:
    pod = bare(0, annotations={"service": "test-namespace/flask-app", "port": "8080", "attributes": "tier=pod,a=1"})
    ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pod))
    ground.cluster.apply_service(SERVICE)
    ground.cluster.apply_object(selecting(**BY_LABEL, attributes={"tier": "kind", "a": "kind", "b": "kind"}))
    ground.cluster.namespaces = [KubeNamespace("default", Uid("kube-default"), {}, {"attributes": "b=ns,c=ns"})]
    await ground.start()
    [found] = ground.own()
    assert {key: found.attributes[key] for key in ("tier", "a", "b", "c")} == {
        "tier": "pod", "a": "1", "b": "kind", "c": "ns",
    }  # fmt: skip


async def test_a_namespace_may_ask_for_its_pods_and_each_may_decline(ground: Ground) -> None:
    defaults = {"service": "test-namespace/flask-app", "port": "http"}
    ground.cluster.namespaces = [KubeNamespace("default", Uid("kube-default"), {}, defaults)]
    ground.cluster.apply(bare(0))
    ground.cluster.apply(bare(1, annotations={"register": "false"}))
    ground.cluster.apply(bare(2, annotations={"service": "test-namespace/other"}))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    ground.cluster.edit("flask-app-0", annotations={"register": "false"})
    await ground.settle()
    assert ground.names() == []


async def test_a_wrong_service_annotation_is_told_on_the_service_and_holds_its_pods(ground: Ground) -> None:
    pod = bare()
    ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pod))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    ground.cluster.apply_service(replace(SERVICE, annotations={"service": "///"}))
    await ground.advance(600.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.reasons("web") == ["MalformedAnnotation"]
    assert "MalformedAnnotation" not in ground.reasons("flask-app-0")
    ground.cluster.edit("flask-app-0", terminating=True)
    await ground.settle()
    assert ground.names() == []


async def test_zones_come_from_the_node_where_the_pod_has_no_labels_for_them(ground: Ground) -> None:
    zone = {"topology.kubernetes.io/zone": "eu-west-1a"}
    ground.cluster.apply(builders.pod())
    ground.cluster.apply_node(Node("node-1", Uid("uid-node"), zone))
    await ground.start()
    assert ground.instance("flask-app-0").attributes[keys.AVAILABILITY_ZONE] == "eu-west-1a"
    ground.cluster.apply_node(Node("node-1", Uid("uid-node"), {"topology.kubernetes.io/zone": "eu-west-1b"}))
    await ground.settle()
    assert ground.instance("flask-app-0").attributes[keys.AVAILABILITY_ZONE] == "eu-west-1b"


async def test_a_pod_that_is_not_ready_is_marked_where_that_is_asked_for(ground: Ground) -> None:
    checked = builders.service_spec("test-namespace/checked", custom_health=True)
    ground.registry.add(checked)
    ground.cluster.apply_object(
        selecting("checked", **BY_LABEL, name="checked", healthCheck={"type": "Custom"}, notReadyPolicy="MarkUnhealthy")
    )
    ground.cluster.apply(bare(0, ready=False))
    ground.cluster.apply(bare(1))
    await ground.start()
    assert ground.names(checked.ref) == ["flask-app-1"], "one that was never ready is not made"
    ground.cluster.edit("flask-app-1", ready=False)
    await ground.settle()
    assert ground.instance("flask-app-1", checked.ref).health.value == "UNHEALTHY"
    await ground.restart()
    assert ground.names(checked.ref) == ["flask-app-1"]
    ground.cluster.edit("flask-app-1", ready=True)
    await ground.settle()
    assert ground.instance("flask-app-1", checked.ref).health.value == "HEALTHY"
    ground.cluster.edit("flask-app-1", terminating=True)
    await ground.settle()
    assert ground.names(checked.ref) == []


async def test_a_pod_is_marked_that_becomes_unready_while_its_attributes_are_written_anew(ground: Ground) -> None:
    checked = builders.service_spec("test-namespace/checked", custom_health=True)
    ground.registry.add(checked)
    marking = {**BY_LABEL, "name": "checked", "healthCheck": {"type": "Custom"}, "notReadyPolicy": "MarkUnhealthy"}
    ground.cluster.apply_object(selecting("checked", **marking))
    ground.cluster.apply(bare())
    await ground.start()
    ground.cluster.edit("flask-app-0", ready=False, annotations={"attributes": "stage=dev"})
    await ground.advance(5.0)
    found = ground.instance("flask-app-0", checked.ref)
    assert (found.attributes["stage"], found.health.value) == ("dev", "UNHEALTHY")


def machines(*addresses: str, **changes: Any) -> Slice:
    """Return a hand-made slice of machines."""
    endpoints = tuple(Endpoint((address,)) for address in addresses)
    return Slice("default", "machines", Uid("uid-machines"), "web", endpoints, (("http", 5432),), **changes)


def allowing_machines(ground: Ground) -> None:
    """Let endpoints without pods into the registry namespace."""
    [thing] = ground.cluster.objects
    ground.cluster.apply_object(replace(thing, spec={**thing.spec, "allowEndpointsWithoutPods": True}))


async def test_machines_are_registered_once_it_is_known_that_no_pod_has_their_address(ground: Ground) -> None:
    allowing_machines(ground)
    ground.cluster.apply_service(replace(SERVICE, selector={}))
    ground.cluster.apply_slice(machines("192.0.2.1", "192.0.2.2"))
    ground.cluster.lookup_error = RuntimeError("503")
    await ground.start()
    assert ground.own() == []
    ground.cluster.lookup_error = None
    await ground.advance(60.0)
    assert sorted(each.attributes[keys.IPV4] for each in ground.own()) == ["192.0.2.1", "192.0.2.2"]
    assert {each.attributes[keys.SERVICE] for each in ground.own()} == {"web"}
    await ground.advance(1_300.0)
    assert len(ground.registry.history) == 2
    ground.cluster.apply_slice(machines("192.0.2.1"))
    await ground.settle()
    assert [each.attributes[keys.IPV4] for each in ground.own()] == ["192.0.2.1"]


async def test_the_address_of_somebody_elses_pod_is_never_registered(ground: Ground) -> None:
    allowing_machines(ground)
    ground.cluster.apply(bare(7, namespace="victim", ips=("10.0.0.66",)))
    ground.cluster.apply_service(replace(SERVICE, selector={}))
    ground.cluster.apply_slice(machines("10.0.0.66", "192.0.2.1"))
    await ground.start()
    await ground.advance(5.0)
    assert [each.attributes[keys.IPV4] for each in ground.own()] == ["192.0.2.1"]
    assert len(ground.reasons("web")) >= 1


async def test_a_machine_whose_service_is_deleted_goes_and_so_after_a_restart(ground: Ground) -> None:
    allowing_machines(ground)
    for restarts in (False, True):
        ground.cluster.apply_service(replace(SERVICE, selector={}))
        ground.cluster.apply_slice(machines("192.0.2.1"))
        if not ground.starts > 1:
            await ground.start()
        await ground.advance(5.0)
        assert len(ground.own()) == 1
        if restarts:
            await ground.stop()
            del ground.cluster.services["default", "web"], ground.cluster.slices["default", "machines"]
            await ground.start()
        else:
            ground.cluster.delete_slice("machines")
            ground.cluster.delete_service("web")
        await ground.advance(90.0)
        assert ground.own() == []


async def test_a_service_may_publish_itself(ground: Ground) -> None:
    ground.cluster.apply_service(replace(SERVICE, annotations={**SERVICE.annotations, "publish": "ClusterIP"}))
    await ground.start()
    [found] = ground.own()
    assert (found.attributes[keys.IPV4], found.attributes[keys.PORT]) == ("10.96.0.1", "80")
    ground.cluster.apply_service(replace(SERVICE, annotations={"register": "false"}))
    await ground.settle()
    assert ground.own() == []


async def test_wrong_defaults_are_told_on_the_namespace_and_change_nothing(ground: Ground) -> None:
    good = KubeNamespace("default", Uid("kube-default"), {}, {"attributes": "stage=dev"})
    ground.cluster.namespaces = [good]
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    before = ground.registry.held(FLASK)
    ground.engine.intake.namespace_applied(replace(good, annotations={"attributes": "stage"}))
    await ground.advance(900.0)
    assert ground.registry.held(FLASK) == before
    assert [(each.object, each.reason) for each in ground.notebook.events if each.type == "Warning"] == [
        ("default", "MalformedAnnotation")
    ]
    ground.cluster.edit("flask-app-1", ready=False)
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    ground.engine.intake.namespace_applied(replace(good, annotations={"attributes": "stage=prod"}))
    await ground.settle()
    assert ground.instance("flask-app-0").attributes["stage"] == "prod"


async def test_what_was_approved_stays_if_it_is_asked_for_again_by_then(ground: Ground) -> None:
    for number in range(20):
        ground.cluster.apply(bare(number))
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.start()
    ground.cluster.apply_object(selecting(selector={"matchLabels": {"app": "mistyped"}}))
    await ground.advance(10.0)
    [sync] = ground.engine._syncs.values()
    held = frozenset((each.service, each.instance_id) for each in sync.brake.held())
    assert len(held) == 20
    ground.cluster.apply_object(selecting(**BY_LABEL))
    ground.engine._leading.enqueue(sync.brake.approve(held))
    await ground.advance(60.0)
    assert len(ground.names()) == 20
    assert ground.deregistered() == []


async def test_an_address_that_changes_while_a_status_is_on_its_way_is_registered(ground: Ground) -> None:
    checked = builders.service_spec("test-namespace/checked", custom_health=True)
    ground.registry.add(checked)
    ground.cluster.apply_object(
        selecting("checked", **BY_LABEL, name="checked", healthCheck={"type": "Custom"}, notReadyPolicy="MarkUnhealthy")
    )
    ground.cluster.apply(bare(0))
    await ground.start()
    ground.registry.faults.delay(Op.SET_HEALTH, 5.0)
    ground.cluster.edit("flask-app-0", ready=False)
    await ground.advance(1.0)
    ground.cluster.edit("flask-app-0", ips=("10.0.0.99",))
    await ground.advance(30.0)
    assert ground.instance("flask-app-0", checked.ref).attributes[keys.IPV4] == "10.0.0.99"
