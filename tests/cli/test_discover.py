import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube_registrar.model.changes import Register
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, Origin, RegistryName, ServiceRef, Uid
from kube_registrar.model.simulation import Simulation
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.registries.embedded import open_registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from tests.warm import processes as warm

NAMESPACE = NamespaceRef(RegistryName("default"), "test-namespace")
SERVICE = ServiceRef(NAMESPACE, "flask-app")
INSTANCES = {
    "web-1": {
        "AWS_INSTANCE_IPV4": "10.0.0.1",
        "AWS_INSTANCE_PORT": "8080",
        "KUBE_CLUSTER": "c",
        "KUBE_NAMESPACE": "default",
        "KUBE_POD": "web-1",
        "KUBE_WORKLOAD": "Job/web",
        "AVAILABILITY_ZONE": "a",
        "stage": "dev",
        "version": "1",
    },
    "web-2": {"AWS_INSTANCE_IPV4": "10.0.0.2", "AWS_INSTANCE_IPV6": "fd00::2", "stage": "prod"},
}


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    """An embedded registry that holds two instances, behind Cloud Map's API."""
    clock = SystemClock()
    async with open_registry({"data": str(tmp_path / "data")}, RegistryName("default"), clock) as registry:
        await registry.ensure(NamespaceSpec(NAMESPACE), "test")
        await registry.ensure(ServiceSpec(SERVICE), "test")
        changes = [
            Register(Instance(InstanceId(name), attributes), Origin("Pod", "default", name, Uid(name)))
            for name, attributes in INSTANCES.items()
        ]
        assert [outcome.error async for outcome in registry.apply(SERVICE, changes)] == [None, None]
        async with serve(app(registry, Simulation(), clock), "127.0.0.1", 0) as port:
            yield f"http://127.0.0.1:{port}"


async def discover(*args: str) -> tuple[int, str, str]:
    """Run the command in a process of its own, without any AWS settings; return code, output and error."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
    environ = {**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    done = await asyncio.to_thread(warm.run, ["discover", *args], environ)
    return done.returncode, done.stdout, done.stderr


async def test_a_table_shows_what_clients_see(endpoint: str) -> None:
    assert await discover("test-namespace", "flask-app", "--endpoint-url", endpoint) == (
        0,
        (
            "INSTANCE   ADDRESS            PORT   HEALTH    ATTRIBUTES\n"
            "web-1      10.0.0.1           8080   UNKNOWN   stage=dev,version=1\n"
            "web-2      10.0.0.2,fd00::2   -      UNKNOWN   stage=prod\n"
        ),
        "",
    )


async def test_a_wide_table_shows_where_an_instance_comes_from(endpoint: str) -> None:
    args = ("test-namespace", "flask-app", "-q", "stage=dev,version=1", "-o", "wide", "--endpoint-url", endpoint)
    assert await discover(*args) == (
        0,
        (
            "INSTANCE   ADDRESS    PORT   HEALTH    ATTRIBUTES            CLUSTER   POD             WORKLOAD   ZONE\n"
            "web-1      10.0.0.1   8080   UNKNOWN   stage=dev,version=1   c         default/web-1   Job/web    a\n"
        ),
        "",
    )


async def test_json_has_the_shape_of_the_aws_command_line(endpoint: str) -> None:
    args = ("test-namespace", "flask-app", "-q", "stage=prod", "-o", "json", "--endpoint-url", endpoint)
    code, out, err = await discover(*args)
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "Instances": [
            {
                "InstanceId": "web-2",
                "NamespaceName": "test-namespace",
                "ServiceName": "flask-app",
                "HealthStatus": "UNKNOWN",
                "Attributes": INSTANCES["web-2"],
            }
        ]
    }


async def test_nothing_found_is_said_beside_the_output(endpoint: str) -> None:
    args = ("test-namespace", "flask-app", "-q", "stage=none", "--endpoint-url", endpoint)
    assert await discover(*args) == (0, "", "test-namespace/flask-app has no such instances\n")


async def test_an_optional_attribute_narrows_only_where_it_is_met(endpoint: str) -> None:
    for optional, found in (("version=1", {"web-1"}), ("version=9", {"web-1", "web-2"})):
        args = ("test-namespace", "flask-app", "--optional", optional, "-o", "json", "--endpoint-url", endpoint)
        _, out, _ = await discover(*args)
        assert {instance["InstanceId"] for instance in json.loads(out)["Instances"]} == found


async def test_an_unknown_service_is_one_sentence(endpoint: str) -> None:
    code, out, err = await discover("test-namespace", "nope", "--endpoint-url", endpoint)
    assert (code, out) == (1, "")
    assert err.startswith("kube-registrar: ")
    assert "nope" in err
    assert err.count("\n") == 1


async def test_waiting_ends_with_the_first_instance_and_says_after_how_long_there_was_none(endpoint: str) -> None:
    where = ("--endpoint-url", endpoint)
    code, out, _ = await discover("test-namespace", "flask-app", "-q", "stage=dev", "--wait", "60", *where)
    assert code == 0
    assert "web-1" in out
    code, out, said = await discover("test-namespace", "flask-app", "-q", "stage=test", "--wait", "0.3", *where)
    assert (code, out) == (1, "")
    assert "test-namespace/flask-app has no such instances after 0.3 s: kube-registrar explain says why" in said


async def test_a_service_that_is_not_made_yet_is_waited_for(endpoint: str) -> None:
    code, _, said = await discover("test-namespace", "later", "--wait", "0.3", "--endpoint-url", endpoint)
    assert code == 1
    assert "test-namespace/later has no such instances after 0.3 s (" in said
