"""The command `kube-registrar` in processes of its own, forked from one that has imported it already: see `server`.

What this cannot show is the start itself; tests of that use `python -m kube_registrar`.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from kube_registrar.testing.errors import ProcessFailed, tail
from kube_registrar.testing.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Server:
    """The process that forks. It ends with this one."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm.server"],
                stdin=theirs.fileno(),
                cwd=ROOT,
                env=kept,
                start_new_session=True,
            )
        self._socket = ours
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}

    def start(self, args: Sequence[str], env: Mapping[str, str], stdin: int, stdout: int, stderr: int) -> int:
        """Start the command with these arguments; return its process id."""
        asked = json.dumps({"args": list(args), "env": dict(env)}).encode()
        with self._lock:
            socket.send_fds(self._socket, [asked], [stdin, stdout, stderr])
            while True:
                said = self._hear()
                if "began" in said:
                    return int(said["began"])

    def code(self, pid: int) -> int | None:
        """Return the exit code (128 + n for signal n) of what was started, None while it runs."""
        with self._lock:
            self._socket.setblocking(False)
            try:
                while True:
                    self._hear()
            except BlockingIOError:
                return self._codes.get(pid)
            finally:
                self._socket.setblocking(True)

    def close(self) -> None:
        """End it, and all that it started."""
        self._socket.close()
        self._process.wait(10.0)

    def _hear(self) -> dict[str, Any]:
        text = self._socket.recv(1024)
        if not text:
            raise ProcessFailed("the process that kube-registrar is forked from has ended")
        said: dict[str, Any] = json.loads(text)
        if "ended" in said:
            self._codes[said["ended"]] = said["code"]
        return said


@cache
def server() -> Server:
    """Return the one of this process."""
    made = Server()
    atexit.register(made.close)
    return made


class Process:
    """`kube-registrar` with some arguments, as a `kube_registrar.testing.processes.Child` is."""

    def __init__(self, args: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as write, Path(os.devnull).open("rb") as nothing:
            self.pid = server().start(args, env, nothing.fileno(), write.fileno(), write.fileno())

    def poll(self) -> int | None:
        """Return the exit code (128 + n for signal n), or None while it runs."""
        return server().code(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for its own end and return its exit code. Raises an error with the end of its log if it still runs."""
        wait_until(
            lambda: self.poll() is not None, lambda: f"the end of kube-registrar; {tail(self.log)}", seconds=seconds
        )
        code = self.poll()
        assert code is not None
        return code

    def kill(self) -> int:
        """End it at once, with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.wait(30.0)


def run(args: Sequence[str], env: Mapping[str, str], *, answer: str = "", seconds: float = 90.0) -> "Ended":
    """Run it to its end, `answer` on its standard input; return how it ended. Raises an error if it takes longer."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(answer.encode())
        stdin.seek(0)
        pid = server().start(args, env, stdin.fileno(), out.fileno(), err.fileno())
        try:
            wait_until(lambda: server().code(pid) is not None, f"{args[0]} to end", seconds=seconds)
        except BaseException:
            os.killpg(pid, signal.SIGKILL)
            raise
        code = server().code(pid)
        assert code is not None
        return subprocess.CompletedProcess([*args], code, _text(out), _text(err))


Ended = subprocess.CompletedProcess[str]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
