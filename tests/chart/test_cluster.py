"""The chart on a real API server: all of it is taken, and a release lives, from its install to its uninstall.

Pods run as processes of this machine, by `kubelet`; helm's hooks too.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.testing.components import POD_STAGES
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import CHART, CI, ROOT, Helm, Json
from tests.chart.kubelet import Kubelet, Process
from tests.scenarios.place import GROUP, install_kinds
from tests.scenarios.registry import Registry, deregistered
from tests.scenarios.server import Server

LONG = 90.0
RELEASE = "kube-registrar"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose Jobs end when their processes do, and not by kwok."""
    stages = tmp_path_factory.mktemp("stages") / "pods.yaml"
    kept = [each for each in yaml.safe_load_all(POD_STAGES.read_text()) if "job" not in each["metadata"]["name"]]
    stages.write_text(yaml.safe_dump_all(kept))
    plane = ControlPlane(nodes=1, stages=[stages])
    try:
        plane.start()
    except GroundError as error:
        pytest.fail(str(error), pytrace=False)
    yield plane
    plane.stop()


@dataclass
class Release:
    """A release in a Kubernetes namespace of its own, and what runs of it."""

    helm: Helm
    plane: ControlPlane
    namespace: str
    kubelet: Kubelet

    def do(self, verb: str, *arguments: str) -> str:
        """Run helm on it, and fail if helm fails."""
        where = (RELEASE, *([str(CHART)] if verb in {"install", "upgrade"} else []), "-n", self.namespace)
        done = self.helm.run(verb, *where, *arguments, "--timeout=120s")
        logs = "\n".join(f"{each.pod}:\n{each.text()[-1500:]}" for each in self.kubelet.started.values())
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.kubelet.errors}\n{logs}"
        return done.stdout

    def leader(self) -> Process | None:
        """Return the operator that leads, if the present pods are all there is."""
        running = self.kubelet.running("operator")
        leading = [each for each in running if '"leading"' in each.text() or "leading" in each.text()]
        return leading[0] if len(leading) == 1 else None

    def wait_leader(self, besides: Process | None = None) -> Process:
        """Wait until an operator leads, another one than `besides`."""

        def found() -> Process | None:
            leader = self.leader()
            return leader if leader is not None and leader is not besides else None

        def why() -> str:
            logs = "\n".join(f"{each.pod}: {each.text()[-1500:]}" for each in self.kubelet.started.values())
            return f"an operator to lead; {self.kubelet.errors} {logs}"

        return wait_until(found, why, seconds=LONG)


@pytest.fixture
def release(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    """A Kubernetes namespace to install in, held to the restricted standard."""
    namespace = f"installed-{request.node.callspec.id}" if hasattr(request.node, "callspec") else "installed"
    labels = {f"pod-security.kubernetes.io/{each}": "restricted" for each in ("enforce", "warn")}
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    with Kubelet(plane, namespace, tmp_path / "pods") as kubelet:
        yield Release(Helm(tmp_path / "helm", plane.kubeconfig), plane, namespace, kubelet)
    assert not kubelet.errors


@contextlib.contextmanager
def quickstart(plane: ControlPlane) -> Iterator[None]:
    """The quickstart's manifests, for as long as this takes."""
    folder = str(ROOT / "examples" / "quickstart")
    plane.kubectl("apply", "--filename", folder)
    yield
    plane.kubectl("delete", "--filename", folder, "--ignore-not-found", "--wait=false")


def finalizers(plane: ControlPlane) -> list[str]:
    """Return the finalizers of all our objects."""
    found: list[str] = []
    for plural in ("registrynamespaces", "registryservices"):
        for item in plane.api.get(f"/apis/{GROUP}/v1alpha1/{plural}")["items"]:
            found += item["metadata"].get("finalizers", [])
    return found


def test_a_release_lives_from_install_to_uninstall_and_loses_no_registration(
    release: Release, plane: ControlPlane, tmp_path: Path
) -> None:
    server = Server(tmp_path)
    server.start()
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(cloudmap(server.endpoint)))
    release.do("install", "--values", str(values))
    first = release.wait_leader()
    with quickstart(plane):
        registry = Registry(server.endpoint, "test-namespace")
        wait_until(lambda: is_registered(registry, 3), "the quickstart's pods to be registered", seconds=LONG)
        release.do("test")
        assert deregistered(server.data, "test-namespace") == []

        release.do("upgrade", "--values", str(values), "--set", "policy=upsert-only,clusterName=renamed")
        second = release.wait_leader(first)
        release.do("rollback")
        release.wait_leader(second)
        assert deregistered(server.data, "test-namespace") == []
        assert is_registered(registry, 3)

        plane.kubectl("patch", "registryservice", "flask-app", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Delete"}}')
        wait_until(lambda: finalizers(plane), "the operator to put its finalizer on what it would remove")
        release.do("uninstall")
        assert finalizers(plane) == []
        assert is_registered(registry, 3)
        assert deregistered(server.data, "test-namespace") == []
        assert len(plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]) == 2
        plane.kubectl("delete", "registryservices,registrynamespaces", "--all", "-A", "--timeout=20s")
    server.stop()


def cloudmap(endpoint: str) -> Json:
    """Return values for a Cloud Map of this machine."""
    keys = [{"name": f"AWS_{name}", "value": "any"} for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
    return {
        "mode": "cloudmap",
        "cloudmap": {"endpointUrl": endpoint, "region": "us-east-1"},
        "env": keys,
        "replicas": 1,
        "clusterName": "renamed",
    }


def is_registered(registry: Registry, count: int) -> bool:
    """Whether so many pods of the quickstart's stage dev are found."""
    found: Any = registry.discover("flask-app", stage="dev")
    return len(found) == count
