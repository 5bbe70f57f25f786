"""What other controllers of this kind got wrong, or test themselves for; docs/peer-scenarios.md has the list."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.records import KubeService, Pod, Slice
from kube_registrar.model.refs import Uid
from kube_registrar.sync.engine import KINDS
from kube_registrar.testing import builders
from kube_registrar.testing.fake import LIKE_CLOUD_MAP
from tests.engine.conftest import played
from tests.engine.harness import FLASK, OTHER, Ground
from tests.engine.test_asked_by_others import BY_LABEL, SERVICE, bare, selecting, slice_of

PER_SLICE = 100


@pytest.fixture
async def roomy() -> AsyncIterator[Ground]:
    """A registry whose services hold as many instances as one likes."""
    async for ground in played(Ground(capabilities=replace(LIKE_CLOUD_MAP, max_instances=None))):
        yield ground


def many(number: int, **changes: object) -> Pod:
    """Return one pod of many."""
    return bare(number, ips=(f"10.1.{number // 250}.{number % 250 + 1}",), **changes)


async def test_of_two_thousand_endpoints_over_many_slices_one_slice_is_deleted(roomy: Ground) -> None:
    # Nothing selects them, so that a slice is all that says that its pods belong to the Service.
    for first in range(0, 2_000, PER_SLICE):
        pods = [many(number) for number in range(first, first + PER_SLICE)]
        for pod in pods:
            roomy.cluster.apply(pod)
        roomy.cluster.apply_slice(slice_of(*pods, name=f"web-{first}"))
    roomy.cluster.apply_service(replace(SERVICE, selector={}))
    await roomy.start()
    await roomy.advance(30.0)
    assert len(roomy.names()) == 2_000
    lost = {f"flask-app-{number}" for number in range(PER_SLICE)}
    roomy.cluster.delete_slice("web-0")
    await roomy.advance(30.0)
    assert len(roomy.deregistered()) == PER_SLICE
    assert not lost & set(roomy.names())
    assert len(roomy.names()) == 2_000 - PER_SLICE


async def test_of_two_thousand_selected_endpoints_one_slice_is_deleted(roomy: Ground) -> None:
    for first in range(0, 2_000, PER_SLICE):
        pods = [many(number) for number in range(first, first + PER_SLICE)]
        for pod in pods:
            roomy.cluster.apply(pod)
        roomy.cluster.apply_slice(slice_of(*pods, name=f"web-{first}"))
    roomy.cluster.apply_service(SERVICE)
    await roomy.start()
    await roomy.advance(30.0)
    before = roomy.names()
    assert len(before) == 2_000
    roomy.cluster.delete_slice("web-0")
    await roomy.advance(60.0)
    assert roomy.deregistered() == []
    assert roomy.names() == before


@pytest.mark.parametrize("last", sorted(KINDS))
async def test_with_several_services_nothing_goes_before_the_last_kind_was_read(ground: Ground, last: str) -> None:
    pods = [bare(0), bare(1), bare(2, labels={"app": "other"})]
    other = KubeService("default", "other", Uid("uid-other"), {"service": "test-namespace/other"}, ports=SERVICE.ports)
    ground.cluster.services = {SERVICE.key: SERVICE, other.key: other}
    for pod in pods:
        ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(*pods[:2]))
    ground.cluster.apply_slice(replace(slice_of(pods[2], name="other-1"), service="other"))
    await ground.start()
    assert (len(ground.names()), len(ground.names(OTHER))) == (2, 1)
    written = len(ground.registry.history)
    await ground.stop()

    # What is of the last kind has not been told at all.
    services, slices = dict(ground.cluster.services), dict(ground.cluster.slices)
    ground.cluster.services = {} if last == "Service" else services
    ground.cluster.slices = {} if last == "EndpointSlice" else slices
    await ground.start(synced=KINDS - {last})
    await ground.advance(600.0)
    assert len(ground.registry.history) == written
    for service in services.values():
        ground.cluster.apply_service(service)
    for found in slices.values():
        ground.cluster.apply_slice(found)
    ground.engine.synced(last)
    await ground.advance(60.0)
    assert len(ground.registry.history) == written
    assert (len(ground.names()), len(ground.names(OTHER))) == (2, 1)


async def test_a_pod_whose_endpoint_lags_behind_its_new_address_keeps_its_instance_until_then(ground: Ground) -> None:
    pod = bare()
    ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pod))
    ground.cluster.apply_service(SERVICE)
    await ground.start()
    moved = ground.cluster.edit(pod.name, ips=("10.9.9.9",))
    await ground.advance(60.0)
    assert ground.names() == [pod.name]
    ground.cluster.apply_slice(slice_of(moved))
    await ground.settle()
    assert ground.instance(pod.name).attributes[keys.IPV4] == "10.9.9.9"
    assert ground.deregistered() == []


async def test_a_service_whose_endpoints_have_no_address_takes_only_its_own_out(ground: Ground) -> None:
    one, two = bare(0), bare(1, labels={"app": "other"})
    other = KubeService("default", "other", Uid("uid-other"), {"service": "test-namespace/other"}, ports=SERVICE.ports)
    for pod in (one, two):
        ground.cluster.apply(pod)
    ground.cluster.apply_service(replace(SERVICE, selector={}))
    ground.cluster.apply_service(other)
    ground.cluster.apply_slice(slice_of(one))
    ground.cluster.apply_slice(replace(slice_of(two, name="other-1"), service="other"))
    await ground.start()
    ground.cluster.apply_slice(slice_of())
    await ground.advance(10.0)
    assert (ground.names(), ground.names(OTHER)) == ([], ["flask-app-1"])


async def test_services_of_the_same_name_in_two_kubernetes_namespaces_are_told_apart(ground: Ground) -> None:
    for namespace in ("default", "second"):
        pod = bare(ips=(f"10.0.0.{len(namespace)}",), namespace=namespace, uid=Uid(f"uid-of-{namespace}"))
        ground.cluster.apply(pod)
        ground.cluster.apply_service(replace(SERVICE, namespace=namespace, uid=Uid(f"uid-web-{namespace}")))
        found = slice_of(pod)
        ground.cluster.apply_slice(replace(found, namespace=namespace, uid=Uid(f"uid-slice-{namespace}")))
    await ground.start()
    assert sorted(each.attributes[keys.NAMESPACE] for each in ground.own()) == ["default", "second"]
    ground.cluster.apply_service(replace(SERVICE, annotations={"register": "false"}, uid=Uid("uid-web-default")))
    await ground.advance(10.0)
    assert [each.attributes[keys.NAMESPACE] for each in ground.own()] == ["second"]


async def test_a_service_that_cannot_be_asked_about_keeps_its_machines_registered(ground: Ground) -> None:
    [thing] = ground.cluster.objects
    ground.cluster.apply_object(replace(thing, spec={**thing.spec, "allowEndpointsWithoutPods": True}))
    ground.cluster.apply_service(replace(SERVICE, selector={}))
    machine = Slice("default", "db", Uid("uid-db"), "web", slice_of(bare()).endpoints, (("http", 5432),))
    machine = replace(
        machine, endpoints=[replace(machine.endpoints[0], pod="", pod_uid=None, addresses=("192.0.2.1",))]
    )
    ground.cluster.apply_slice(machine)
    await ground.start()
    await ground.advance(5.0)
    assert len(ground.own()) == 1
    await ground.stop()
    del ground.cluster.services["default", "web"], ground.cluster.slices["default", "db"]
    ground.cluster.lookup_error = RuntimeError("503")
    await ground.start()
    await ground.advance(600.0)
    assert len(ground.own()) == 1
    ground.cluster.lookup_error = None
    await ground.advance(120.0)
    assert ground.own() == []


async def test_all_machines_are_asked_about_together_however_often_they_change(ground: Ground) -> None:
    [thing] = ground.cluster.objects
    ground.cluster.apply_object(replace(thing, spec={**thing.spec, "allowEndpointsWithoutPods": True}))
    ground.cluster.apply_service(replace(SERVICE, selector={}))
    endpoint = replace(slice_of(bare()).endpoints[0], pod="", pod_uid=None)
    await ground.start()
    for number in range(1, 51):
        endpoints = [replace(endpoint, addresses=(f"192.0.2.{each}",)) for each in range(1, number + 1)]
        ground.cluster.apply_slice(Slice("default", "db", Uid("uid-db"), "web", endpoints, (("http", 5432),)))
        await ground.advance(0.02)
    await ground.advance(10.0)
    assert len(ground.own()) == 50
    assert len(ground.cluster.addresses_asked) <= 3
    await ground.advance(1_000.0)
    assert len(ground.cluster.addresses_asked) <= 7


async def test_a_pod_on_whom_three_agree_is_left_by_the_last_of_them_only(ground: Ground) -> None:
    pod = bare(annotations={"service": "test-namespace/flask-app", "port": "8080"})
    ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pod))
    ground.cluster.apply_service(SERVICE)
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.start()
    ground.cluster.annotate(pod.name)
    await ground.advance(10.0)
    ground.cluster.delete_service("web")
    await ground.advance(10.0)
    assert (ground.names(), ground.deregistered(FLASK)) == ([pod.name], [])
    ground.cluster.apply_object(selecting(selector={"matchLabels": {"app": "nobody"}}))
    await ground.advance(30.0)
    assert ground.names() == []


async def test_one_unready_pod_marks_itself_alone_and_no_status_is_written_twice(ground: Ground) -> None:
    checked = builders.service_spec("test-namespace/checked", custom_health=True)
    ground.registry.add(checked)
    policy = {"healthCheck": {"type": "Custom"}, "notReadyPolicy": "MarkUnhealthy"}
    ground.cluster.apply_object(selecting("checked", **BY_LABEL, name="checked", **policy))
    for number in range(3):
        ground.cluster.apply(bare(number))
    await ground.start()
    ground.cluster.edit("flask-app-1", ready=False)
    await ground.settle()
    written = len(ground.registry.history)
    assert [ground.instance(f"flask-app-{number}", checked.ref).health.value for number in range(3)] == [
        "HEALTHY", "UNHEALTHY", "HEALTHY",
    ]  # fmt: skip
    await ground.advance(2_000.0)
    await ground.restart()
    await ground.advance(2_000.0)
    assert len(ground.registry.history) == written


async def test_a_registry_service_that_is_being_deleted_asks_for_nothing_any_more(ground: Ground) -> None:
    ground.cluster.apply(bare())
    ground.cluster.apply_object(selecting(**BY_LABEL))
    await ground.start()
    assert ground.names() == ["flask-app-0"]
    # It waits for its registry service to be empty: whatever keeps it there must not be itself.
    ground.cluster.apply_object(replace(selecting(**BY_LABEL), terminating=True))
    await ground.advance(20.0)
    assert ground.names() == []


async def test_a_registry_service_edited_into_nonsense_keeps_the_pods_that_it_selected(ground: Ground) -> None:
    pods = [bare(0), bare(1, labels={"app": "behind"})]
    for pod in pods:
        ground.cluster.apply(pod)
    ground.cluster.apply_slice(slice_of(pods[1]))
    ground.cluster.apply_service(replace(SERVICE, annotations={}, selector={"app": "behind"}))
    kinds = {"selects": BY_LABEL, "names": {"serviceRef": {"name": "web"}}}
    for name, spec in kinds.items():
        ground.cluster.apply_object(selecting(name, **spec))
    await ground.start()
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    for name, spec in kinds.items():
        ground.cluster.apply_object(selecting(name, **spec, attributes={"AWS_INSTANCE_IPV4": "10.6.6.6"}))
    await ground.advance(600.0)
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    await ground.restart()
    await ground.advance(600.0)
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    ground.cluster.edit("flask-app-0", terminating=True)
    await ground.settle()
    assert ground.names() == ["flask-app-1"]
    for name in kinds:
        ground.cluster.apply_object(selecting(name, selector={"matchLabels": {"app": "nobody"}}))
    await ground.advance(60.0)
    assert ground.names() == []


async def test_attributes_of_a_registry_service_that_cannot_be_read_change_nothing_of_what_is_there(
    ground: Ground,
) -> None:
    for pod in (builders.pod("flask-app-0"), builders.pod("flask-app-1", ips=("10.0.0.2",), ready=False)):
        ground.cluster.apply(pod)
    ground.cluster.apply_service(replace(SERVICE, annotations={**SERVICE.annotations, "publish": "ClusterIP"}))
    ground.cluster.apply_object(selecting(attributes={"stage": "dev"}))
    await ground.start()
    assert [each.attributes["stage"] for each in ground.own()] == ["dev", "dev"]
    written = len(ground.registry.history)
    ground.cluster.apply_object(selecting(attributes={"stage": "prod", "AWS_INSTANCE_IPV4": "10.6.6.6"}))
    await ground.advance(60.0)
    ground.cluster.edit("flask-app-1", ready=True)
    await ground.advance(60.0)
    assert len(ground.registry.history) == written
    ground.cluster.apply_object(selecting(attributes={"stage": "prod"}))
    await ground.advance(60.0)
    assert [each.attributes["stage"] for each in ground.own()] == ["prod"] * 3
