"""A release of the chart that lives on a real API server. Its pods run as processes of this machine, by `kubelet`."""

import base64
import contextlib
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import CHART, ROOT, Helm, Json
from tests.chart.kubelet import Kubelet, Process
from tests.scenarios.registry import Registry

LONG = 90.0
RELEASE = "kube-registrar"
PREVIOUS = next(Path(__file__).parents[1].joinpath("previous").glob("kube-registrar-*.tgz"))
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Release:
    """A release in a Kubernetes namespace of its own, and what runs of it."""

    helm: Helm
    plane: ControlPlane
    namespace: str
    kubelet: Kubelet

    def do(self, verb: str, *arguments: str, chart: Path = CHART) -> str:
        """Run helm on it, and fail if helm fails."""
        where = (RELEASE, *([str(chart)] if verb in {"install", "upgrade"} else []), "-n", self.namespace)
        done = self.helm.run(verb, *where, *arguments, "--timeout=120s")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout

    def uninstall(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm uninstall, which may fail."""
        return self.helm.run("uninstall", RELEASE, "-n", self.namespace, *arguments)

    def log_of(self, pod: str) -> str:
        """Return what the pod of a name wrote."""
        return next(each.text() for each in list(self.kubelet.started.values()) if each.pod == pod)

    def wait_leader(self, besides: Process | None = None) -> Process:
        """Wait until an operator leads, another one than `besides`, which has ended by then."""

        def found() -> Process | None:
            running = self.kubelet.running("operator")
            leading = [each for each in running if each is not besides and "kube_registrar_leader 1.0" in metrics(each)]
            return leading[0] if len(leading) == 1 and besides not in running else None

        return wait_until(found, lambda: f"an operator to lead; {self.logs()}", seconds=LONG)

    def logs(self) -> str:
        """Return what helps whoever reads a failure."""
        return self.kubelet.logs()


def metrics(process: Process) -> str:
    """Return what a pod of ours says at /metrics; nothing while it does not."""
    try:
        with _DIRECT.open(f"http://{process.address}:8080/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


@contextlib.contextmanager
def quickstart(plane: ControlPlane) -> Iterator[None]:
    """The quickstart's manifests, for as long as this takes."""
    folder = str(ROOT / "examples" / "quickstart")
    plane.kubectl("apply", "--filename", folder)
    yield
    plane.kubectl("delete", "--filename", folder, "--ignore-not-found", "--wait=false")


def cloudmap(endpoint: str) -> Json:
    """Return values for a Cloud Map of this machine."""
    keys = [{"name": f"AWS_{name}", "value": "any"} for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
    return {
        "mode": "cloudmap",
        "cloudmap": {"endpointUrl": endpoint, "region": "us-east-1"},
        "env": keys,
        "replicas": 1,
        "clusterName": "prod",
    }


def is_registered(registry: Registry, count: int) -> bool:
    """Whether so many pods of the quickstart's stage dev are found."""
    found: Any = registry.discover("flask-app", stage="dev")
    return len(found) == count


def volume(folder: Path) -> Json:
    """Return a PersistentVolume for the claim of the registry, with the name of the folder that it is."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(folder)},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    metadata = {"name": folder.name.replace("_", "-")}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def operator_key(plane: ControlPlane, namespace: str) -> tuple[str, str]:
    """Return id and secret of the access key that the chart made."""
    data = plane.api.get(f"/api/v1/namespaces/{namespace}/secrets/{RELEASE}-operator-key")["data"]
    return base64.b64decode(data["accessKeyID"]).decode(), base64.b64decode(data["secretAccessKey"]).decode()


def remove_objects(plane: ControlPlane) -> None:
    """Remove our objects, which nobody holds any more."""
    plane.kubectl("delete", "registryservices,registrynamespaces", "--all", "-A", "--timeout=20s")
