"""The example of a plugin, installed as any package is, and the operator and every command upon it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator, environment
from tests.scenarios.kinds import PLUGIN, install_plugin
from tests.scenarios.place import Place

BROKEN = """\
Metadata-Version: 2.1
Name: kube-registrar-broken
Version: 6.6.6
"""
ENTRY_POINT = (
    "[kube_registrar.registries]\nbroken = kube_registrar_broken:open_registry\nlate = kube_registrar_late:late\n"
)
KEY, SECRET = "AKIAREADER0000000001", "a-secret-of-thirty-characters-!"
LATE = """\
import os
from contextlib import asynccontextmanager
from pathlib import Path
from kube_registrar.registries.port import written_for
from kube_registrar_jsonfile import open_registry

@written_for(4)
@asynccontextmanager
async def late(config, name, clock, fence=None):
    if not Path(config["path"]).exists():
        raise ConnectionError("nobody there")
    async with open_registry(config, name, clock, fence) as registry:
        yield registry
"""
SAID = (
    "registry kind 'broken' of package kube-registrar-broken cannot be loaded from "
    "kube_registrar_broken:open_registry: RuntimeError: it wants another Python"
)
# Processes load all of it, on a machine that does other things too.
pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example into a folder, without a network, and a package beside it that fails to import."""
    folder = install_plugin(tmp_path_factory.mktemp("site"))
    info = folder / "kube_registrar_broken-6.6.6.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(BROKEN)
    (info / "entry_points.txt").write_text(ENTRY_POINT)
    (folder / "kube_registrar_broken.py").write_text("raise RuntimeError('it wants another Python')\n")
    (folder / "kube_registrar_late.py").write_text(LATE)
    return folder


class Ground:
    def __init__(self, folder: Path, installed: Path, plane: ControlPlane) -> None:
        self.file = folder / "registry.json"
        self.config = folder / "registrar.yaml"
        self.keys = folder / "keys.yaml"
        self.keys.write_text(f"- {{accessKeyID: {KEY}, secretAccessKey: {SECRET}, role: read}}")
        self.keys.chmod(0o600)
        self.variables = {
            "PYTHONPATH": str(installed),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        registries = {
            "default": {"kind": "jsonfile", "path": str(self.file)},
            "other": {"kind": "broken"},
            "late": {"kind": "late", "path": str(folder / "late.json")},
        }
        self.config.write_text(yaml.safe_dump({"servedRegistry": "default", "registries": registries}))
        flags = ("--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0", "--access-keys", str(self.keys))
        self.operator = Operator(folder, plane.kubeconfig, *flags, config=self.config, variables=self.variables)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "kube_registrar", *args],
            env=environment() | self.variables,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def out(self, *args: str) -> str:
        done = self.run(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def held(self, namespace: str, service: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what the file holds of a service, by the names of pods."""
        content = json.loads(self.file.read_text()) if self.file.exists() else {"namespaces": {}}
        services = content["namespaces"].get(namespace, {}).get("services", {})
        instances = services.get(service, {}).get("instances", {})
        return {each["attributes"]["KUBE_POD"]: each["attributes"] for each in instances.values()}


@pytest.fixture
def ground(tmp_path: Path, installed: Path, plane: ControlPlane) -> Iterator[Ground]:
    made = Ground(tmp_path, installed, plane)
    yield made
    made.operator.kill()
    assert made.operator.unexpected() == []


def test_its_own_tests_hold(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"],
        cwd=PLUGIN,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) > 50


def test_kinds_are_listed_and_one_that_fails_is_one_sentence(ground: Ground) -> None:
    done = ground.run("registries")
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert {"broken", "cloudmap", "embedded", "jsonfile"} <= rows.keys()
    assert rows["jsonfile"] == ["kube-registrar-jsonfile", "0.1.0", "no", "yes", "50", "any", "yes", "no"]
    assert rows["broken"] == ["kube-registrar-broken", "6.6.6", *"------"]
    assert done.stderr.startswith(f"kube-registrar: {SAID}")
    found = {each["Kind"]: each for each in json.loads(ground.out("registries", "-o", "json"))["Registries"]}
    assert found["jsonfile"]["Capabilities"]["Limits"]["Attributes"] == 50
    assert found["broken"]["Error"].startswith(SAID)


def test_the_operator_keeps_it_true_and_every_command_knows_it(ground: Ground, place: Place) -> None:
    operator, name = ground.operator.start(), place.registry_namespace
    place.declare("flask-app")
    place.pod("a", "flask-app", attributes="stage=dev")
    place.pod("b", "flask-app", attributes="stage=prod")
    wait_until(lambda: set(ground.held(name, "flask-app")) == {"a", "b"}, "both pods to be in the file", seconds=30)

    api = boto3.client(
        "servicediscovery",
        endpoint_url=operator.address("api"),
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(inject_host_prefix=False, proxies={}),
    )
    asked = {"NamespaceName": name, "ServiceName": "flask-app", "QueryParameters": {"stage": "dev"}}
    assert [each["Attributes"]["KUBE_POD"] for each in api.discover_instances(**asked)["Instances"]] == ["a"]

    config = ("--config", str(ground.config))
    found = json.loads(ground.out("discover", name, "flask-app", "-q", "stage=prod", "-o", "json", *config))
    assert [each["Attributes"]["KUBE_POD"] for each in found["Instances"]] == ["b"]
    assert {"a", "b"} <= set(re.findall(r"\b[ab]\b", ground.out("instances", name, "flask-app", "-o", "wide", *config)))
    assert name in ground.out("namespaces", *config)
    assert "flask-app" in ground.out("services", name, *config)

    place.delete("Pod", "b", now=True)
    wait_until(lambda: set(ground.held(name, "flask-app")) == {"a"}, "what is gone to be out of the file", seconds=30)
    assert operator.end() == 0
    assert set(ground.held(name, "flask-app")) == {"a"}


def test_a_plugin_that_fails_is_named_and_hurts_no_other(ground: Ground, place: Place, plane: ControlPlane) -> None:
    operator = ground.operator.start()
    with Place(plane) as other:
        plane.apply(other.registry_namespace_manifest(registry="other"))
        condition = other.wait_condition("RegistryNamespace", other.registry_namespace, "Ready", "False")
        assert condition["reason"] == "RegistryUnavailable"
        assert SAID in condition["message"]
        assert any(SAID in str(line.get("message", "")) for line in operator.lines())
        place.declare("flask-app")
        place.pod("a", "flask-app")
        wait_until(lambda: set(ground.held(place.registry_namespace, "flask-app")) == {"a"}, "the pod", seconds=30)


def test_one_that_is_away_at_the_start_is_said_and_used_once_it_is_there(ground: Ground, plane: ControlPlane) -> None:
    operator = ground.operator.start()
    up = 'kube_registrar_registry_up{registry="late"}'
    with Place(plane) as place:
        plane.apply(place.registry_namespace_manifest(registry="late"))
        place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "False")
        wait_until(lambda: operator.metric(up) == 0.0, "the metric to say so")
        ground.file.with_name("late.json").write_text('{"next": 1, "namespaces": {}}')
        condition = place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True")
        place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "True")
        wait_until(lambda: operator.metric(up) == 1.0, lambda: f"the metric to say so; {condition}")
        assert any(line.get("message") == "registry late is open now" for line in operator.lines())


def test_plan_explain_and_gc_read_it_as_they_read_any_other(ground: Ground, place: Place) -> None:
    operator = ground.operator.start()
    place.declare("flask-app")
    place.pod("a", "flask-app")
    wait_until(lambda: set(ground.held(place.registry_namespace, "flask-app")) == {"a"}, "the pod", seconds=30)
    assert operator.end() == 0
    place.pod("b", "flask-app")
    alone = ground.config.with_name("alone.yaml")
    alone.write_text(yaml.safe_dump({"registries": {"default": {"kind": "jsonfile", "path": str(ground.file)}}}))
    kube = ("--config", str(alone), "--kubeconfig", str(operator.kubeconfig))
    before = ground.file.read_text()
    planned = ground.run("plan", *kube)
    assert planned.returncode in {0, 2}, planned.stderr
    assert re.search(r"\bb\b", planned.stdout), planned.stdout
    assert "flask-app" in ground.out("explain", "pod/a", "-n", place.namespace, *kube)
    assert ground.file.read_text() == before

    dead = "dddddddd-0000-4000-8000-000000000000"
    (uid,) = {each["KUBE_CLUSTER_UID"] for each in ground.held(place.registry_namespace, "flask-app").values()}
    ground.file.write_text(before.replace(uid, dead))
    assert ground.out("gc", "--cluster", dead, "--yes", *kube) != ""
    assert ground.held(place.registry_namespace, "flask-app") == {}


def test_serve_puts_the_api_before_it_without_a_cluster(ground: Ground) -> None:
    ground.file.write_text(
        '{"next": 2, "namespaces": {"shop": {"id": "ns-1", "creator": "x", "description": "", "services": {}}}}'
    )
    alone = ground.config.with_name("alone.yaml")
    alone.write_text(yaml.safe_dump({"registries": {"default": {"kind": "jsonfile", "path": str(ground.file)}}}))
    log = ground.config.with_name("serve.log")
    command = [sys.executable, "-m", "kube_registrar", "serve", "--config", str(alone), "--log-format", "json"]
    listen = ["--api-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--access-keys", str(ground.keys)]
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command, *listen], env=environment() | ground.variables, stdout=file, stderr=file
        ) as process,
    ):
        try:

            def address() -> str | None:
                lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
                return next((line["address"] for line in lines if line.get("serves") == "api"), None)

            endpoint = wait_until(address, lambda: f"it to serve; {log.read_text()}", seconds=40)
            args = ("namespaces", "--endpoint-url", endpoint, "-o", "json")
            assert [each["Name"] for each in json.loads(ground.out(*args))["Namespaces"]] == ["shop"]
        finally:
            process.terminate()
    assert process.returncode == 0
