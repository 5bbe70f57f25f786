"""The operator on a real Consul with ACLs: pods in its health API, restarts, a token that is wrong for a while."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.testing.consul import Consul
from kube_registrar.testing.waiting import wait_until
from tests.registries.consul.ground import POLICY, new_consul
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place

pytestmark = pytest.mark.extended

UP = 'kube_registrar_registry_up{registry="edge"}'
WRONG = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    with new_consul(tmp_path_factory.mktemp("consul"), acl=True) as consul:
        yield consul


@pytest.fixture(scope="module")
def good(consul: Consul) -> str:
    return consul.token(POLICY.read_text(encoding="utf-8"), "kube-registrar")


@pytest.fixture
def token(good: str, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(good, encoding="ascii")
    return path


@pytest.fixture
def operator(new_operator: NewOperator, consul: Consul, token: Path, tmp_path: Path) -> Operator:
    config = tmp_path / "config.yaml"
    edge = {"kind": "consul", "address": consul.address, "tokenFile": str(token)}
    config.write_text(yaml.safe_dump({"defaultRegistry": "edge", "registries": {"edge": edge}}), encoding="utf-8")
    return new_operator(config=config).start()


def passing(consul: Consul, place: Place, service: str = "web") -> dict[str, Any]:
    """Return what a client of Consul finds that is healthy, by pod."""
    found = consul.get(f"/v1/health/service/{place.registry_namespace}-{service}?passing")
    return {each["Service"]["Meta"].get("KUBE_POD", each["Service"]["ID"]): each for each in found}


def expect(consul: Consul, place: Place, pods: set[str], service: str = "web") -> dict[str, Any]:
    wait_until(
        lambda: set(passing(consul, place, service)) == pods,
        lambda: f"Consul to hold {pods}; it holds {set(passing(consul, place, service))}",
        seconds=30,
    )
    return passing(consul, place, service)


def declare(place: Place) -> None:
    """Declare a service that takes out what is not ready, and one that marks it."""
    marked = place.registry_service_manifest("marked", healthCheck={"type": "Custom"}, notReadyPolicy="MarkUnhealthy")
    place.plane.apply([place.registry_namespace_manifest(), place.registry_service_manifest("web"), marked])
    for service in ("web", "marked"):
        place.wait_condition("RegistryService", service, "Ready", "True")


def test_pods_are_in_the_health_api_while_they_are_ready_and_stay_through_a_restart(
    operator: Operator, consul: Consul, place: Place
) -> None:
    declare(place)
    place.pod("web-0", "web", attributes="stage=dev")
    place.pod("web-1", "web")
    place.pod("marked-0", "marked")
    found = expect(consul, place, {"web-0", "web-1"})
    assert found["web-0"]["Service"]["Meta"]["stage"] == "dev"
    assert found["web-0"]["Service"]["Address"] == place.get("Pod", "web-0")["status"]["podIP"]
    expect(consul, place, {"marked-0"}, "marked")

    place.set_status("web-1", ready=False)
    place.set_status("marked-0", ready=False)
    expect(consul, place, {"web-0"})
    expect(consul, place, set(), "marked")
    assert len(consul.get(f"/v1/health/service/{place.registry_namespace}-marked")) == 1, "it is marked, not gone"

    entry = passing(consul, place)["web-0"]["Service"]
    operator.kill()
    operator.start()
    place.set_status("web-1", ready=True)
    after = expect(consul, place, {"web-0", "web-1"})
    assert after["web-0"]["Service"]["CreateIndex"] == entry["CreateIndex"], "it was not taken out in between"

    # Somebody removes it by hand: a blocking query says so long before the next resync.
    consul.put("/v1/catalog/deregister", {"Node": "kube-registrar", "ServiceID": entry["ID"]})
    expect(consul, place, {"web-0", "web-1"})
    assert operator.end() == 0
    assert set(passing(consul, place)) == {"web-0", "web-1"}, "an end deregisters nothing"


def test_a_token_that_is_wrong_is_said_in_condition_and_metric_and_it_recovers(
    operator: Operator, consul: Consul, place: Place, token: Path, good: str
) -> None:
    declare(place)
    place.pod("web-0", "web")
    expect(consul, place, {"web-0"})
    assert operator.metric(UP) == 1.0

    token.write_text(WRONG, encoding="ascii")
    for number in range(1, 5):
        place.pod(f"web-{number}", "web")
    said = place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "False")
    assert "does not know the token" in said["message"]
    assert "policy.hcl" in said["message"]
    wait_until(lambda: operator.metric(UP) == 0.0, "the metric to say it")

    token.write_text(good, encoding="ascii")
    expect(consul, place, {f"web-{number}" for number in range(5)})
    place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "True")
    assert operator.metric(UP) == 1.0


def test_a_rule_that_is_missing_is_named_in_a_condition(
    operator: Operator, consul: Consul, place: Place, token: Path, good: str
) -> None:
    declare(place)
    rules = POLICY.read_text(encoding="utf-8").replace('node "kube-registrar"', 'node "another"')
    token.write_text(consul.token(rules, "another-node"), encoding="ascii")
    place.pod("web-0", "web")
    said = place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryPermitted", "False")
    assert 'node "kube-registrar" { policy = "write" }' in said["message"]
    token.write_text(good, encoding="ascii")
    expect(consul, place, {"web-0"})
    place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryPermitted", "True")
