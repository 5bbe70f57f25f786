"""What `kube-registrar run` says where it cannot begin: one sentence, and no secret."""

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.cli.ground import kubeconfig
from tests.threads import answering
from tests.warm import processes as warm

TOKEN = "a-token-that-nobody-may-see"


class Refusing(BaseHTTPRequestHandler):
    """An API server that knows nobody."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *args: object) -> None:
        """Write nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with answering(Refusing) as url:
        yield url


def run(folder: Path, *args: str) -> str:
    """Return the one sentence that `run` ends with."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
    flags = ["--registry", "embedded", "--data", str(folder / "data"), *args]
    done = warm.run(["run", *flags], {**environ, "HOME": str(folder)})
    assert (done.returncode, done.stdout) == (1, "")
    assert TOKEN not in done.stderr
    sentence = done.stderr.removeprefix("kube-registrar: ")
    assert sentence != done.stderr
    assert sentence.count("\n") == 1
    return sentence


def test_no_cluster_is_configured(tmp_path: Path) -> None:
    assert run(tmp_path).startswith("no cluster is configured: ")


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, "--kubeconfig", "/no/such/file").startswith("kubeconfig /no/such/file does not exist: ")


def test_an_unknown_context_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", TOKEN)
    assert run(tmp_path, "--kubeconfig", path, "--context", "there") == (
        f"kubeconfig {path} has no context 'there': there is here\n"
    )


def test_an_api_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", TOKEN)
    sentence = run(tmp_path, "--kubeconfig", path)
    assert sentence.startswith(f"the API server http://127.0.0.1:1 (context here of {path}) does not answer: check ")


def test_an_api_server_that_refuses_the_credentials_is_named(tmp_path: Path, refusing: str) -> None:
    assert refusing in run(tmp_path, "--kubeconfig", kubeconfig(tmp_path, refusing, TOKEN))
