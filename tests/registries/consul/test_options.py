"""Options of a consul registry, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.consul.options import Options, read_options
from kube_registrar.registries.consul.secrets import Secrets

pytestmark = pytest.mark.extended

EDGE = RegistryName("edge")


def test_all_may_be_left_to_their_defaults() -> None:
    assert read_options({}, EDGE) == Options()


def test_all_may_be_given(tmp_path: Path) -> None:
    for name in ("token", "ca", "cert", "key"):
        (tmp_path / name).write_text("x", encoding="ascii")
    given = {
        "address": "https://consul.example.com:8501/",
        "datacenter": "dc1",
        "tokenFile": str(tmp_path / "token"),
        "caFile": str(tmp_path / "ca"),
        "certFile": str(tmp_path / "cert"),
        "keyFile": str(tmp_path / "key"),
        "node": "kube-eu",
        "prefix": "teams/web/",
        "serviceName": "{service}",
    }
    assert read_options(given, EDGE) == Options(
        "https://consul.example.com:8501",
        "dc1",
        tmp_path / "token",
        tmp_path / "ca",
        tmp_path / "cert",
        tmp_path / "key",
        "kube-eu",
        "teams/web/",
        "{service}",
    )


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"adress": "x"}, "'adress'"),
        ({"address": "consul:8500"}, "address"),
        ({"address": "http://user:secret@consul:8500"}, "address"),
        ({"address": "http://consul:8500/v1"}, "address"),
        ({"address": "http://consul:port"}, "address"),
        ({"datacenter": "dc 1"}, "datacenter"),
        ({"node": "a.b"}, "node"),
        ({"prefix": "kube-registrar"}, "prefix"),
        ({"prefix": "/x/"}, "prefix"),
        ({"serviceName": "{namespace}"}, "serviceName"),
        ({"serviceName": "{service}.{namespace}"}, "serviceName"),
        ({"serviceName": "{service"}, "serviceName"),
        ({"serviceName": "{service}{0}"}, "serviceName"),
        ({"tokenFile": "/no/such/token"}, "tokenFile"),
        ({"tokenFile": 7}, "tokenFile"),
        ({"caFile": __file__}, "caFile"),
        ({"address": "https://consul:8501", "certFile": __file__}, "certFile"),
    ],
)
def test_what_is_wrong_is_named(config: Mapping[str, object], named: str) -> None:
    with pytest.raises(UserError, match=r"registry 'edge'.*" + named):
        read_options(config, EDGE)


def test_files_that_are_no_certificates_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no certificate", encoding="ascii")
    options = read_options({"address": "https://consul:8501", "caFile": str(tmp_path / "ca")}, EDGE)
    with pytest.raises(UserError, match=r"registry 'edge'.*caFile"):
        Secrets(options, EDGE)
