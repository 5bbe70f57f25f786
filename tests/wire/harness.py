"""An embedded registry behind its wire, in a thread of its own, so that tests speak to it as any client does."""

import asyncio
import http.client
import json
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.server.access.doors import Door
from kube_registrar.server.cloudmap import app, serve
from kube_registrar.server.cloudmap.traffic import Traffic
from tests.threads import held_open

T = TypeVar("T")

TARGET = "Route53AutoNaming_v20170314"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its JSON."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, region: str = "us-east-1", key: str = "test", secret: str = "test") -> Any:
        """Return a boto3 client that never retries."""
        return boto3.client(
            "servicediscovery",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, proxies={}),
        )

    def call(self, operation: str, **members: Any) -> Answer:
        """Send an operation without an SDK between, and without a signature."""
        return self.post(json.dumps(members).encode(), {"X-Amz-Target": f"{TARGET}.{operation}"})

    def post(self, body: bytes, headers: Mapping[str, str], method: str = "POST", path: str = "/") -> Answer:
        """Send anything."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        names = {key.lower(): value for key, value in answer.getheaders()}
        return Answer(answer.status, names, json.loads(content) if content else {})

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def running(
    folder: Path,
    simulate: str = "",
    clock: Clock | None = None,
    *,
    door: Door | None = None,
    traffic: Traffic | None = None,
    tls: ssl.SSLContext | None = None,
    **options: object,
) -> Iterator[Server]:
    """Run a server with its data in `folder`; without a `door` it is open to this machine."""
    time = clock or SystemClock()

    @asynccontextmanager
    async def serving() -> AsyncIterator[Server]:
        config = {"data": folder, "simulate": simulate, **options}
        async with (
            open_registry(config, DEFAULT_REGISTRY, time) as registry,
            serve(
                app(registry, simulation(simulate), time, door=door, traffic=traffic),
                "127.0.0.1",
                0,
                is_keyed=door is not None,
                tls=tls,
            ) as port,
        ):
            yield Server(port, asyncio.get_running_loop())

    with held_open(serving(), "server") as server:
        yield server


def error_of(call: Any, **members: Any) -> tuple[str, str]:
    """Return the code and message of the error that a boto3 call must end with."""
    try:
        call(**members)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call succeeded")


def namespace(api: Any, name: str = "test-namespace", **members: Any) -> str:
    """Make an HTTP namespace, or a private one if a Vpc is given, and return its id."""
    create = api.create_private_dns_namespace if "Vpc" in members else api.create_http_namespace
    operation = create(Name=name, **members)["OperationId"]
    found = api.get_operation(OperationId=operation)["Operation"]
    assert found["Status"] == "SUCCESS", found
    identifier: str = found["Targets"]["NAMESPACE"]
    return identifier


def service(api: Any, namespace_id: str, name: str = "flask-app", **members: Any) -> str:
    """Make a service and return its id."""
    identifier: str = api.create_service(Name=name, NamespaceId=namespace_id, **members)["Service"]["Id"]
    return identifier


def register(api: Any, service_id: str, instance_id: str = "i-1", **attributes: str) -> str:
    """Register an instance and return the operation's id."""
    operation: str = api.register_instance(ServiceId=service_id, InstanceId=instance_id, Attributes=attributes)[
        "OperationId"
    ]
    return operation
