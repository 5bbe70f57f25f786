"""What is forked is as what is started: its output, its code, its signals, and nothing is left of it."""

import os
import signal
from pathlib import Path

from kube_registrar.testing.processes import is_alive
from tests.scenarios.harness import environment
from tests.warm import processes as warm

FLAGS = ("run", "--registry", "embedded", "--kubeconfig")


def test_output_errors_and_code_are_those_of_the_command() -> None:
    done = warm.run(["version"], environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kube-registrar ")
    done = warm.run(["run", "--no-such-flag"], environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert "--no-such-flag" in done.stderr


def test_each_has_the_environment_that_it_was_given_and_no_other() -> None:
    for region in ("eu-west-1", "us-east-1"):
        given = environment() | {"KUBE_REGISTRAR_DEFAULT_REGISTRY": region}
        done = warm.run([*FLAGS, "/nowhere"], given)
        assert done.returncode == 1
        assert region in done.stderr
    assert "eu-west-1" not in warm.run([*FLAGS, "/nowhere"], environment()).stderr


def test_signals_reach_it_and_its_code_tells_of_them(tmp_path: Path) -> None:
    never = tmp_path / "kubeconfig"
    os.mkfifo(never)  # opening it waits for a writer, and none comes
    process = warm.Process(["run", "--kubeconfig", str(never)], tmp_path / "log", environment())
    process.signal(signal.SIGKILL)
    assert process.wait(30.0) == 128 + signal.SIGKILL
    assert not is_alive(process.pid)
    assert process.kill() == 128 + signal.SIGKILL, "killing it again does nothing"
