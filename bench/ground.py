"""What all benches stand on: a control plane with our kinds, an operator on it, and a client that costs little."""

import http.client
import json
import math
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place, install_kinds

_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def ground(nodes: int = 3) -> Iterator[tuple[Place, Path]]:
    """Start a control plane; give a place on it and a folder for operators."""
    with ControlPlane(nodes=nodes) as plane, tempfile.TemporaryDirectory() as folder:
        install_kinds(plane)
        yield Place(plane).make(), Path(folder)


class Client:
    """Speaks the Cloud Map API over one connection, as plain as can be: the bench must not measure its client."""

    def __init__(self, endpoint: str, namespace: str) -> None:
        self._address = urlsplit(endpoint).netloc
        self._namespace = namespace
        self._connection = http.client.HTTPConnection(self._address, timeout=30)

    def another(self) -> "Client":
        """Return one with a connection of its own."""
        return Client(f"http://{self._address}", self._namespace)

    def call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """Call an operation. Raises RuntimeError when it is refused."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Route53AutoNaming_v20170314.{operation}",
        }
        self._connection.request("POST", "/", json.dumps(request), headers)
        answer = self._connection.getresponse()
        body: Mapping[str, Any] = json.loads(answer.read())
        if answer.status != http.client.OK:
            raise RuntimeError(f"{operation}: {body}")
        return body

    def count(self, service: str, **query: str) -> int:
        """Return how many instances a discovery finds; 0 while there is no such service."""
        try:
            found = self.call(
                "DiscoverInstances",
                NamespaceName=self._namespace,
                ServiceName=service,
                QueryParameters=query,
                MaxResults=1000,
            )
        except RuntimeError as error:
            if "NotFound" in str(error):
                return 0
            raise
        return len(found["Instances"])


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_memory(pid: int) -> float:
    """Return the most memory that a process has had, VmHWM, in MiB."""
    return _memory(pid, "VmHWM")


def memory(pid: int) -> float:
    """Return the memory that a process has now, VmRSS, in MiB."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, which: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed: an observed one, never between two."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share) - 1)]


def machine() -> str:
    """Return the machine's shape, for whoever compares figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    python = platform.python_version()
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}, Python {python}"


def used(operator: Operator) -> str:
    """Return what an operator has cost so far."""
    pid = operator.child.pid
    return f"CPU {cpu_seconds(pid):.2f} s, VmHWM {peak_memory(pid):.0f} MiB"
