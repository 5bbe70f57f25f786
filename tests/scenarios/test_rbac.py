"""The rights of deploy/rbac.yaml are enough, and none of them is too many."""

import yaml

from kube_registrar.cluster.preflight import RIGHTS
from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.conftest import NewOperator
from tests.scenarios.place import ROOT, Place
from tests.scenarios.registry import Registry

RBAC = ROOT / "deploy" / "rbac.yaml"


def test_the_manifest_grants_exactly_what_the_operator_asks_for_at_its_start() -> None:
    (role,) = [one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "ClusterRole"]
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {(right.group, f"{right.resource}/{right.subresource}".rstrip("/"), right.verb) for right in RIGHTS}
    assert granted == asked


def test_the_operator_does_all_its_work_as_that_service_account(
    plane: ControlPlane, place: Place, new_operator: NewOperator
) -> None:
    plane.apply(RBAC)
    kubeconfig = plane.service_account_kubeconfig("kube-registrar", "kube-registrar")
    operator = new_operator(kubeconfig=kubeconfig).start()
    registry = Registry(operator.endpoint, place.registry_namespace)

    place.plane.apply(
        [
            place.registry_namespace_manifest(deletionPolicy="Delete"),
            place.registry_service_manifest("flask-app", deletionPolicy="Delete"),
        ]
    )
    place.wait_condition("RegistryService", "flask-app", "Ready", "True")
    place.pod("web", "flask-app")
    place.pod("wrong", "flask-app", port="70000")
    registry.expect("flask-app", {"web"})
    place.wait_event("web", "Registered")
    place.wait_event("wrong", "InvalidPort")
    place.wait_field("RegistryService", "flask-app", "status.instances", {"wanted": 1, "registered": 1, "held": 0})

    # A pod that was deleted meanwhile is looked at by a GET; finalizers are taken away again.
    operator.kill()
    place.delete("Pod", "web", now=True)
    operator.start()
    registry.expect("flask-app", set())
    for kind, name in (("RegistryService", "flask-app"), ("RegistryNamespace", place.registry_namespace)):
        place.delete(kind, name)
        place.wait_gone(kind, name)
    assert [line for line in operator.lines() if "forbidden" in str(line["message"])] == []
