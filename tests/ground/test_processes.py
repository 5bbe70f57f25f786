"""Child processes end when they should, and always when their owner does."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kube_registrar.testing.errors import ProcessFailed
from kube_registrar.testing.processes import PORTS, Child, free_port, is_alive
from kube_registrar.testing.waiting import wait_until

OWNER = """
import sys, time
from pathlib import Path
from kube_registrar.testing.processes import Child
child = Child("sleeper", ["sleep", "1000"], Path(sys.argv[1]) / "log", remove=Path(sys.argv[1]))
print(child.pid, child._supervisor.pid, flush=True)
time.sleep(1000)
"""


def pids(owner: "subprocess.Popen[str]") -> tuple[int, int]:
    assert owner.stdout is not None
    child, supervisor = owner.stdout.readline().split()
    return int(child), int(supervisor)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_dies_when_its_owner_is_killed_and_its_folder_goes_too(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        child, supervisor = pids(owner)
        assert is_alive(child)
        assert (folder / "log").exists()
        owner.send_signal(number)
    wait_until(lambda: not is_alive(child) and not is_alive(supervisor), "the child and its supervisor to end")
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_dies_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    with Child("sleeper", ["sleep", "1000"], tmp_path / "log") as child:
        os.kill(child._supervisor.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(child.pid), "the child to end")


def test_what_a_child_started_itself_dies_with_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 1000 & echo $! > {file}; wait"]
    with Child("parent", command, tmp_path / "log"):
        wait_until(lambda: file.exists() and file.read_text().endswith("\n"), "its pid")
        pid = int(file.read_text())
        assert is_alive(pid)
    wait_until(lambda: not is_alive(pid), "it to end")


def test_stop_lets_a_child_end_by_itself(tmp_path: Path) -> None:
    command = ["sh", "-c", f"trap 'echo bye; exit 7' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"]
    with Child("polite", command, tmp_path / "log") as child:
        wait_until((tmp_path / "ready").exists, "the trap to be set")
        assert child.stop() == 7
    assert (tmp_path / "log").read_text().endswith("bye\n")  # its shell may tell of the signal before


def test_stop_kills_a_child_that_does_not_listen(tmp_path: Path) -> None:
    command = ["sh", "-c", f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"]
    with Child("deaf", command, tmp_path / "log") as child:
        wait_until((tmp_path / "ready").exists, "the trap to be set")
        assert child.stop(seconds=0.1) == 128 + signal.SIGKILL
        assert not is_alive(child.pid)


def test_killing_twice_does_nothing(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "1000"], tmp_path / "log")
    assert child.kill() == 128 + signal.SIGKILL
    assert child.kill() == 128 + signal.SIGKILL
    assert child.poll() == 128 + signal.SIGKILL


def test_a_child_keeps_its_exit_code_its_log_and_its_environment(tmp_path: Path) -> None:
    with Child("done", ["sh", "-c", "echo $A; exit 3"], tmp_path / "log", env={"A": "b"}) as child:
        assert child.wait(30) == 3
    assert (tmp_path / "log").read_text() == "b\n"
    assert str(child.failure("failed")) == "done failed; its log ended so:\nb"


def test_waiting_for_a_child_that_goes_on_is_an_error(tmp_path: Path) -> None:
    with Child("sleeper", ["sleep", "1000"], tmp_path / "log") as child, pytest.raises(ProcessFailed) as caught:
        child.wait(0.01)
    assert str(caught.value) == "sleeper still runs after 0.01 s; its log is empty"


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed) as caught:
        Child("etcd", [tmp_path / "nowhere"], tmp_path / "log")
    assert str(caught.value) == f"etcd could not be started: {tmp_path}/nowhere: No such file or directory"


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50
    assert ports <= set(PORTS)
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports.pop()))


def test_a_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        free = free_port()
        monkeypatch.setattr("kube_registrar.testing.processes._given", set())
        monkeypatch.setattr("kube_registrar.testing.processes.PORTS", range(taken, taken + 1))
        with pytest.raises(Exception, match=f"no TCP port between {taken} and {taken} is free on 127.0.0.1"):
            free_port()
    assert free != taken
