"""The least that following pods costs: one watch, whose lines are read and decoded, and nothing else."""

import http.client
import json
import ssl
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from kube_registrar.testing.control_plane import ControlPlane


class Floor(threading.Thread):
    """Watches all pods while it is entered. `cpu_seconds`: what its thread has used, up to the last line `heard`."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(name="floor", daemon=True)
        self.heard = 0
        self.cpu_seconds = 0.0
        self._plane = plane
        self._ends = False

    def __enter__(self) -> Self:
        version = self._plane.api.get("/api/v1/pods?limit=1")["metadata"]["resourceVersion"]
        context = ssl.create_default_context(cafile=str(self._plane.ca_file))
        connection = http.client.HTTPSConnection(urlsplit(self._plane.url).netloc, context=context)
        headers = {"Authorization": f"Bearer {self._plane.token}"}
        connection.request("GET", f"/api/v1/pods?watch=1&resourceVersion={version}", headers=headers)
        self._lines = connection.getresponse()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends = True  # the thread is a daemon, and its watch ends with the control plane

    def run(self) -> None:
        """Read and decode."""
        for line in self._lines:
            if self._ends:
                return
            json.loads(line)
            self.heard += 1
            self.cpu_seconds = time.thread_time()
