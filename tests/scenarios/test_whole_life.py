"""Namespaces and services while others use, change and remove them in the registry, and how their objects go."""

from typing import Any

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry


def _tags(registry: Registry, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in registry.api.list_tags_for_resource(ResourceARN=arn)["Tags"]}


def test_one_object_owns_the_settings_and_the_other_is_told_whose_they_are(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [
            place.registry_namespace_manifest(tags={"team": "web"}),
            place.registry_service_manifest("first", name="flask-app", description="of the first", tags={"a": "b"}),
        ]
    )
    place.wait_condition("RegistryService", "first", "SettingsOwned", "True", "Owner")
    status = place.get("RegistryService", "first")["status"]
    tags = _tags(registry, status["arn"])
    assert (tags["a"], tags["kube-registrar/owner"]) == ("b", f"RegistryService/{place.namespace}/first")
    namespace = place.get("RegistryNamespace", place.registry_namespace)["status"]
    assert _tags(registry, namespace["arn"])["team"] == "web"

    place.plane.apply(place.registry_service_manifest("second", name="flask-app", description="of the second"))
    owned = place.wait_condition("RegistryService", "second", "SettingsOwned", "False", "OwnedByAnother")
    assert f"RegistryService {place.namespace}/first" in owned["message"]
    assert place.condition("RegistryService", "second", "Ready")["status"] == "True"
    assert registry.api.get_service(Id=status["id"])["Service"]["Description"] == "of the first"

    # Handed over by the tags that the message spells, which is heeded at the next change.
    registry.api.tag_resource(
        ResourceARN=status["arn"],
        Tags=[{"Key": "kube-registrar/owner", "Value": f"RegistryService/{place.namespace}/second"}],
    )
    place.patch("RegistryService", "second", tags={"more": "1"})
    place.wait_condition("RegistryService", "second", "SettingsOwned", "True", "Owner")
    place.patch("RegistryService", "first", tags={"a": "c"})
    place.wait_condition("RegistryService", "first", "SettingsOwned", "False", "OwnedByAnother")
    assert _tags(registry, status["arn"])["a"] == "b"


def test_what_is_removed_or_changed_in_the_registry_is_made_again_without_a_restart(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator("--resync-seconds", "10").start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.plane.apply(
        [
            place.registry_namespace_manifest(type="DNSPrivate", vpcID="vpc-0123456789abcdef0", soaTTLSeconds=30),
            place.registry_service_manifest("gone"),
            place.registry_service_manifest(
                "web", description="ours", dns={"records": [{"type": "A", "ttlSeconds": 10}]}
            ),
        ]
    )
    for name in ("gone", "web"):
        place.wait_condition("RegistryService", name, "Ready", "True", "Created")
    place.pod("web-0", "web")
    registry.expect("web", {"web-0"})

    before = registry.service_id("gone")
    registry.api.delete_service(Id=before)
    web, namespace = registry.service_id("web"), registry.namespace_id()
    theirs: Any = {"Description": "theirs", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 99}]}}
    registry.api.update_service(Id=web, Service=theirs)
    soa = {"DnsProperties": {"SOA": {"TTL": 99}}}
    registry.api.update_private_dns_namespace(Id=namespace, Namespace={"Properties": soa})

    wait_until(lambda: registry.service_id("gone") not in {"", before}, "the service to be made again", seconds=60)
    wait_until(lambda: _settings(registry, web) == ("ours", 10), "the settings to be ours again", seconds=60)
    wait_until(lambda: _soa(registry, namespace) == 30, "the SOA to be ours again", seconds=60)
    place.wait_field("RegistryService", "gone", "status.id", registry.service_id("gone"))
    place.wait_event("gone", "Repaired", kind="RegistryService", saying="it was gone")
    assert set(registry.discover("web")) == {"web-0"}


def _settings(registry: Registry, service: str) -> tuple[str, int]:
    found = registry.api.get_service(Id=service)["Service"]
    return found.get("Description", ""), found["DnsConfig"]["DnsRecords"][0]["TTL"]


def _soa(registry: Registry, namespace: str) -> int:
    found = registry.api.get_namespace(Id=namespace)["Namespace"]
    return int(found["Properties"]["DnsProperties"]["SOA"]["TTL"])


def test_a_deletion_names_the_instances_of_others_and_gives_way_in_the_end(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [
            place.registry_namespace_manifest(),
            place.registry_service_manifest("flask-app", deletionPolicy="Delete", deletionTimeoutSeconds=8),
        ]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    place.wait_field("RegistryService", "flask-app", "metadata.finalizers", ["kube-registrar.dev/registry"])
    registry.register("flask-app", "a-machine", AWS_INSTANCE_IPV4="192.0.2.1")
    place.delete("RegistryService", "flask-app")
    waits = place.wait_condition("RegistryService", "flask-app", "Ready", "False", "NotEmpty")
    assert "1 instances of others: a-machine" in waits["message"]
    place.wait_gone("RegistryService", "flask-app")
    place.wait_event("flask-app", "Retained", kind="RegistryService", saying="within 8 s")
    assert {one["InstanceId"] for one in registry.instances("flask-app")} == {"a-machine"}


def test_what_others_made_anew_under_the_name_is_not_removed(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [place.registry_namespace_manifest(), place.registry_service_manifest("flask-app", deletionPolicy="Delete")]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    place.wait_field("RegistryService", "flask-app", "metadata.finalizers", ["kube-registrar.dev/registry"])
    registry.api.delete_service(Id=registry.service_id("flask-app"))
    theirs = registry.create("flask-app")
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")
    place.wait_event("flask-app", "Retained", kind="RegistryService", saying="another one")
    assert registry.service_id("flask-app") == theirs


def test_an_object_that_goes_touches_no_instance_and_they_are_found_where_they_were(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.pod("full", "flask-app")
    place.pod("bare")
    place.annotate("bare", service="flask-app", port="http")
    registry.expect("flask-app", {"full", "bare"})
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")
    place.wait_event("bare", "UnknownRegistryService")
    assert set(registry.discover("flask-app")) == {"full", "bare"}
    for name in ("bare", "full"):
        place.delete("Pod", name, now=True)
    registry.expect("flask-app", set())
    assert registry.service_id("flask-app") != ""
