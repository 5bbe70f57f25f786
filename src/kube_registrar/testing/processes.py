"""Child processes that log to a file and never outlive this one, and ports that nobody else uses."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kube_registrar.testing import supervisor
from kube_registrar.testing.errors import GroundError, ProcessFailed, tail

# Below the ephemeral range of every system we know of: a port from that range can be taken by any outgoing connection
# while its owner is being restarted, and a client that retries can even connect to itself.
PORTS = range(18000, 30000)
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """
    Return a TCP port of `host` that is free now, and that this process gets only once.

    Another process may take it before it is used: whoever starts a server on it must be ready to start again.
    """
    for port in random.sample(PORTS, len(PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            _given.add(port)
            return port
    raise GroundError(f"no TCP port between {PORTS.start} and {PORTS.stop - 1} is free on {host}")


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that is dead and not yet collected by its parent does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


class Child:
    """
    A running command with its log.

    It is killed when this process ends, in whatever way, with everything it left in its process group. `remove` is a
    folder that is deleted too when that happens. Raises ProcessFailed when the command can't be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        remove: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, log, remove or "-", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,  # Ctrl-C is for the owner, who then stops us in order
        )
        assert self._supervisor.stdout is not None  # noqa: S101  # asked for above
        with self._supervisor.stdout as answer:
            said = answer.readline().decode().strip()
        if not said.isdigit():
            self.kill()
            raise ProcessFailed(f"{name} could not be started: {said or 'its supervisor ended'}")
        self.pid = int(said)

    def poll(self) -> int | None:
        """Return the exit code (128 + n for signal n), or None while the command runs."""
        return self._supervisor.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the command itself, e.g. SIGSTOP and SIGCONT to make it hang for a while."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for the command's own end and return its exit code. Raises ProcessFailed when it still runs then."""
        try:
            code = self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"still runs after {seconds:g} s") from None
        self._close()
        return code

    def stop(self, seconds: float = 10.0) -> int:
        """Ask the command to end (SIGTERM), kill it when it has not after `seconds`, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._supervisor.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._supervisor.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """End the command at once, and return when nothing of it runs any more. Killing it again does nothing."""
        self._close()
        return self._supervisor.wait()

    def failure(self, what: str) -> ProcessFailed:
        """Return an error that says what went wrong, with the last lines of the log: its folder may soon be gone."""
        said = tail(self.log)
        end = f"its log ended so:\n{said}" if said else "its log is empty"
        return ProcessFailed(f"{self.name} {what}; {end}")

    def _close(self) -> None:
        if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._supervisor.stdin.write(b"k")
                self._supervisor.stdin.flush()
            with contextlib.suppress(BrokenPipeError):
                self._supervisor.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
