"""A registry that is a process of its own, and no operator."""

import signal
import socket
import sys
from pathlib import Path
from typing import Self

from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import environment
from tests.scenarios.place import ROOT


class Server:
    """`tests.scenarios.served`, to be stopped and started again on the same folder and port."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.data = folder / "elsewhere"
        self.data.mkdir()
        self._port = free_port()
        self._arguments = arguments
        self._log = folder / "registry.log"
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it listens: an operator may be there sooner than its registry."""
        command = [sys.executable, "-m", "tests.scenarios.served", str(self.data), str(self._port), *self._arguments]
        self._child = Child("the registry", command, self._log, env=environment(), cwd=ROOT)
        wait_until(self._listens, "the registry to listen")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self) -> None:
        """End it as a machine that loses power would."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            self._child.kill()
            self._child = None
