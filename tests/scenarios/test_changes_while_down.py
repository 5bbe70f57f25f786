"""Whoever asks for pods changes its mind while the operator is down: that is followed, and nothing else goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, lists
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered

WAYS = ("service-deleted", "selector-changed", "unannotated", "declined", "pod-deleted", "moved")


def _asked_for(place: Place, way: str) -> None:
    """Make a pod of a registry service of its own, which a Service or a RegistryService asks for."""
    place.bare_pod(way)
    place.plane.api.patch(place.path("Pod", way), {"metadata": {"labels": {"app": way}}})
    if way == "selector-changed":
        place.patch("RegistryService", way, selector={"matchLabels": {"app": way}})
    else:
        place.service(way, way, selects=way)


def _happens(place: Place) -> None:
    place.delete("Service", "service-deleted")
    place.patch("RegistryService", "selector-changed", selector={"matchLabels": {"app": "nobody"}})
    place.annotate("unannotated", kind="Service", service=None, port=None)
    place.annotate("declined", kind="Service", register="false")
    place.delete("Pod", "pod-deleted", now=True)
    place.place_pod("moved", "10.203.0.1")


def test_each_change_takes_out_its_own_pod_and_no_other(operator: Operator, place: Place, registry: Registry) -> None:
    place.declare(*WAYS, "stays")
    for way in (*WAYS, "stays"):
        _asked_for(place, way)
    for way in (*WAYS, "stays"):
        registry.expect(way, {way})
    operator.kill()
    _happens(place)
    operator.start()
    for way in WAYS[:-1]:
        registry.expect(way, set())
    registry.expect_attributes("moved", "moved", lambda one: one["AWS_INSTANCE_IPV4"] == "10.203.0.1")
    registry.expect("stays", {"stays"})
    assert sorted(deregistered(operator.data)) == sorted(WAYS[:-1])
    assert sorted(registered(operator.data)) == sorted([*WAYS, "moved", "stays"])


def test_what_a_service_without_pods_stands_for_goes_with_it_and_the_api_server_is_asked_about_that_service(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [place.registry_namespace_manifest(allowEndpointsWithoutPods=True), place.registry_service_manifest("machines")]
    )
    for number, name in enumerate(("goes", "stays")):
        place.service(name, "machines", selects="")
        ready = {"addresses": [f"192.0.2.{number + 1}"], "conditions": {"ready": True}}
        place.slice(f"{place.namespace}-{name}", name, ready)

    def addresses() -> list[str]:
        return sorted(one["Attributes"]["AWS_INSTANCE_IPV4"] for one in registry.instances("machines"))

    wait_until(lambda: addresses() == ["192.0.2.1", "192.0.2.2"], "both machines to be registered")
    operator.kill()
    place.delete("Service", "goes")
    operator.start()
    wait_until(lambda: addresses() == ["192.0.2.2"], lambda: f"one of them to go; there are {addresses()}")


@pytest.fixture
def proxy(place: Place) -> Iterator[FaultProxy]:
    """What stands between the operator and the API server."""
    with FaultProxy.before(place.plane) as proxy:
        yield proxy


def test_nothing_goes_before_everything_was_read(
    new_operator: NewOperator, place: Place, proxy: FaultProxy, tmp_path: Path
) -> None:
    operator = new_operator(kubeconfig=proxy.write_kubeconfig(tmp_path / "proxy.yaml")).start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    services = ("a", "b", "c")
    place.declare(*services)
    for name in services:
        _asked_for(place, name)
    for name in services:
        registry.expect(name, {name})
    operator.end()
    place.annotate("b", kind="Service", service=None, port=None)
    with proxy.rule(Answer(lists("endpointslices"), status=500)):
        proxy.calls.clear()
        operator.start(wait=False)
        wait_until(lambda: sum(map(lists("endpointslices"), list(proxy.calls))) > 2, "lists of slices to fail")
        assert "EndpointSlice" in operator.why_not_ready()
        assert all(set(registry.discover(name)) == {name} for name in services)
    registry.expect("b", set())
    assert deregistered(operator.data) == ["b"]
    assert sorted(registered(operator.data)) == ["a", "b", "c"]
