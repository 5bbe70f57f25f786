"""What the chart grants is what the operator uses: no right is missing, and none is too many."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import Helm
from tests.rights import auditing
from tests.rights.auditing import Account, sorted_text
from tests.rights.walking import LEADER, Walk
from tests.scenarios.conftest import NewOperator
from tests.scenarios.place import Json, Place
from tests.scenarios.registry import Registry
from tests.scenarios.server import Server

MODES: dict[str, Callable[[str], Json]] = {
    "cluster-wide": lambda _: {},
    "in some namespaces": lambda namespace: {
        "watchNamespaces": [namespace],
        "rbac": {"podAddresses": True},
    },
}


@pytest.mark.parametrize("mode", MODES)
def test_the_audit_log_of_all_that_the_operator_does_equals_the_rules_that_are_rendered(
    plane: ControlPlane, helm: Helm, audited: Path, place: Place, server: Server, new_operator: NewOperator, mode: str
) -> None:
    account = Account.rendered(helm, MODES[mode](place.namespace))
    account.apply(plane)
    kubeconfig = plane.service_account_kubeconfig(account.namespace, account.name)
    flags = ["--leader-election", "--lease-namespace", account.namespace, "--lease-name", account.name]
    watched = MODES[mode](place.namespace).get("watchNamespaces", ())
    flags += [f"--watch-namespace={namespace}" for namespace in watched]

    leader = new_operator(*flags, kubeconfig=kubeconfig, endpoint=server.endpoint).start()
    wait_until(lambda: leader.metric(LEADER) == 1, "the operator to lead")
    standby = new_operator(*flags, kubeconfig=kubeconfig, endpoint=server.endpoint, name="standby").start()
    walk = Walk(leader, standby, place, Registry(server.endpoint, place.registry_namespace))
    walk.all(nodes=not watched)

    found = auditing.read(audited.read_text().splitlines())
    assert found.refused == set()
    assert sorted_text(found.exercised(account.granted())) == sorted_text(account.granted())
    for each in (leader, standby):
        assert [line for line in each.lines() if "forbidden" in str(line["message"])] == []
