"""What the chart grants is what the operator uses: no right is missing, and none is too many."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kube_registrar.cluster.resources import FINALIZER
from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import CI, Helm, one, rendered
from tests.rights import auditing
from tests.rights.auditing import Account, Grant, sorted_text
from tests.rights.conftest import RELEASE
from tests.rights.walking import LEADER, Walk
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import environment
from tests.scenarios.place import Json, Place
from tests.scenarios.registry import Registry
from tests.scenarios.server import Server
from tests.warm import processes as warm

MODES: dict[str, Callable[[str], Json]] = {
    "cluster-wide": lambda _: {},
    "in some namespaces": lambda namespace: {
        "watchNamespaces": [namespace],
        "rbac": {"podAddresses": True},
    },
}


@pytest.fixture(params=MODES)
def values(request: pytest.FixtureRequest, place: Place) -> Json:
    """Return values of the chart."""
    return MODES[request.param](place.namespace)


@dataclass
class Walkers:
    """Makes two replicas for a walk."""

    place: Place
    endpoint: str
    new_operator: NewOperator

    def walk(self, kubeconfig: Path, *flags: str) -> Walk:
        """Start them, the one that leads first."""
        leader = self.new_operator(*flags, kubeconfig=kubeconfig, endpoint=self.endpoint).start()
        wait_until(lambda: leader.metric(LEADER) == 1, "the operator to lead")
        standby = self.new_operator(*flags, kubeconfig=kubeconfig, endpoint=self.endpoint, name="standby").start()
        return Walk(leader, standby, self.place, Registry(self.endpoint, self.place.registry_namespace))


@pytest.fixture
def walkers(place: Place, server: Server, new_operator: NewOperator) -> Walkers:
    return Walkers(place, server.endpoint, new_operator)


def test_the_audit_log_of_all_that_the_operator_does_equals_the_rules_that_are_rendered(
    values: Json, helm: Helm, audited: Path, walkers: Walkers
) -> None:
    account, watched = Account.rendered(helm, values), values.get("watchNamespaces", ())
    flags = ["--leader-election", "--lease-namespace", account.namespace, "--lease-name", account.name]
    flags += [f"--watch-namespace={namespace}" for namespace in watched]
    with auditing.bound(walkers.place.plane, account) as kubeconfig:
        walk = walkers.walk(kubeconfig, *flags)
        walk.all(nodes=not watched)
        found = auditing.read(audited.read_text().splitlines())
        for each in (walk.leader, walk.standby):
            assert [line for line in each.lines() if "forbidden" in str(line["message"])] == []
            each.kill()
    assert found.refused == set()
    assert sorted_text(found.exercised(account.granted())) == sorted_text(account.granted())


@pytest.mark.parametrize("gate", [True, False], ids=["with the gate", "without the gate"])
def test_the_hook_before_an_uninstall_uses_all_of_its_rights_and_needs_no_other(
    plane: ControlPlane, helm: Helm, audited: Path, place: Place, *, gate: bool
) -> None:
    values = {"readinessGate": {"enabled": gate}}
    account = Account.of_the_hook(helm, values)
    (container,) = one(helm.objects(values=values), "Job")["spec"]["template"]["spec"]["containers"]
    plane.apply(deployment_manifest(RELEASE, RELEASE, replicas=1))
    plane.kubectl("rollout", "status", f"deployment/{RELEASE}", f"--namespace={RELEASE}")
    for made in (place.registry_namespace_manifest(), place.registry_service_manifest("left")):
        made["metadata"]["finalizers"] = [FINALIZER]
        plane.apply([made])
    with auditing.bound(plane, account) as kubeconfig:
        ended = warm.run([*container["args"], f"--kubeconfig={kubeconfig}"], environment())
    assert ended.returncode == 0, ended.stderr
    found = auditing.read(audited.read_text().splitlines())
    assert found.refused == set()
    assert sorted_text(found.exercised(account.granted())) == sorted_text(account.granted())


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_no_rule_that_is_rendered_grants_secrets_or_everything(values: Path) -> None:
    rules = [rule for each in rendered(values) if each["kind"] in auditing.ROLES for rule in each["rules"]]
    assert rules
    assert [rule for rule in rules if {"secrets", "*"} & {*rule["resources"], *rule["verbs"], *rule["apiGroups"]}] == []


def test_pods_status_is_patched_by_a_role_of_its_own_that_is_there_with_the_gate_only(helm: Helm) -> None:
    def granting(account: Account) -> list[Grant]:
        return [each for each in account.granted() if each.resource == "pods/status"]

    assert granting(Account.rendered(helm)) == [Grant("kube-registrar-readiness-gate", "", "", "pods/status", "patch")]
    assert granting(Account.rendered(helm, {"readinessGate": {"enabled": False}})) == []
