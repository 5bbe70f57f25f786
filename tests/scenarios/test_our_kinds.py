"""RegistryNamespaces and RegistryServices: what they make, use and leave behind in the registry."""

import re

from kube_registrar.testing.api import ApiError
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry

FINALIZER = "kube-registrar.dev/registry"


def test_what_is_declared_is_made_and_its_status_says_where(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [
            place.registry_namespace_manifest(description="for tests"),
            place.registry_service_manifest("web", name="flask-app", description="the web"),
        ]
    )
    ready = place.wait_condition("RegistryService", "web", "Ready", "True", "Created")
    assert ready["message"].startswith(f"Created Registry service {place.registry_namespace}/flask-app")
    assert place.condition("RegistryService", "web", "Synced")["status"] == "True"
    assert place.condition("RegistryNamespace", place.registry_namespace, "Ready")["reason"] == "Created"

    namespace = place.get("RegistryNamespace", place.registry_namespace)
    service = place.get("RegistryService", "web")
    found = registry.api.get_service(Id=registry.service_id("flask-app"))["Service"]
    assert found["Description"] == "the web"
    assert namespace["status"]["id"] == registry.namespace_id()
    assert service["status"]["id"] == found["Id"]
    assert service["status"]["arn"] == found["Arn"]
    assert service["status"]["created"] is True
    for one in (namespace, service):
        assert one["status"]["observedGeneration"] == one["metadata"]["generation"]
        assert {condition["observedGeneration"] for condition in one["status"]["conditions"]} == {1}
    place.wait_event("web", "Created", kind="RegistryService")
    place.wait_event(place.registry_namespace, "Created", kind="RegistryNamespace")


def test_a_dns_namespace_and_its_services_get_the_settings_that_were_declared(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [
            place.registry_namespace_manifest(type="DNSPrivate", vpcID="vpc-0123456789abcdef0", soaTTLSeconds=30),
            place.registry_service_manifest(
                "web",
                dns={"records": [{"type": "A", "ttlSeconds": 10}], "routingPolicy": "Weighted"},
                healthCheck={"type": "Custom"},
            ),
        ]
    )
    place.wait_condition("RegistryService", "web", "Ready", "True")
    namespace = registry.api.get_namespace(Id=registry.namespace_id())["Namespace"]
    service = registry.api.get_service(Id=registry.service_id("web"))["Service"]
    assert namespace["Type"] == "DNS_PRIVATE"
    assert namespace["Properties"]["DnsProperties"]["SOA"]["TTL"] == 30
    assert service["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 10}]
    assert service["DnsConfig"]["RoutingPolicy"] == "WEIGHTED"
    assert "HealthCheckCustomConfig" in service

    place.pod("web-0", "web")
    found = registry.expect("web", {"web-0"})["web-0"]
    assert "AWS_INSTANCE_PORT" not in found  # an A record publishes no port


def test_what_somebody_else_made_is_adopted_and_stays_as_it_is(
    operator: Operator, place: Place, registry: Registry
) -> None:
    theirs = registry.create("flask-app")
    place.plane.apply(
        [
            place.registry_namespace_manifest(deletionPolicy="Delete"),
            place.registry_service_manifest("flask-app", description="ours", deletionPolicy="Delete"),
        ]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Adopted")
    place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True", "Adopted")
    service = place.get("RegistryService", "flask-app")
    assert service["status"]["id"] == theirs
    assert service["status"]["created"] is False
    synced = place.condition("RegistryService", "flask-app", "Synced")
    assert (synced["status"], synced["reason"]) == ("False", "SettingsDiffer")
    assert "spec.description" in synced["message"]
    assert registry.api.get_service(Id=theirs)["Service"].get("Description", "") == ""
    # Deleting the object would remove nothing, so nothing holds it up.
    assert "finalizers" not in service["metadata"]

    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")
    place.delete("RegistryNamespace", place.registry_namespace)
    place.wait_gone("RegistryNamespace", place.registry_namespace)
    assert registry.service_id("flask-app") == theirs


def test_retain_leaves_everything_in_the_registry_and_holds_no_object_up(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    assert "finalizers" not in place.get("RegistryService", "flask-app")["metadata"]
    assert "finalizers" not in place.get("RegistryNamespace", place.registry_namespace)["metadata"]

    made = registry.service_id("flask-app")
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")
    assert registry.service_id("flask-app") == made
    # The pod still names a service that exists in a namespace that is declared.
    assert set(registry.discover("flask-app")) == {"web"}


def test_delete_removes_what_was_made_once_it_is_empty(operator: Operator, place: Place, registry: Registry) -> None:
    place.plane.apply(
        [
            place.registry_namespace_manifest(deletionPolicy="Delete"),
            place.registry_service_manifest("flask-app", deletionPolicy="Delete"),
        ]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    for kind, name in (("RegistryService", "flask-app"), ("RegistryNamespace", place.registry_namespace)):
        place.wait_field(kind, name, "metadata.finalizers", [FINALIZER])

    place.delete("RegistryService", "flask-app")
    place.wait_condition("RegistryService", "flask-app", "Ready", "False", "NotEmpty")
    assert set(registry.discover("flask-app")) == {"web"}

    place.delete("Pod", "web", now=True)
    place.wait_gone("RegistryService", "flask-app")
    assert registry.service_id("flask-app") == ""

    place.delete("RegistryNamespace", place.registry_namespace)
    place.wait_gone("RegistryNamespace", place.registry_namespace)
    assert registry.namespace_id() == ""


def test_a_kubernetes_namespace_is_deleted_whole_with_all_that_it_had_in_the_registry(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.plane.apply(
        [place.registry_namespace_manifest(), place.registry_service_manifest("flask-app", deletionPolicy="Delete")]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True")
    place.wait_field("RegistryService", "flask-app", "metadata.finalizers", [FINALIZER])
    registry.expect("flask-app", place.deployment("web", "flask-app", 5))

    path = f"/api/v1/namespaces/{place.namespace}"
    place.plane.api.delete(path)
    wait_until(lambda: _is_gone(place, path), "the namespace to be gone", seconds=60)
    assert registry.service_id("flask-app") == ""
    assert registry.namespace_id() != ""
    place.make()  # the end of the test looks for it


def _is_gone(place: Place, path: str) -> bool:
    try:
        place.plane.api.get(path)
    except ApiError as error:
        return error.status == 404
    return False


def test_an_object_that_is_made_anew_is_the_same_creator(operator: Operator, place: Place, registry: Registry) -> None:
    place.plane.apply(
        [place.registry_namespace_manifest(), place.registry_service_manifest("flask-app", deletionPolicy="Retain")]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    made = registry.service_id("flask-app")
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")

    # As after a restore from a backup: another UID, the same name. What it made is its own again.
    place.plane.apply(place.registry_service_manifest("flask-app", deletionPolicy="Delete"))
    place.wait_condition("RegistryService", "flask-app", "Ready", "True", "Created")
    assert place.get("RegistryService", "flask-app")["status"]["id"] == made
    place.wait_field("RegistryService", "flask-app", "metadata.finalizers", [FINALIZER])
    place.delete("RegistryService", "flask-app")
    place.wait_gone("RegistryService", "flask-app")
    assert registry.service_id("flask-app") == ""


def test_creation_policies_are_kept(operator: Operator, place: Place, registry: Registry) -> None:
    registry.create("theirs")
    place.plane.apply(
        [
            place.registry_namespace_manifest(creationPolicy="Adopt"),
            place.registry_service_manifest("theirs", creationPolicy="Create"),
            place.registry_service_manifest("nobodys", creationPolicy="Adopt"),
        ]
    )
    place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True", "Adopted")
    place.wait_condition("RegistryService", "theirs", "Ready", "False", "Conflicting")
    place.wait_condition("RegistryService", "nobodys", "Ready", "False")
    assert registry.service_id("nobodys") == ""


def test_kubectl_get_shows_how_they_stand(operator: Operator, place: Place, registry: Registry) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    counted = {"wanted": 1, "registered": 1, "held": 0}
    for kind, name in (("RegistryService", "flask-app"), ("RegistryNamespace", place.registry_namespace)):
        place.wait_field(kind, name, "status.instances", counted)

    within = f"--namespace={place.namespace}"
    service = _columns(place.plane.kubectl("get", "registryservice", "flask-app", within))
    assert service.pop("AGE")
    assert service == {
        "NAME": "flask-app",
        "READY": "True",
        "SYNCED": "True",
        "REGISTRY": "default",
        "ID": registry.service_id("flask-app"),
        "INSTANCES": "1",
    }
    namespace = _columns(place.plane.kubectl("get", "registrynamespace", place.registry_namespace, "--output=wide"))
    assert namespace["READY"] == "True"
    assert namespace["ID"] == registry.namespace_id()
    assert namespace["INSTANCES"] == "1"
    assert namespace["TYPE"] == "HTTP"


def _columns(table: str) -> dict[str, str]:
    """Read what kubectl prints for one object: cells begin where their headings do."""
    heading, row = table.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", heading)]
    ends = [*starts[1:], None]
    return {heading[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}
