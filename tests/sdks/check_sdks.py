"""The AWS SDKs as they are, against a registry that is served: `make test-sdks`.

Each program creates, registers with attributes, discovers filtered, lists in pages, deregisters, and makes mistakes
whose errors must be of the SDK's own types. Every request is signed, and the registry checks that. No part of the test
command, for each needs a toolchain and packages of its own; a toolchain that is missing is said, not passed over.

The programs know an endpoint and nothing else. These SDKs ask `data-HOST` for instances, so both names resolve, as
docs/access.md has it for one machine: where this machine does not know them by itself, a program sees a hosts file of
its own, in a mount namespace; the machine's is not touched.
"""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.config import Config

from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import environment

HERE = Path(__file__).parent
KEY, SECRET = "AKIASDKTESTS00000001", secrets.token_urlsafe(30)
BUILD_SECONDS, RUN_SECONDS = 600, 120

HOST = "registry.localhost"
NAMES = (HOST, f"data-{HOST}")

Keys = Mapping[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an empty registry that asks for keys, and return its URL."""
    folder = tmp_path_factory.mktemp("served")
    keys = folder / "keys.yaml"
    keys.write_text(yaml.safe_dump([{"accessKeyID": KEY, "secretAccessKey": SECRET, "role": "admin"}]))
    keys.chmod(0o600)
    port, probes = free_port(), free_port()
    command = [sys.executable, "-m", "kube_registrar", "serve", "--data", str(folder / "data")]
    command += ["--api-listen", f"127.0.0.1:{port}", "--listen", f"127.0.0.1:{probes}", "--access-keys", str(keys)]
    child = Child("the registry", command, folder / "registry.log", env=environment())
    try:
        wait_until(lambda: "listening: api=" in (folder / "registry.log").read_text(), "the registry to listen")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()


def _credentials() -> dict[str, str]:
    # A proxy that this machine goes out by does not know names of this machine.
    out = {"http_proxy", "https_proxy", "all_proxy"}
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name.lower() not in out
    }
    return {**kept, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def _run(command: list[str], folder: Path, seconds: int, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=env, timeout=seconds, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _walk(command: list[str], served: str, folder: Path) -> None:
    """Run a program against the registry, under a name that has one with `data-` beside it."""
    command = [*command, served.replace("127.0.0.1", HOST)]
    if not all(_is_here(name) for name in NAMES):
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(NAMES)}\n")
        script = f"mount --bind {shlex.quote(str(hosts))} /etc/hosts && exec {shlex.join(command)}"
        command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
        if subprocess.run([*command[:-1], "mount --bind /dev/null /etc/hosts"], check=False).returncode != 0:
            pytest.skip(f"{' and '.join(NAMES)} do not resolve here, nor in a mount namespace: this SDK was not tried")
    _run(command, folder, RUN_SECONDS, _credentials())


def _is_here(name: str) -> bool:
    try:
        return {each[4][0] for each in socket.getaddrinfo(name, 80)} == {"127.0.0.1"}
    except OSError:
        return False


def _needs(*programs: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"this machine has no {' and no '.join(missing)}: this SDK was not tried")


def _copy(language: str, tmp_path: Path) -> Path:
    """Return a copy of a program's folder, so that a build leaves nothing in the source."""
    return Path(shutil.copytree(HERE / language, tmp_path / language))


def test_go(served: str, tmp_path: Path) -> None:
    _needs("go")
    folder = _copy("go", tmp_path)
    _run(["go", "build", "-mod=readonly", "-o", "walk", "."], folder, BUILD_SECONDS)
    _walk(["./walk"], served, folder)


def test_javascript(served: str, tmp_path: Path) -> None:
    _needs("node", "npm")
    folder = _copy("javascript", tmp_path)
    _run(["npm", "ci", "--prefer-offline", "--ignore-scripts"], folder, BUILD_SECONDS)
    _walk(["node", "walk.mjs"], served, folder)


def test_java(served: str, tmp_path: Path) -> None:
    _needs("java", "mvn")
    folder = _copy("java", tmp_path)
    resolve = "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath"
    _run(["mvn", "-q", "-B", resolve, "-Dmdep.outputFile=classpath.txt"], folder, BUILD_SECONDS)
    classpath = (folder / "classpath.txt").read_text().strip()
    _walk(["java", "-cp", classpath, "Walk.java"], served, folder)


def test_boto3(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DISABLE_HOST_PREFIX_INJECTION", "true")
    api = boto3.client(
        "servicediscovery",
        endpoint_url=served,
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(proxies={}),
    )
    created = api.create_http_namespace(Name="sdk-python")["OperationId"]

    def operation() -> Mapping[str, object]:
        found: Mapping[str, object] = api.get_operation(OperationId=created)["Operation"]
        return found

    wait_until(lambda: operation()["Status"] == "SUCCESS", "the namespace")
    namespace = operation()["Targets"]["NAMESPACE"]  # type: ignore[index]
    for number in range(5):
        api.create_service(Name=f"service-{number}", NamespaceId=namespace)
    wanted = [{"Name": "NAMESPACE_ID", "Values": [namespace]}]
    pages = list(api.get_paginator("list_services").paginate(Filters=wanted, PaginationConfig={"PageSize": 2}))
    assert [len(page["Services"]) for page in pages] == [2, 2, 1]
    service = next(each["Id"] for page in pages for each in page["Services"] if each["Name"] == "service-0")

    def discovered() -> list[str]:
        answer = api.discover_instances(
            NamespaceName="sdk-python", ServiceName="service-0", QueryParameters={"stage": "dev"}
        )
        return [each["InstanceId"] for each in answer["Instances"]]

    for number, stage in enumerate(("dev", "prod")):
        attributes = {"AWS_INSTANCE_IPV4": f"10.0.0.{number}", "stage": stage}
        api.register_instance(ServiceId=service, InstanceId=f"web-{stage}", Attributes=attributes)
    wait_until(lambda: discovered() == ["web-dev"], "the instance to be discovered")
    api.deregister_instance(ServiceId=service, InstanceId="web-dev")
    wait_until(lambda: discovered() == [], "the instance to be gone")
    with pytest.raises(api.exceptions.ServiceNotFound):
        api.get_service(Id="srv-aaaaaaaaaaaaaaaa")
    with pytest.raises(api.exceptions.InvalidInput):
        api.register_instance(ServiceId=service, InstanceId="bad", Attributes={"AWS_INSTANCE_IPV4": "300.0.0.1"})
    with pytest.raises(api.exceptions.NamespaceAlreadyExists) as there:
        api.create_http_namespace(Name="sdk-python")
    assert there.value.response["NamespaceId"] == namespace
