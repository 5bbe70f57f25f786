"""A disk that takes no more: changes are refused, reads go on, nothing is lost, and it goes on when there is space."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.registries.embedded.database import FILE
from tests.registries.embedded.test_durability import SERVER
from tests.wire.harness import Server

UNLIMITED = resource.RLIM_INFINITY


@contextmanager
def process(folder: Path) -> Iterator[tuple[Server, int]]:
    """Run a server in a process of its own; give it and its process id."""
    with subprocess.Popen([sys.executable, "-c", SERVER, folder, ""], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield Server(int(running.stdout.readline())), running.pid
        finally:
            running.send_signal(signal.SIGKILL)


def made(server: Server) -> str:
    operation = server.call("CreateHttpNamespace", Name="test-namespace").body["OperationId"]
    target = server.call("GetOperation", OperationId=operation).body["Operation"]["Targets"]["NAMESPACE"]
    return str(server.call("CreateService", Name="web", NamespaceId=target).body["Service"]["Id"])


def registered(server: Server, service: str, name: str) -> Any:
    attributes = {f"k{number}": "v" * 900 for number in range(5)}
    return server.call("RegisterInstance", ServiceId=service, InstanceId=name, Attributes=attributes)


def seen(server: Server, service: str) -> tuple[Any, ...]:
    """Return what a client can see."""
    names = {"NamespaceName": "test-namespace", "ServiceName": "web"}
    return (
        server.call("ListInstances", ServiceId=service).body,
        server.call("DiscoverInstancesRevision", **names).body,
        server.call("ListOperations").body,
    )


def limited(pid: int, path: Path) -> None:
    """Let no file of the process grow beyond what its log has now: the kernel refuses, as a full disk does."""
    size = path.with_name(f"{FILE}-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def freed(pid: int, _: Path) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


@pytest.mark.parametrize("ends", ["freed", "killed"])
def test_writes_that_the_kernel_refuses_are_refused_and_nothing_is_lost(tmp_path: Path, ends: str) -> None:
    with process(tmp_path) as (server, pid):
        service = made(server)
        assert registered(server, service, "first").status == 200
        limited(pid, tmp_path / FILE)
        before = seen(server, service)
        for number in range(3):
            answer = registered(server, service, f"refused-{number}")
            assert (answer.status, answer.body["__type"]) == (500, "InternalFailure")
            assert answer.body["message"].endswith("nothing was changed")
        assert server.call("CreateHttpNamespace", Name="refused").status == 500
        assert server.call("TagResource", **tag(server, service)).status == 500
        assert seen(server, service) == before
        if ends == "freed":
            freed(pid, tmp_path)
            assert registered(server, service, "refused-1").status == 200
            before = seen(server, service)
    with process(tmp_path) as (server, _):
        assert seen(server, service) == before
        assert registered(server, service, "later").status == 200


def tag(server: Server, service: str) -> dict[str, Any]:
    arn = server.call("GetService", Id=service).body["Service"]["Arn"]
    return {"ResourceARN": arn, "Tags": [{"Key": "a", "Value": "b" * 200}]}
