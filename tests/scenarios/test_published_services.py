"""A Service publishes itself: its cluster IP, its nodes, its load balancer, or the name that it stands for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import CORE, Json, Place
from tests.scenarios.registry import Attributes, Registry

A = [{"type": "A", "ttlSeconds": 10}]
CNAME = [{"type": "CNAME", "ttlSeconds": 10}]


def _declare_dns(place: Place) -> None:
    """Declare a DNS namespace with services of A records, of A records with Weighted routing, and of CNAME."""
    place.plane.apply(
        [
            place.registry_namespace_manifest(type="DNSPrivate", vpcID="vpc-1", allowEndpointsWithoutPods=True),
            place.registry_service_manifest("addresses", dns={"records": A}),
            place.registry_service_manifest("aliases", dns={"records": A, "routingPolicy": "Weighted"}),
            place.registry_service_manifest("names", dns={"records": CNAME, "routingPolicy": "Weighted"}),
        ]
    )
    for service in ("addresses", "aliases", "names"):
        place.wait_condition("RegistryService", service, "Ready", "True")


def _wait(
    registry: Registry, service: str, count: int, met: Callable[[Attributes], bool] = bool
) -> Sequence[Attributes]:
    """Wait for so many instances, all of which meet a condition, and return their attributes."""

    def found() -> list[Attributes]:
        return [one["Attributes"] for one in registry.instances(service)]

    wait_until(
        lambda: len(found()) == count and all(map(met, found())),
        lambda: f"{count} instances in {service}; there are {found()}",
    )
    return found()


def test_the_cluster_ips_of_both_families_are_one_instance(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    place.declare("flask-app")
    annotations = {"publish": "ClusterIP", "attributes": "stage=dev"}
    made = place.service("web", "flask-app", annotations=annotations, ipFamilyPolicy="PreferDualStack")
    (found,) = _wait(the_registry, "flask-app", 1)
    assert [found["AWS_INSTANCE_IPV4"], found["AWS_INSTANCE_IPV6"]] == made["spec"]["clusterIPs"]
    assert (found["AWS_INSTANCE_PORT"], found["stage"], found["KUBE_SERVICE"]) == ("80", "dev", "web")
    assert found["KUBE_SERVICE_UID"] == made["metadata"]["uid"]
    assert "KUBE_POD" not in found

    # Its pods are not registered; and what it publishes can be changed.
    pod = place.bare_pod("web")
    place.annotate("web", kind="Service", attributes="stage=prod")
    _wait(the_registry, "flask-app", 1, lambda one: one["stage"] == "prod")
    place.annotate("web", kind="Service", publish="Endpoints")
    (found,) = _wait(the_registry, "flask-app", 1, lambda one: "KUBE_POD" in one)
    assert (found["AWS_INSTANCE_IPV4"], found["AWS_INSTANCE_PORT"]) == (pod["status"]["podIP"], "8080")


def test_a_headless_service_has_no_cluster_ip_to_publish_and_is_told(one_operator: Operator, place: Place) -> None:
    place.declare("flask-app")
    place.service("web", "flask-app", annotations={"publish": "ClusterIP"}, clusterIP="None")
    said = place.wait_event("web", "InvalidPublish", kind="Service")
    assert "Service web has no cluster IP" in said.note


@pytest.fixture
def nodes(plane: ControlPlane) -> Iterator[Mapping[str, str]]:
    """Two nodes with addresses (those of kwok have loopback addresses, which are never registered), by name."""
    made = {"gate-1": "192.0.2.101", "gate-2": "192.0.2.102"}
    for name, address in made.items():
        status = {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "Test"}],
        }
        labels = {"topology.kubernetes.io/zone": f"zone-of-{name}"}
        node = {"metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": True}, "status": status}
        plane.api.post(f"{CORE}/nodes", node)
    yield made
    for name in made:
        plane.api.delete(f"{CORE}/nodes/{name}")


def test_each_ready_node_is_an_instance_with_the_node_port(
    one_operator: Operator, place: Place, the_registry: Registry, nodes: Mapping[str, str]
) -> None:
    place.declare("flask-app")
    made = place.service("web", "flask-app", annotations={"publish": "NodePort"}, type="NodePort")
    found = _wait(the_registry, "flask-app", 2)
    assert {one["AVAILABILITY_ZONE"]: one["AWS_INSTANCE_IPV4"] for one in found} == {
        f"zone-of-{name}": address for name, address in nodes.items()
    }
    assert {one["AWS_INSTANCE_PORT"] for one in found} == {str(made["spec"]["ports"][0]["nodePort"])}

    # Where traffic stays local, only the node that has a ready pod answers.
    place.bare_pod("web", nodeName="gate-2")
    place.patch("Service", "web", externalTrafficPolicy="Local")
    _wait(the_registry, "flask-app", 1, lambda one: one["AVAILABILITY_ZONE"] == "zone-of-gate-2")
    place.set_status("web", ready=False)
    _wait(the_registry, "flask-app", 0)

    # And of all nodes those that are ready.
    place.patch("Service", "web", externalTrafficPolicy="Cluster")
    _wait(the_registry, "flask-app", 2)
    unready = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Test"}]}}
    place.plane.api.patch(f"{CORE}/nodes/gate-1/status", unready)
    _wait(the_registry, "flask-app", 1, lambda one: one["AVAILABILITY_ZONE"] == "zone-of-gate-2")


def _balance(place: Place, name: str, *ingress: dict[str, str]) -> None:
    body = {"status": {"loadBalancer": {"ingress": list(ingress)}}}
    place.plane.api.patch(f"{place.path('Service', name)}/status", body)


def test_a_load_balancer_is_an_alias_where_the_records_allow_it_and_a_name_or_an_address_elsewhere(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    _declare_dns(place)
    publish = {"publish": "LoadBalancer"}
    for service in ("aliases", "names", "addresses"):
        place.service(f"by-{service}", service, annotations=publish, type="LoadBalancer")
    host = "lb-1.eu-west-1.elb.amazonaws.com"
    for service in ("aliases", "names", "addresses"):
        _balance(place, f"by-{service}", {"hostname": host})
    (alias,) = _wait(the_registry, "aliases", 1)
    (name,) = _wait(the_registry, "names", 1)
    assert (alias["AWS_ALIAS_DNS_NAME"], "AWS_INSTANCE_CNAME" in alias) == (host, False)
    assert name["AWS_INSTANCE_CNAME"] == host
    assert "or one with A or AAAA records" in place.wait_event("by-addresses", "MissingAddress", kind="Service").note

    _balance(place, "by-addresses", {"ip": "192.0.2.10"}, {"ip": "192.0.2.11"})
    found = _wait(the_registry, "addresses", 2)
    assert {one["AWS_INSTANCE_IPV4"] for one in found} == {"192.0.2.10", "192.0.2.11"}
    _balance(place, "by-addresses")
    _wait(the_registry, "addresses", 0)


def test_an_external_name_is_a_cname_with_consent(one_operator: Operator, place: Place, the_registry: Registry) -> None:
    _declare_dns(place)
    external: Json = {"type": "ExternalName", "externalName": "db.example.com.", "ports": [], "selects": ""}
    place.service("db", "names", annotations={"publish": "ExternalName"}, **external)
    (found,) = _wait(the_registry, "names", 1)
    assert found["AWS_INSTANCE_CNAME"] == "db.example.com"
    place.patch("Service", "db", externalName="db2.example.com")
    _wait(the_registry, "names", 1, lambda one: one["AWS_INSTANCE_CNAME"] == "db2.example.com")

    place.patch("RegistryNamespace", place.registry_namespace, allowEndpointsWithoutPods=False)
    place.patch("Service", "db", externalName="db3.example.com")
    place.wait_event("db", "EndpointsNotAllowed", kind="Service")
    (found,) = _wait(the_registry, "names", 1)
    assert found["AWS_INSTANCE_CNAME"] == "db2.example.com", "held, and not changed"
    place.delete("Service", "db")
    _wait(the_registry, "names", 0)
