"""The operator on a Consul that proves who it is, and on one of three servers: what is wrong for a while is said."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.testing.consul import Consul, several
from kube_registrar.testing.waiting import wait_until
from tests.registries.consul.ground import certificate, new_consul
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.judge import Judge
from tests.scenarios.place import Place

pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]

UP = 'kube_registrar_registry_up{registry="default"}'


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Sequence[Consul]]:
    with several([new_consul(tmp_path / f"server-{number}") for number in range(3)]) as servers:
        yield servers


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    """Whom the server lets in; each certificate signs itself."""
    return tmp_path / "clients.pem"


@pytest.fixture
def encrypted(tmp_path: Path, clients: Path) -> Iterator[Consul]:
    cert, key = certificate(tmp_path / "server", "server")
    issued(tmp_path, clients, "judge")
    issued(tmp_path, clients, "operator")
    issued(tmp_path, clients, "expired", is_expired=True)
    tls = {"cert_file": str(cert), "key_file": str(key), "ca_file": str(clients), "verify_incoming": True}
    with new_consul(tmp_path / "consul", settings={"tls": {"https": tls}}, https=True) as consul:
        yield consul


def issued(folder: Path, clients: Path, name: str, *, is_expired: bool = False) -> None:
    """Make a certificate that the server knows."""
    cert, _ = certificate(folder / name, "client", is_expired=is_expired)
    with clients.open("ab") as file:
        file.write(cert.read_bytes())


def options_of(consul: Consul, folder: Path, name: str) -> dict[str, Any]:
    files = {"certFile": str(folder / name / "client.crt"), "keyFile": str(folder / name / "client.key")}
    return {"kind": "consul", "address": consul.https_address, "caFile": str(folder / "server" / "server.crt"), **files}


def started(new_operator: NewOperator, folder: Path, options: dict[str, Any]) -> Operator:
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"registries": {"default": options}}), encoding="utf-8")
    return new_operator(config=config).start()


@pytest.fixture
def known(
    new_operator: NewOperator, encrypted: Consul, place: Place, tmp_path: Path
) -> Iterator[tuple[Operator, Judge]]:
    """An operator and a judge, each with a certificate that the server knows; one pod is registered."""
    operator = started(new_operator, tmp_path, options_of(encrypted, tmp_path, "operator"))
    with Judge(options_of(encrypted, tmp_path, "judge")) as judge:
        place.declare("web")
        place.pod("web-0", "web")
        judge.expect(place.registry_namespace, "web", {"web-0"})
        yield operator, judge


def says_so(operator: Operator, place: Place, what: str) -> None:
    """See that condition and metric tell this within half a minute."""
    said: Callable[[], dict[str, Any]] = lambda: place.condition("RegistryService", "web", "RegistryReachable")  # noqa: E731
    wait_until(
        lambda: said().get("status") == "False" and what in str(said()) and operator.metric(UP) == 0.0,
        lambda: f"condition and metric to say {what!r}; they are {said()} and {operator.metric(UP)}",
        seconds=30,
    )


def recovers(operator: Operator, place: Place, judge: Judge, *pods: str) -> None:
    """See that all is made up for, and said."""
    judge.expect(place.registry_namespace, "web", set(pods))
    place.wait_condition("RegistryService", "web", "RegistryReachable", "True")
    wait_until(lambda: operator.metric(UP) == 1.0, "the metric to say so")


def test_a_server_that_is_away_at_the_start_is_said_and_used_once_it_is_there(
    new_operator: NewOperator, place: Place, tmp_path: Path
) -> None:
    consul = new_consul(tmp_path / "consul")
    options = {"kind": "consul", "address": consul.address}
    operator = started(new_operator, tmp_path, options)
    place.plane.apply([place.registry_namespace_manifest(), place.registry_service_manifest("web")])
    place.pod("web-0", "web")
    says_so(operator, place, "no connection to Consul")
    with consul, Judge(options) as judge:
        recovers(operator, place, judge, "web-0")


def test_servers_without_a_majority_are_said_and_used_again_once_it_is_back(
    new_operator: NewOperator, three: Sequence[Consul], place: Place, tmp_path: Path
) -> None:
    stays, *others = three
    options = {"kind": "consul", "address": stays.address}
    operator = started(new_operator, tmp_path, options)
    place.declare("web")
    place.pod("web-0", "web")
    with Judge(options) as judge:
        judge.expect(place.registry_namespace, "web", {"web-0"})
        for server in others:
            server.kill()
        place.pod("web-1", "web")
        # That it has no leader; or, asked before it knows, that the one it had cannot be reached.
        says_so(operator, place, "Registry 'default' does not answer: ")

        for server in others:
            server.launch()
        recovers(operator, place, judge, "web-0", "web-1")


def test_a_certificate_that_ran_out_is_said_and_the_renewed_one_is_read(
    known: tuple[Operator, Judge], encrypted: Consul, place: Place, tmp_path: Path
) -> None:
    operator, judge = known
    own, expired = tmp_path / "operator", tmp_path / "expired"
    good = {name: (own / name).read_bytes() for name in ("client.crt", "client.key")}
    for name in good:
        (own / name).write_bytes((expired / name).read_bytes())
    encrypted.kill()  # who is connected was proved already
    encrypted.start()
    place.pod("web-1", "web")
    says_so(operator, place, "does not take our certificate")

    for name, content in good.items():
        (own / name).write_bytes(content)
    recovers(operator, place, judge, "web-0", "web-1")


def test_a_server_whose_certificate_ran_out_is_said_and_used_again_once_it_is_renewed(
    known: tuple[Operator, Judge], encrypted: Consul, place: Place, tmp_path: Path
) -> None:
    operator, judge = known
    folder = tmp_path / "server"
    good = {name: (folder / name).read_bytes() for name in ("server.crt", "server.key")}
    certificate(folder, "server", is_expired=True)  # which the operator is told to trust
    encrypted.kill()
    encrypted.start()
    place.pod("web-1", "web")
    says_so(operator, place, "certificate has expired")

    for name, content in good.items():
        (folder / name).write_bytes(content)
    encrypted.kill()
    encrypted.start()
    recovers(operator, place, judge, "web-0", "web-1")
