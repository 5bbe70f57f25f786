"""Health checks over the real network of this machine, asked for and seen by boto3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.wire.harness import namespace, register, running, service


class Application(ThreadingHTTPServer):
    """A web application that can be told to be sick."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.heard: set[str] = set()


class Answer(BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        self.server.heard.add(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Say nothing."""


@contextmanager
def application() -> Iterator[Application]:
    with Application() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Any]:
    """Give a client of a registry that checks this machine every second."""
    with running(tmp_path, checkIntervalSeconds=1, checkAddresses=["127.0.0.0/8"]) as server:
        yield server.client()


def becomes(api: Any, identifier: str, status: str) -> None:
    def read() -> str:
        found: str = api.get_instances_health_status(ServiceId=identifier)["Status"]["i-1"]
        return found

    wait_until(lambda: read() == status, lambda: f"the status {status}", seconds=30)


def at(port: int) -> dict[str, str]:
    return {"AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": str(port)}


def test_an_application_that_fails_leaves_discovery_and_comes_back(api: Any) -> None:
    check = {"Type": "HTTP", "ResourcePath": "/healthz", "FailureThreshold": 2}
    identifier = service(api, namespace(api), HealthCheckConfig=check)

    def found(**query: str) -> list[str]:
        names = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}
        return [each["HealthStatus"] for each in api.discover_instances(**names, **query)["Instances"]]

    with application() as server:
        register(api, identifier, **at(server.server_port))
        wait_until(lambda: server.heard == {"/healthz"}, "the first check", seconds=30)
        assert found() == ["HEALTHY"]
        server.status = 503
        becomes(api, identifier, "UNHEALTHY")
        assert (found(), found(HealthStatus="HEALTHY_OR_ELSE_ALL"), found(HealthStatus="ALL")) == (
            [],
            ["UNHEALTHY"],
            ["UNHEALTHY"],
        )
        server.status = 200
        becomes(api, identifier, "HEALTHY")
        assert found() == ["HEALTHY"]


def test_a_port_that_nobody_listens_on_is_unhealthy(api: Any) -> None:
    identifier = service(api, namespace(api), HealthCheckConfig={"Type": "TCP"})
    with application() as server:
        register(api, identifier, **at(server.server_port))
    becomes(api, identifier, "UNHEALTHY")
