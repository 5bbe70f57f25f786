"""The least that following pods costs: one watch, whose lines are read and decoded, and nothing else."""

import threading
import time
from types import TracebackType
from typing import Self

from bench.watch import BareWatch

from kube_registrar.testing.control_plane import ControlPlane


class Floor(threading.Thread):
    """Watches all pods while it is entered. `cpu_seconds`: what its thread has used, up to the last line `heard`."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(name="floor", daemon=True)
        self.heard = 0
        self.cpu_seconds = 0.0
        self._events = BareWatch(plane, "/api/v1/pods")
        self._ends = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends = True  # the thread is a daemon, and its watch ends with the control plane

    def run(self) -> None:
        """Read and decode."""
        for _ in self._events:
            if self._ends:
                return
            self.heard += 1
            self.cpu_seconds = time.thread_time()
