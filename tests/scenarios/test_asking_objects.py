"""A RegistryService asks for pods by a selector or by a Service, beside others that ask for the same ones."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Json, Place
from tests.scenarios.registry import Registry, deregistered, registered

BY_LABEL: Json = {"selector": {"matchLabels": {"app": "web"}}}
RECORDS: Mapping[str, Json] = {
    "HTTP": {},
    "A": {"dns": {"records": [{"type": "A", "ttlSeconds": 10}]}},
    "SRV": {"dns": {"records": [{"type": "SRV", "ttlSeconds": 10}]}},
}


def _declare(place: Place, service: str, kind: str = "HTTP", **spec: Any) -> None:
    namespace = {} if kind == "HTTP" else {"type": "DNSPrivate", "vpcID": "vpc-1"}
    declared = place.registry_service_manifest(service, **RECORDS[kind], **spec)
    place.plane.apply([place.registry_namespace_manifest(**namespace), declared])
    place.wait_condition("RegistryService", service, "Ready", "True")


def _of_pod(registry: Registry, service: str, met: Callable[[Json], bool] = bool) -> Json:
    """Wait until there is one instance that meets a condition, and return it with its health."""

    def found() -> list[Json]:
        query = {"NamespaceName": registry.namespace, "ServiceName": service, "HealthStatus": "ALL"}
        return list(registry.api.discover_instances(**query)["Instances"])

    def only() -> Json | None:
        instances = found()
        return instances[0] if len(instances) == 1 and met(instances[0]) else None

    return wait_until(only, lambda: f"one instance in {service}; there are {found()}")


def test_a_selector_registers_pods_and_follows_when_it_or_their_labels_change(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    for name in ("a", "b"):
        place.bare_pod(name)
    place.bare_pod("c")
    place.plane.api.patch(place.path("Pod", "c"), {"metadata": {"labels": {"app": "next"}}})
    attributes: Json = {"attributes": {"stage": "dev"}, "attributesFromLabels": {"application": "app"}}
    _declare(place, "flask-app", **BY_LABEL, **attributes)
    found = the_registry.expect("flask-app", {"a", "b"})
    assert (found["a"]["AWS_INSTANCE_PORT"], found["a"]["stage"], found["a"]["application"]) == ("8080", "dev", "web")

    # A label changes: the pod leaves, and another one comes.
    place.plane.api.patch(place.path("Pod", "b"), {"metadata": {"labels": {"app": "other"}}})
    the_registry.expect("flask-app", {"a"})
    place.patch("RegistryService", "flask-app", selector={"matchLabels": {"app": "next"}})
    found = the_registry.expect("flask-app", {"c"})
    assert found["c"]["application"] == "next"
    gone = deregistered(one_operator.data, place.registry_namespace)
    assert sorted(gone) == ["a", "b"]
    # Without a selector it asks for nothing.
    place.patch("RegistryService", "flask-app", selector=None)
    the_registry.expect("flask-app", set())


def test_a_registry_service_that_names_a_service_and_a_port_needs_no_annotation(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
    place.bare_pod("web", containers=[{"name": "web", "image": "web", "ports": ports}])
    both = [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "admin", "port": 81, "targetPort": "admin"}]
    place.service("web", ports=both)
    _declare(place, "flask-app", serviceRef={"name": "web"}, port="admin")
    assert the_registry.expect("flask-app", {"web"})["web"]["AWS_INSTANCE_PORT"] == "9090"

    place.patch("RegistryService", "flask-app", port=80)
    the_registry.expect_attributes("flask-app", "web", lambda one: one["AWS_INSTANCE_PORT"] == "8080")
    wait_until(lambda: len(the_registry.instances("flask-app")) == 1, "the instance with the old port to go")
    place.patch("RegistryService", "flask-app", serviceRef={"name": "none"})
    the_registry.expect("flask-app", set())


@pytest.mark.parametrize("kind", RECORDS)
def test_a_pod_asked_for_by_annotation_service_and_registry_service_is_one_instance(
    one_operator: Operator, place: Place, the_registry: Registry, kind: str
) -> None:
    _declare(place, "web", kind, **BY_LABEL, attributes={"tier": "kind", "a": "kind", "b": "kind"})
    place.service("web", "web", annotations={"attributes": "tier=service,a=service"})
    place.bare_pod("web", ready=False)
    place.annotate("web", service=f"{place.registry_namespace}/web", port="http", attributes="tier=pod")
    place.set_status("web", ready=True)
    wanted = {"tier": "pod", "a": "service", "b": "kind"}
    found = the_registry.expect_attributes("web", "web", lambda one: wanted.items() <= one.items())
    assert found.get("AWS_INSTANCE_PORT") == (None if kind == "A" else "8080")

    # One after the other asks no longer: the same instance stays until the last one.
    place.annotate("web", service=None, port=None, attributes=None)
    the_registry.expect_attributes("web", "web", lambda one: one["tier"] == "service")
    place.delete("Service", "web")
    the_registry.expect_attributes("web", "web", lambda one: one["tier"] == "kind")
    assert len(the_registry.instances("web")) == 1
    assert deregistered(one_operator.data, place.registry_namespace) == []
    place.patch("RegistryService", "web", selector=None)
    the_registry.expect("web", set())


@pytest.mark.parametrize("first", ["IPv4", "IPv6"])
def test_slices_of_both_families_in_either_order_are_one_instance_with_both_addresses(
    one_operator: Operator, place: Place, the_registry: Registry, first: str
) -> None:
    place.declare("web")
    pod = place.bare_pod("web")
    addresses = {"IPv4": pod["status"]["podIP"], "IPv6": f"fd00:202::{first[-1]}"}
    place.place_pod("web", *addresses.values())
    place.service("web", "web", selects="")
    meta = pod["metadata"]
    target = {"kind": "Pod", "namespace": place.namespace, "name": "web", "uid": meta["uid"]}
    for family in (first, *(addresses.keys() - {first})):
        endpoint = {"addresses": [addresses[family]], "targetRef": target}
        place.slice(f"{place.namespace}-{family.lower()}", "web", endpoint, family=family)
        found = the_registry.expect("web", {"web"})["web"]
        assert {family: found[f"AWS_INSTANCE_{family.upper()}"] for family in addresses} == addresses
    place.delete("EndpointSlice", f"{place.namespace}-{first.lower()}")
    place.bare_pod("witness")
    place.annotate("witness", service=f"{place.registry_namespace}/web")
    the_registry.expect("web", {"web", "witness"})
    assert registered(one_operator.data, place.registry_namespace) == ["web", "witness"]
    assert deregistered(one_operator.data, place.registry_namespace) == []


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_registry_service_that_is_deleted_over_a_few_live_pods_takes_them_out(
    one_operator: Operator, place: Place, the_registry: Registry, policy: str
) -> None:
    for name in ("a", "b"):
        place.bare_pod(name)
    _declare(place, "web", **BY_LABEL, deletionPolicy=policy)
    the_registry.expect("web", {"a", "b"})
    place.delete("RegistryService", "web")
    the_registry.expect("web", set())
    place.wait_gone("RegistryService", "web")
    assert bool(the_registry.service_id("web")) is (policy == "Retain")
    assert sorted(deregistered(one_operator.data, place.registry_namespace)) == ["a", "b"]


def test_a_pod_that_is_not_ready_is_marked_where_the_registry_service_says_so(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    policy: Json = {"healthCheck": {"type": "Custom"}, "notReadyPolicy": "MarkUnhealthy"}
    _declare(place, "web", **BY_LABEL, **policy)
    place.bare_pod("starts", ready=False)
    place.bare_pod("web")
    assert _of_pod(the_registry, "web")["Attributes"]["KUBE_POD"] == "web"
    place.set_status("web", ready=False)
    _of_pod(the_registry, "web", lambda one: one["HealthStatus"] == "UNHEALTHY")
    place.set_status("web", ready=True)
    _of_pod(the_registry, "web", lambda one: one["HealthStatus"] == "HEALTHY")
    place.delete("Pod", "web")
    wait_until(lambda: the_registry.instances("web") == [], "it to be gone")
    assert registered(one_operator.data, place.registry_namespace) == ["web"]


def test_a_kubernetes_namespace_asks_by_default_and_a_pod_may_decline(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("web")
    for name in ("a", "b"):
        place.bare_pod(name)
    place.annotate("b", register="false")
    path = f"/api/v1/namespaces/{place.namespace}"
    annotations = place.asks("web", attributes="stage=dev")
    place.plane.api.patch(path, {"metadata": {"annotations": annotations}})
    assert the_registry.expect("web", {"a"})["a"]["stage"] == "dev"
    place.annotate("b", register="true")
    the_registry.expect("web", {"a", "b"})
    place.plane.api.patch(path, {"metadata": {"annotations": dict.fromkeys(annotations)}})
    the_registry.expect("web", set())
