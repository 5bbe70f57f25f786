"""Two accounts in two Regions as two registries of one operator, each by a role of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kube_registrar.registries.embedded.history import Entry, history
from kube_registrar.testing.control_plane import ControlPlane
from tests.registries.cloudmap.sts import Sts, serving
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import DEREGISTER, REGISTER, Registry
from tests.scenarios.server import Server

DEV, PROD = (f"arn:aws:iam::{account * 12}:role/registrar" for account in ("1", "2"))
UP = 'kube_registrar_registry_up{{registry="{}"}}'


@pytest.fixture
def sts() -> Iterator[Sts]:
    with serving(Sts()) as sts:
        yield sts


@pytest.fixture
def prod_server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "prod"
    folder.mkdir()
    with Server(folder) as server:
        yield server


@pytest.fixture
def prod_place(plane: ControlPlane) -> Iterator[Place]:
    with Place(plane) as place:
        yield place


@pytest.fixture
def operator(new_operator: NewOperator, sts: Sts, server: Server, prod_server: Server, tmp_path: Path) -> Operator:
    config = tmp_path / "config.yaml"
    registries = {
        "dev": {"kind": "cloudmap", "region": "eu-west-1", "roleArn": DEV, "endpointUrl": server.endpoint},
        "prod": {"kind": "cloudmap", "region": "us-east-1", "roleArn": PROD, "endpointUrl": prod_server.endpoint},
    }
    config.write_text(yaml.safe_dump({"defaultRegistry": "dev", "registries": registries}), encoding="utf-8")
    return new_operator(config=config, variables={"AWS_ENDPOINT_URL_STS": sts.url}).start()


def declare(place: Place, registry: str, name: str) -> None:
    """Declare a registry namespace, which has the same name in both registries, and a service in it."""
    spec = {"registry": registry, "name": name}
    place.plane.apply([place.registry_namespace_manifest(**spec), place.registry_service_manifest("flask-app")])
    place.wait_condition("RegistryService", "flask-app", "Ready", "True")


@pytest.mark.usefixtures("operator")
def test_each_pod_is_registered_in_the_account_that_it_names_and_by_the_role_of_that(
    sts: Sts, server: Server, prod_server: Server, place: Place, prod_place: Place
) -> None:
    name = place.registry_namespace
    declare(place, "dev", name)
    declare(prod_place, "prod", name)
    place.pod("web-dev", "flask-app", service=f"{name}/flask-app")
    prod_place.pod("web-prod", "flask-app", service=f"prod:{name}/flask-app")
    dev, prod = (Registry(each.endpoint, name) for each in (server, prod_server))
    dev.expect("flask-app", {"web-dev"})
    prod.expect("flask-app", {"web-prod"})
    assert {asked["RoleArn"] for asked in sts.asked} == {DEV, PROD}


def test_an_account_that_does_not_answer_keeps_no_other_waiting(
    operator: Operator, server: Server, prod_server: Server, place: Place, prod_place: Place
) -> None:
    declare(place, "dev", place.registry_namespace)
    declare(prod_place, "prod", prod_place.registry_namespace)
    prod_server.stop()
    prod_place.pod("web-prod", "flask-app", service=f"prod:{prod_place.registry_namespace}/flask-app")
    prod_place.wait_condition("RegistryService", "flask-app", "RegistryReachable", "False")
    place.pod("web-dev", "flask-app")
    Registry(server.endpoint, place.registry_namespace).expect("flask-app", {"web-dev"})
    assert operator.metric(UP.format("dev")) == 1.0
    assert operator.metric(UP.format("prod")) == 0.0
    assert place.condition("RegistryService", "flask-app", "RegistryReachable")["status"] == "True"

    prod_server.start()
    Registry(prod_server.endpoint, prod_place.registry_namespace).expect("flask-app", {"web-prod"})


@pytest.mark.usefixtures("operator")
def test_one_pod_in_two_registries_has_what_each_of_them_lets_it_have(
    operator: Operator, server: Server, prod_server: Server, place: Place, prod_place: Place
) -> None:
    """Each has a circuit and a status of its own: what one cannot do keeps nothing from the other."""
    name = place.registry_namespace
    declare(place, "dev", name)
    declare(prod_place, "prod", name)
    place.pod("web", service=f"dev:{name}/flask-app,prod:{name}/flask-app", port="http", attributes="stage=a")
    dev, prod = (Registry(each.endpoint, name) for each in (server, prod_server))
    for registry in (dev, prod):
        assert registry.expect("flask-app", {"web"})["web"]["stage"] == "a"

    prod_server.stop()
    place.annotate("web", attributes="stage=b")
    dev.expect_attributes("flask-app", "web", lambda found: found["stage"] == "b")
    prod_place.wait_condition("RegistryService", "flask-app", "RegistryReachable", "False")
    assert place.condition("RegistryService", "flask-app", "RegistryReachable")["status"] == "True"
    assert (operator.metric(UP.format("dev")), operator.metric(UP.format("prod"))) == (1.0, 0.0)

    prod_server.start()
    prod.expect_attributes("flask-app", "web", lambda found: found["stage"] == "b")


@pytest.mark.usefixtures("operator")
def test_a_workload_moves_from_one_registry_to_another_without_a_gap(
    server: Server, prod_server: Server, place: Place, prod_place: Place
) -> None:
    """As docs/move-registries.md tells it; what the registries themselves recorded is the judge."""
    name, pods = place.registry_namespace, {"web-0", "web-1", "web-2"}
    declare(place, "dev", name)
    declare(prod_place, "prod", name)
    dev, prod = (Registry(each.endpoint, name) for each in (server, prod_server))
    for pod in pods:
        place.pod(pod, service=f"dev:{name}/flask-app", port="http")
    dev.expect("flask-app", pods)
    for pod in pods:
        place.annotate(pod, service=f"dev:{name}/flask-app,prod:{name}/flask-app")
    prod.expect("flask-app", pods)
    assert set(dev.discover("flask-app")) == pods
    for pod in pods:
        place.annotate(pod, service=f"prod:{name}/flask-app")
    dev.expect("flask-app", set())
    assert set(prod.discover("flask-app")) == pods

    came = {each.attributes["KUBE_POD"]: each for each in of_type(prod_server, REGISTER)}
    names = {each.instance_id: each.attributes["KUBE_POD"] for each in of_type(server, REGISTER)}
    left = {names[each.instance_id]: each for each in of_type(server, DEREGISTER)}
    assert came.keys() == left.keys() == pods
    assert [pod for pod in pods if came[pod].status != "SUCCESS" or came[pod].updated > left[pod].created] == []
    assert of_type(prod_server, DEREGISTER) == []


def of_type(server: Server, operation: str) -> list[Entry]:
    return [each for each in history(server.data) if each.operation == operation]
