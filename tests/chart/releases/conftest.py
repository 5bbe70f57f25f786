"""Releases of the chart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kube_registrar.testing.components import POD_STAGES
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError
from tests.chart.helm import Helm
from tests.chart.kubelet import Kubelet
from tests.chart.kubelet_logs import ARGUMENTS
from tests.chart.releases.release import Release
from tests.scenarios.server import Server


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose Jobs end when their processes do, and not by kwok."""
    stages = tmp_path_factory.mktemp("stages") / "pods.yaml"
    kept = [each for each in yaml.safe_load_all(POD_STAGES.read_text()) if "job" not in each["metadata"]["name"]]
    stages.write_text(yaml.safe_dump_all(kept))
    plane = ControlPlane(nodes=1, stages=[stages], api_server_args=ARGUMENTS)
    try:
        plane.start()
    except GroundError as error:
        pytest.fail(str(error), pytrace=False)
    yield plane
    plane.stop()


@pytest.fixture
def release(plane: ControlPlane, tmp_path: Path) -> Iterator[Release]:
    """A Kubernetes namespace to install in, held to the restricted standard."""
    namespace = "installed"  # of all releases: what an uninstall kept is found by the next install
    labels = {f"pod-security.kubernetes.io/{each}": "restricted" for each in ("enforce", "warn")}
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}])
    with Kubelet(plane, namespace, tmp_path / "pods") as kubelet:
        yield Release(Helm(tmp_path / "helm", plane.kubeconfig), plane, namespace, kubelet)
    assert not kubelet.errors
    for each in kubelet.started.values():
        assert "Traceback" not in each.text()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A Cloud Map of this machine, a process of its own."""
    with Server(tmp_path) as server:
        yield server
