"""TLS: one certificate for both names that SDKs use, read again when it changes."""

import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from kube_registrar.model.errors import UserError
from kube_registrar.server.access.reloading import Watched
from kube_registrar.server.access.tls import Certificate
from tests.server.access.certificates import NAMES, certificate
from tests.wire.harness import Server, namespace, register, running, service


@pytest.fixture
def both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have both names resolve, as a line of the hosts file would."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host in NAMES else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path)


@pytest.fixture
def server(tmp_path: Path, made: tuple[Path, Path]) -> Iterator[Server]:
    loaded = Certificate(*made)
    loaded.load()
    with running(tmp_path / "data", tls=loaded.context) as server:
        yield server


def test_an_sdk_finds_instances_under_both_names_by_one_certificate(
    server: Server, made: tuple[Path, Path], both_names: None
) -> None:
    api = boto3.client(
        "servicediscovery",
        endpoint_url=f"https://registry.localhost:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        verify=str(made[0]),
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    hosts = list[str]()
    api.meta.events.register("before-send.servicediscovery", lambda request, **_: hosts.append(request.url))
    register(api, service(api, namespace(api)), AWS_INSTANCE_IPV4="10.0.0.1")
    found = api.discover_instances(NamespaceName="test-namespace", ServiceName="flask-app")["Instances"]
    assert [one["InstanceId"] for one in found] == ["i-1"]
    assert hosts[0] == f"https://registry.localhost:{server.port}/"
    assert hosts[-1] == f"https://data-registry.localhost:{server.port}/"


def test_a_handshake_that_does_not_come_is_given_up(
    tmp_path: Path, made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_registrar.server.listening.HANDSHAKE_SECONDS", 0.1)
    loaded = Certificate(*made)
    loaded.load()
    with (
        running(tmp_path / "data", tls=loaded.context) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as connection,
    ):
        assert connection.recv(100) == b""


def test_what_is_older_than_tls_1_2_is_refused(server: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", server.port), 20) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=20)


def test_a_new_certificate_is_shown_and_a_broken_one_is_not(
    tmp_path: Path, made: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    told = list[tuple[str, str]]()
    caplog.set_level(logging.INFO, "kube_registrar")
    loaded = Certificate(*made)
    watched = Watched("tls", loaded.load, lambda *what: told.append(what))
    old = made[0].read_text()
    new = certificate(tmp_path, "new")
    with running(tmp_path / "data", tls=loaded.context) as server:
        assert shown(server.port) == old
        assert not watched.look()
        made[0].write_bytes(new[0].read_bytes())  # half of the new pair is there: nothing to use yet
        assert watched.look()
        assert shown(server.port) == old
        made[1].write_bytes(new[1].read_bytes())
        assert watched.look()
        assert shown(server.port) == new[0].read_text()
    assert told == [("tls", "error"), ("tls", "ok")]
    assert "PRIVATE KEY" not in caplog.text


def test_a_pair_that_cannot_be_used_is_one_sentence(tmp_path: Path, made: tuple[Path, Path]) -> None:
    other = certificate(tmp_path, "other")
    (tmp_path / "text").write_text("no PEM")
    locked = tmp_path / "locked.key"
    for cert, key in ((made[0], other[1]), (tmp_path / "text", made[1]), (tmp_path / "none", locked)):
        with pytest.raises(UserError) as caught:
            Certificate(cert, key).load()
        assert str(cert) in str(caught.value)
        assert "--tls-cert" in str(caught.value)
        assert "\n" not in str(caught.value)
