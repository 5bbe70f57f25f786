"""`serve` with access keys, and an operator that keeps it true with a key of its own, as it keeps AWS's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.testing.processes import free_port
from kube_registrar.testing.waiting import wait_until
from tests.cli.serving import Served, served
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered
from tests.wire.harness import error_of
from tests.wire.keys import READ


@pytest.fixture
def key(place: Place) -> AccessKey:
    """The operator's: for the registry namespace of this test, and no other."""
    return AccessKey("AKIDOPERATOR", "the-secret-of-the-operator", Role.ADMIN, frozenset({place.registry_namespace}))


def write(path: Path, *keys: AccessKey) -> None:
    lines = [
        f"- {{accessKeyID: {key.id}, secretAccessKey: {key.secret}, role: {key.role}"
        + (f", registryNamespaces: [{', '.join(key.namespaces)}]" if key.namespaces else "")
        + "}\n"
        for key in keys
    ]
    path.write_text("".join(lines))
    path.chmod(0o600)


@pytest.fixture
def one(tmp_path: Path, key: AccessKey) -> Iterator[Served]:
    """Run `serve` where other machines could reach it."""
    write(tmp_path / "keys.yaml", key, READ)
    listen = f"0.0.0.0:{free_port()}"
    with served(tmp_path, "--api-listen", listen, "--access-keys", str(tmp_path / "keys.yaml")) as one:
        yield one


@pytest.fixture
def endpoint(one: Served) -> str:
    return one.address("api").replace("0.0.0.0", "127.0.0.1")


@pytest.fixture
def operator(new_operator: NewOperator, endpoint: str, key: AccessKey) -> Operator:
    env = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}
    return new_operator(endpoint=endpoint, variables=env).start()


def test_the_operator_keeps_it_true_with_a_key_for_its_namespace_alone(
    operator: Operator, one: Served, key: AccessKey, place: Place, tmp_path: Path
) -> None:
    place.declare("flask-app")
    for name in ("stays", "goes"):
        place.pod(name, "flask-app")
    registry = Registry(operator.endpoint, place.registry_namespace, READ.id, READ.secret)
    registry.expect("flask-app", {"stays", "goes"})
    place.delete("Pod", "goes", now=True)
    registry.expect("flask-app", {"stays"})
    assert deregistered(one.data) == ["goes"]
    assert error_of(registry.api.create_http_namespace, Name="a")[0] == "AccessDeniedException"

    # The key is taken away while both run, and given back: nothing is lost, and nobody is restarted.
    write(tmp_path / "keys.yaml", READ)
    wait_until(lambda: one.said("the access-keys were read again"), "the keys to be read again")
    place.pod("comes", "flask-app")
    place.wait_condition("RegistryService", "flask-app", "RegistryReachable", "False")
    write(tmp_path / "keys.yaml", READ, key)
    registry.expect("flask-app", {"stays", "comes"})
    text = operator.log.read_text(encoding="utf-8") + one.log.read_text(encoding="utf-8")
    assert key.secret not in text
    assert one.end() == 0
