"""The rights of deploy/base/rbac.yaml are enough, and none of them is too many."""

from pathlib import Path
from typing import Any

import yaml

from kube_registrar.cluster.preflight import NODES, RIGHTS, lease_rights
from kube_registrar.declared.settings import Configuration
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.place import ROOT, Place
from tests.scenarios.registry import Registry
from tests.scenarios.shared import shared_registry

RBAC = ROOT / "deploy" / "base" / "rbac.yaml"


def test_the_manifest_grants_exactly_what_the_operator_asks_for_at_its_start() -> None:
    role = cluster_roles()["kube-registrar"]
    rights = (*RIGHTS, *NODES)
    asked = {(right.group, f"{right.resource}/{right.subresource}".rstrip("/"), right.verb, "") for right in rights}
    assert granted(role) == asked


def test_what_the_readiness_gate_takes_stands_by_itself_and_is_no_more_than_one_right() -> None:
    assert granted(cluster_roles()["kube-registrar-readiness-gate"]) == {("", "pods/status", "patch", "")}


def cluster_roles() -> dict[str, dict[str, Any]]:
    """Return the ClusterRoles of the manifest by name."""
    found = [one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "ClusterRole"]
    return {one["metadata"]["name"]: one for one in found}


def test_the_manifest_grants_exactly_what_an_election_asks_for_in_the_namespace_of_the_pods() -> None:
    (role,) = [one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "Role"]
    rights = lease_rights(role["metadata"]["namespace"], Configuration().lease_name)
    assert granted(role) == {(right.group, right.resource, right.verb, right.name) for right in rights}
    assert {right.namespace for right in rights} == {"kube-registrar"}


def granted(role: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    """Return group, resource, verb and object name of everything that a role grants."""
    return {
        (group, resource, verb, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def test_that_account_may_elect_a_leader(plane: ControlPlane, new_operator: NewOperator, tmp_path: Path) -> None:
    plane.apply(RBAC)
    kubeconfig = plane.service_account_kubeconfig("kube-registrar", "kube-registrar")
    election = ("--lease-namespace", "kube-registrar", "--lease-name", "kube-registrar")
    with shared_registry(tmp_path / "shared", doors=1) as shared:
        operator = new_operator(*election, kubeconfig=kubeconfig, endpoint=shared.doors[0].url).start()
        wait_until(lambda: operator.metric("kube_registrar_leader") == 1, "the operator to lead")
        standby = new_operator(*election, kubeconfig=kubeconfig, endpoint=shared.doors[0].url, name="standby").start()
        wait_until(lambda: any("standing by" in str(line["message"]) for line in standby.lines()), "the other to wait")
        assert operator.end() == 0
        wait_until(lambda: standby.metric("kube_registrar_leader") == 1, "the other to lead")
        assert standby.end() == 0
    for each in (operator, standby):
        assert [line for line in each.lines() if "forbidden" in str(line["message"])] == []


def test_an_election_that_is_not_allowed_is_one_sentence(
    plane: ControlPlane, new_operator: NewOperator, tmp_path: Path
) -> None:
    plane.apply(RBAC)
    kubeconfig = plane.service_account_kubeconfig("kube-registrar", "kube-registrar")
    operator = new_operator("--lease-namespace", "kube-public", kubeconfig=kubeconfig, endpoint="http://127.0.0.1:9")
    operator.start(wait=False)
    assert operator.child.wait(30) != 0
    assert "create, get, update, watch leases.coordination.k8s.io in namespace kube-public" in operator.tail()


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
