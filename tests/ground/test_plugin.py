"""The fixtures give each test a namespace of its own, and fail where they can't."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.extended

TESTS = """
from kube_registrar.testing.control_plane import ControlPlane

seen = []

def test_one(control_plane: ControlPlane, kube_namespace: str) -> None:
    seen.append(kube_namespace)
    assert control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}")["status"]["phase"] == "Active"

def test_two(control_plane: ControlPlane, kube_namespace: str) -> None:
    items = control_plane.api.get("/api/v1/namespaces")["items"]
    active = {item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"]}
    assert kube_namespace in active
    assert seen[0] not in active
"""


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    (folder / "test_it.py").write_text(TESTS)
    plugins = ["-p", "kube_registrar.testing.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", str(folder), "test_it.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_each_test_has_a_namespace_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    assert done.returncode == 0


@pytest.mark.usefixtures("empty_cache")
def test_tests_without_binaries_fail_and_say_why(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "2 errors" in done.stdout
    assert "skipped" not in done.stdout
    assert "are not built: run `python -m kube_registrar.testing build etcd kube-apiserver" in done.stdout
    assert "Traceback" not in done.stdout
