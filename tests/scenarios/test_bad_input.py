"""Whatever is wrong outside of Kubernetes objects ends `run` with one sentence, and nothing that is stored is lost."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.processes import free_port
from tests.scenarios.harness import Operator, environment
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, changes
from tests.warm import processes as warm

SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it said besides log lines."""

    code: int
    sentence: str


def run(*flags: str) -> Ended:
    """Run `kube-registrar run` with these flags until it ends by itself; it must say just one thing."""
    done = warm.run(["run", *flags], environment(), seconds=SECONDS)
    assert "Traceback" not in done.stderr + done.stdout
    assert "this is a bug" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    return Ended(done.returncode, "\n".join(lines))


@dataclass(frozen=True)
class Usual:
    """Flags that are right, to change one of."""

    kubeconfig: Path
    data: Path

    def run(self, **changed: str) -> Ended:
        """Run with some flags set otherwise; an argument's name is that of the flag."""
        flags = {
            "registry": "embedded",
            "data": str(self.data),
            "kubeconfig": str(self.kubeconfig),
            "listen": "127.0.0.1:0",
            "api_listen": "127.0.0.1:0",
        } | changed
        return run(*(text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)))


@pytest.fixture
def usual(plane: ControlPlane, tmp_path: Path) -> Usual:
    """Flags with which the operator would run."""
    return Usual(plane.kubeconfig, tmp_path / "registry")


def _assert_one_sentence(ended: Ended, *words: str, code: int = 1) -> None:
    assert ended.code == code, ended
    assert ended.sentence.startswith("kube-registrar: "), ended
    assert len(ended.sentence.splitlines()) == 1, ended
    assert [word for word in words if word not in ended.sentence] == [], ended


def _kubeconfig(path: Path, server: str, token: str = "no-such-token") -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "here", "user": {"token": token}}],
    }
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_no_cluster_is_reachable(usual: Usual, tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    ended = usual.run(kubeconfig=str(_kubeconfig(tmp_path / "kubeconfig", server)))
    _assert_one_sentence(ended, server, "does not answer", "--kubeconfig")
    assert not usual.data.exists()


def test_the_kubeconfig_is_missing(usual: Usual, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    _assert_one_sentence(usual.run(kubeconfig=missing), missing, "does not exist", "--kubeconfig")


def test_the_context_is_unknown(usual: Usual) -> None:
    _assert_one_sentence(usual.run(context="prod"), "'prod'", "test-ground")


def test_the_credentials_are_refused(usual: Usual, plane: ControlPlane, tmp_path: Path) -> None:
    ended = usual.run(kubeconfig=str(_kubeconfig(tmp_path / "kubeconfig", plane.url)))
    _assert_one_sentence(ended, plane.url, "does not accept the credentials", "--context")
    assert "no-such-token" not in ended.sentence


def test_a_right_is_missing(usual: Usual, place: Place) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "weak", "namespace": place.namespace}}
    place.plane.apply(account)
    kubeconfig = place.plane.service_account_kubeconfig(place.namespace, "weak")
    ended = usual.run(kubeconfig=str(kubeconfig))
    _assert_one_sentence(ended, "does not allow", "list, watch pods in all namespaces", "grant it")


def test_our_kinds_are_not_installed(usual: Usual) -> None:
    with ControlPlane(nodes=0, kwok=False) as bare:
        ended = usual.run(kubeconfig=str(bare.kubeconfig))
    _assert_one_sentence(
        ended,
        "registrynamespaces.kube-registrar.dev and registryservices.kube-registrar.dev",
        "kubectl apply -f crds/",
    )


@pytest.fixture
def taken() -> Iterator[str]:
    """An address at which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


@pytest.mark.parametrize("flag", ["listen", "api_listen"])
def test_a_port_is_taken(usual: Usual, taken: str, flag: str) -> None:
    _assert_one_sentence(usual.run(**{flag: taken}), taken, "taken by another process", f"--{flag.replace('_', '-')}")


def test_the_data_folder_cannot_be_used(usual: Usual) -> None:
    usual.data.write_text("a file, not a folder", encoding="utf-8")
    _assert_one_sentence(usual.run(), str(usual.data), "--data")
    assert usual.data.read_text(encoding="utf-8") == "a file, not a folder"


def test_the_database_is_something_else(usual: Usual) -> None:
    usual.data.mkdir()
    database = usual.data / "registry.sqlite3"
    database.write_bytes(b"this is no database at all, but somebody's letter" * 100)
    before = database.read_bytes()
    _assert_one_sentence(usual.run(), str(database), "damaged", "was left as it is")
    assert database.read_bytes() == before


def test_a_database_that_is_damaged_is_refused_and_left_as_it_is(
    operator: Operator, place: Place, registry: Registry, usual: Usual
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    assert operator.end() == 0
    database = operator.data / "registry.sqlite3"
    whole = database.read_bytes()
    page = 4096
    database.write_bytes(whole[:page] + b"\xff" * page + whole[2 * page :])
    damaged = database.read_bytes()

    _assert_one_sentence(usual.run(data=str(operator.data)), str(database), "damaged", "put back a copy")
    assert database.read_bytes() == damaged

    # The copy put back, everything is there.
    database.write_bytes(whole)
    operator.start()
    assert set(registry.discover("flask-app")) == {"web"}


def test_the_data_folder_is_used_by_another_operator(operator: Operator, usual: Usual) -> None:
    ended = usual.run(data=str(operator.data))
    _assert_one_sentence(ended, str(operator.data), f"process {operator.child.pid}", "--data")
    assert operator.probe("/readyz")[0] == 200


def test_what_ends_with_an_error_has_changed_nothing_that_is_stored(
    operator: Operator, place: Place, registry: Registry, usual: Usual, taken: str
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    before = changes(operator.data)
    operator.kill()
    _assert_one_sentence(usual.run(data=str(operator.data), listen=taken), "taken")
    _assert_one_sentence(usual.run(data=str(operator.data), api_listen=taken), "taken")
    assert changes(operator.data) == before
    operator.start()
    assert set(registry.discover("flask-app")) == {"web"}


def test_a_flag_is_wrong(usual: Usual) -> None:
    # What the command line itself is wrong in is told with its usage, as every command does it.
    for flags, words in ((("--lisen", "x"), ("--lisen", "--listen")), (("--log-format", "xml"), ("'xml'", "'plain'"))):
        ended = run(*flags)
        assert ended.code == 2
        assert [word for word in words if word not in ended.sentence.splitlines()[-1]] == []
    _assert_one_sentence(usual.run(listen="8080"), "--listen", "'8080'", "HOST:PORT")
    _assert_one_sentence(usual.run(registry="embeded"), "embeded", "embedded")
    _assert_one_sentence(usual.run(simulate="latency=soon"), "latency", "soon", "20ms")
    _assert_one_sentence(run("--kubeconfig", str(usual.kubeconfig)), "no registry is configured", "--registry embedded")
