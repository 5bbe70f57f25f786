"""The operator on etcd: pods are the keys that CoreDNS reads; a restart and an outage take none of them away."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.registries.etcd.wire import encoded
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.etcd import EtcdCluster
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place

pytestmark = pytest.mark.extended

UP = 'kube_registrar_registry_up{registry="default"}'


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def place(plane: ControlPlane) -> Iterator[Place]:
    with Place(plane, registry_namespace=f"ns-{secrets.token_hex(4)}.example.com") as place:
        yield place


@pytest.fixture
def operator(new_operator: NewOperator, etcd: EtcdCluster, tmp_path: Path) -> Operator:
    return new_operator(config=configured(tmp_path, etcd)).start()


def configured(folder: Path, etcd: EtcdCluster) -> Path:
    config = folder / "config.yaml"
    registries = {"default": {"kind": "etcd", "endpoints": list(etcd.endpoints)}}
    config.write_text(yaml.safe_dump({"registries": registries}), encoding="utf-8")
    return config


def apply(place: Place) -> None:
    dns = {"records": [{"type": "A", "ttlSeconds": 5}]}
    namespace = place.registry_namespace_manifest(type="DNSPublic")
    place.plane.apply([namespace, place.registry_service_manifest("web", dns=dns)])


def declare(place: Place) -> None:
    apply(place)
    place.wait_condition("RegistryService", "web", "Ready", "True")


def addresses(etcd: EtcdCluster, place: Place) -> Mapping[str, Any]:
    """Return what CoreDNS would answer for the service, by the instance's label."""
    name = place.registry_namespace.partition(".")[0]
    found = etcd.keys(f"/skydns/com/example/{name}/web/")
    return {key.split("/")[-2]: value["host"] for key, value in found.items()}


def expect(etcd: EtcdCluster, place: Place, pods: set[str]) -> None:
    """Wait until exactly these pods are in DNS, at their addresses."""
    wanted = {place.get("Pod", pod)["status"]["podIP"] for pod in pods}
    holds: Callable[[], bool] = lambda: set(addresses(etcd, place).values()) == wanted  # noqa: E731
    wait_until(holds, lambda: f"{wanted} in DNS; there are {addresses(etcd, place)}")


def test_ready_pods_are_in_dns_and_others_are_not(operator: Operator, etcd: EtcdCluster, place: Place) -> None:
    declare(place)
    for name in ("web-1", "web-2"):
        place.pod(name, "web", attributes="stage=dev")
    expect(etcd, place, {"web-1", "web-2"})
    place.set_status("web-1", ready=False)
    expect(etcd, place, {"web-2"})
    place.set_status("web-1", ready=True)
    expect(etcd, place, {"web-1", "web-2"})
    (record, *_) = etcd.keys(f"/kube-registrar/instances/{place.registry_namespace}/web/").values()
    assert record["attributes"]["stage"] == "dev"
    assert record["attributes"]["KUBE_NAMESPACE"] == place.namespace
    place.delete("Pod", "web-2")
    expect(etcd, place, {"web-1"})


def test_a_restart_of_the_operator_takes_nothing_out(operator: Operator, etcd: EtcdCluster, place: Place) -> None:
    declare(place)
    place.pod("web-1", "web")
    place.pod("web-2", "web")
    expect(etcd, place, {"web-1", "web-2"})
    before = revisions(etcd)
    operator.end()
    assert revisions(etcd) == before
    operator.start()
    place.pod("web-3", "web")
    expect(etcd, place, {"web-1", "web-2", "web-3"})
    assert {key: value for key, value in revisions(etcd).items() if key in before} == before


def test_what_somebody_changes_in_dns_by_hand_is_put_right(operator: Operator, etcd: EtcdCluster, place: Place) -> None:
    declare(place)
    for name in ("web-1", "web-2", "web-3"):
        place.pod(name, "web")
    expect(etcd, place, {"web-1", "web-2", "web-3"})
    labels = sorted(addresses(etcd, place))

    def by_hand() -> None:
        first, second, _ = (f"/skydns/com/example/{domain}/web/{label}/ipv4" for label in labels)
        etcd.call("/v3/kv/deleterange", {"key": encoded(first)})
        etcd.call("/v3/kv/put", {"key": encoded(second), "value": encoded('{"host": "192.0.2.66"}')})

    domain = place.registry_namespace.partition(".")[0]
    before = etcd.keys("/skydns/")
    by_hand()
    wait_until(lambda: etcd.keys("/skydns/") == before, lambda: f"{before}; there is {etcd.keys('/skydns/')}")
    operator.end()
    by_hand()
    assert etcd.keys("/skydns/") != before
    operator.start()
    wait_until(lambda: etcd.keys("/skydns/") == before, lambda: f"{before}; there is {etcd.keys('/skydns/')}")


def revisions(etcd: EtcdCluster) -> Mapping[str, str]:
    """Return by which revision each key of DNS was written: none of another one was taken out in between."""
    found = etcd.call("/v3/kv/range", {"key": "L3NreWRucy8=", "range_end": "L3NreWRuczA="}).get("kvs", ())
    return {each["key"]: json.dumps([each["create_revision"], each["mod_revision"]]) for each in found}


def test_an_etcd_that_is_down_is_said_and_all_is_made_up_for(
    operator: Operator, etcd: EtcdCluster, place: Place
) -> None:
    declare(place)
    place.pod("web-1", "web")
    expect(etcd, place, {"web-1"})
    etcd.kill()
    place.pod("web-2", "web")
    said = place.wait_condition("RegistryService", "web", "RegistryReachable", "False")
    assert "no connection to http://127.0.0.1" in said["message"]
    wait_until(lambda: operator.metric(UP) == 0.0, "the metric to say so")
    etcd.start().wait()
    expect(etcd, place, {"web-1", "web-2"})
    place.wait_condition("RegistryService", "web", "RegistryReachable", "True")


def test_an_etcd_that_is_away_at_the_start_is_said_and_used_once_it_is_there(
    new_operator: NewOperator, etcd: EtcdCluster, place: Place, tmp_path: Path
) -> None:
    etcd.kill()
    operator = new_operator(config=configured(tmp_path, etcd)).start()
    apply(place)
    place.pod("web-1", "web")
    said = place.wait_condition("RegistryService", "web", "RegistryReachable", "False")
    assert "no connection to http://127.0.0.1" in said["message"]
    wait_until(lambda: operator.metric(UP) == 0.0, "the metric to say so")
    etcd.start().wait()
    expect(etcd, place, {"web-1"})
    place.wait_condition("RegistryService", "web", "RegistryReachable", "True")
