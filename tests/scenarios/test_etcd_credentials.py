"""The operator on an etcd that asks who it is: a password and a certificate that are wrong for a while."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.testing.etcd import EtcdCluster
from kube_registrar.testing.waiting import wait_until
from tests.registries.etcd.certificates import Authority
from tests.registries.etcd.ground import guard
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.judge import Judge
from tests.scenarios.place import Place

pytestmark = pytest.mark.extended

UP = 'kube_registrar_registry_up{registry="default"}'


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path) as etcd:
        guard(etcd)
        yield etcd


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    if shutil.which("openssl") is None:
        pytest.fail("these tests make certificates with openssl, which is not installed", pytrace=False)
    (tmp_path / "certificates").mkdir()
    return Authority(tmp_path / "certificates")


@pytest.fixture
def encrypted(tmp_path: Path, authority: Authority) -> Iterator[EtcdCluster]:
    cert, key = authority.issue("server")
    flags = (f"--cert-file={cert}", f"--key-file={key}", f"--trusted-ca-file={authority.ca}", "--client-cert-auth")
    etcd = EtcdCluster(tmp_path, 1, *flags, scheme="https")
    try:
        yield etcd.start()
    finally:
        etcd.kill()


def started(new_operator: NewOperator, folder: Path, options: dict[str, Any]) -> Operator:
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"registries": {"default": options}}), encoding="utf-8")
    return new_operator(config=config).start()


def says_so(operator: Operator, place: Place, what: str) -> None:
    """See that the condition tells this, whatever it told first, and that the metric tells it too."""
    said: Callable[[], str] = lambda: str(place.condition("RegistryService", "web", "RegistryReachable"))  # noqa: E731
    place.wait_condition("RegistryService", "web", "RegistryReachable", "False")
    wait_until(lambda: what in said(), lambda: f"the condition to say {what!r}; it is {said()}")
    wait_until(lambda: operator.metric(UP) == 0.0, "the metric to say so")


def recovers(operator: Operator, place: Place, judge: Judge, *pods: str) -> None:
    """See that all is made up for, and said."""
    judge.expect(place.registry_namespace, "web", set(pods))
    place.wait_condition("RegistryService", "web", "RegistryReachable", "True")
    wait_until(lambda: operator.metric(UP) == 1.0, "the metric to say so")


def test_a_password_that_was_changed_is_said_and_the_new_one_is_read(
    new_operator: NewOperator, guarded: EtcdCluster, place: Place, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("secret", encoding="utf-8")
    options = {"kind": "etcd", "endpoints": list(guarded.endpoints), "user": "registrar", "passwordFile": str(password)}
    operator = started(new_operator, tmp_path, options)
    place.declare("web")
    place.pod("web-0", "web")
    with Judge(options) as judge:
        judge.expect(place.registry_namespace, "web", {"web-0"})

    root = guarded.call("/v3/auth/authenticate", {"name": "root", "password": "toor"})["token"]
    guarded.call("/v3/auth/user/changepw", {"name": "registrar", "password": "another"}, root)
    place.pod("web-1", "web")
    says_so(operator, place, "etcd does not know this user with this password")

    password.write_text("another", encoding="utf-8")
    with Judge(options) as judge:
        recovers(operator, place, judge, "web-0", "web-1")


def test_a_certificate_that_ran_out_is_said_and_the_renewed_one_is_read(
    new_operator: NewOperator, encrypted: EtcdCluster, authority: Authority, place: Place, tmp_path: Path
) -> None:
    cert, key = authority.issue("operator")
    judge_cert, judge_key = authority.issue("judge")
    options = {"kind": "etcd", "endpoints": list(encrypted.endpoints), "caFile": str(authority.ca)}
    operator = started(new_operator, tmp_path, {**options, "certFile": str(cert), "keyFile": str(key)})
    with Judge({**options, "certFile": str(judge_cert), "keyFile": str(judge_key)}) as judge:
        place.declare("web")
        place.pod("web-0", "web")
        judge.expect(place.registry_namespace, "web", {"web-0"})

        authority.issue("operator", expired=True)
        encrypted.kill()  # who is connected was proved already
        encrypted.start()
        place.pod("web-1", "web")
        says_so(operator, place, "does not take our certificate")

        authority.issue("operator")
        recovers(operator, place, judge, "web-0", "web-1")
