"""What the image adds to its base, and the chart's two commands in it: `make test-image`.

No part of the test command: it needs root, and Python 3.13 beside the other tests' Python; it says what is missing.
`KUBE_REGISTRAR_IMAGE_ROOT=/folder` tries an image that was built and unpacked there instead.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from tools.image_tree import COMMAND, PACKAGES, PLATFORMS, PYTHON

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError
from kube_registrar.testing.processes import Child
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import ROOT, Helm, Json, is_hook, one
from tests.image.container import Image, Pod, start
from tests.scenarios.registry import Registry

MOST, BASE = 120_000_000, 25_000_000  # bytes, compressed; the base is 22 million
NETWORK = f"127.{random.randint(10, 250)}.{random.randint(0, 250)}"
REGISTRY, OPERATOR = f"{NETWORK}.2", f"{NETWORK}.3"
NAME = "kube-registrar"
PROBE = """
import errno, os
for folder in ("/", "/usr", "/etc", "/home/nonroot", "/usr/local/bin", "/etc/kube-registrar/config"):
    try:
        open(os.path.join(folder, "written"), "w")
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES, errno.ENOENT), (folder, error)
    else:
        raise AssertionError(folder)
open("/tmp/written", "w").close()
assert os.getuid() == os.getgid() == 65532
with open("/proc/self/status") as status:
    lines = [line.partition(":") for line in status if line.startswith("Cap")]
rights = {name: int(value, 16) for name, _, value in lines}
assert rights["CapEff"] == rights["CapPrm"] == 0, rights
print("nothing else is writable")
"""


def python() -> Path:
    """Return a Python of the image's version, or skip with the reason."""
    found = shutil.which(f"python{PYTHON}")
    asked = [found or "false", "-c", "import sys; print(sys.base_prefix)"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:  # a shim of pyenv is found and runs only if its version is chosen
        pytest.skip(f"there is no python{PYTHON}, which the image has: install it, or `pyenv shell {PYTHON}`")
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """What the Dockerfile makes, for each architecture."""
    folder = tmp_path_factory.mktemp("trees")
    compiler = python() / "bin" / f"python{PYTHON}"
    for arch in PLATFORMS:
        make: list[str | Path] = [
            sys.executable,
            ROOT / "tools" / "image_tree.py",
            "--arch",
            arch,
            "--to",
            folder / arch,
        ]
        subprocess.run([*make, "--python", compiler], check=True)
    return {arch: folder / arch for arch in PLATFORMS}


@pytest.fixture(scope="module")
def image(trees: Mapping[str, Path]) -> Image:
    """What containers run."""
    if os.geteuid() != 0:
        pytest.skip("mounts need root: `make test-image SUDO=sudo`")
    given = os.environ.get("KUBE_REGISTRAR_IMAGE_ROOT")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    return Image(Path(given) if given else None, trees[arch], python())


@pytest.mark.parametrize("arch", PLATFORMS)
def test_it_is_small_enough(trees: Mapping[str, Path], arch: str, tmp_path: Path) -> None:
    packed = tmp_path / "tree.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=6) as archive:
        archive.add(trees[arch], arcname="/")
    print(f"{arch}: {packed.stat().st_size} bytes")  # noqa: T201 - `pytest -s` tells the figure for the docs
    assert packed.stat().st_size <= MOST - BASE


@pytest.mark.parametrize("arch", PLATFORMS)
def test_all_of_it_is_compiled_and_nothing_builds_or_gives_rights(trees: Mapping[str, Path], arch: str) -> None:
    asked = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    said = subprocess.run(
        [python() / "bin" / f"python{PYTHON}", "-c", asked], capture_output=True, text=True, check=True
    )
    magic = bytes.fromhex(said.stdout)
    packages = trees[arch] / PACKAGES
    assert not {"pip", "setuptools", "hatchling", "uv", "wheel"} & {each.name for each in packages.iterdir()}
    for path in trees[arch].rglob("*"):
        mode = path.stat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH), path
        assert mode & stat.S_IROTH, path
        if path.suffix == ".py" and "__pycache__" not in path.parts:
            compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-{PYTHON.replace('.', '')}.pyc"
            with compiled.open("rb") as file:
                assert file.read(8) == magic + b"\1\0\0\0", path  # by hash, and not looked at again
    assert [each.name for each in (trees[arch] / COMMAND).parent.iterdir()] == [COMMAND.name]
    machine = {"amd64": 62, "arm64": 183}[arch]  # ELF's numbers for x86-64 and AArch64
    libraries = list(packages.rglob("*.so"))
    assert len(libraries) > 10
    assert {int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries} == {machine}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """The chart in its default mode, listening at addresses of this test alone."""
    return [*Helm(tmp_path_factory.mktemp("helm")).objects(values={"replicas": 1})]


def pod_of(rendered: list[Json], kind: str, address: str, **more: Mapping[str, str]) -> Pod:
    """Return the pod of a Deployment or StatefulSet."""
    files = {
        each["metadata"]["name"]: {
            key: text.replace("0.0.0.0:", f"{address}:")
            for key, text in (each.get("data") or each["stringData"]).items()
        }
        for each in rendered
        if each["kind"] in {"ConfigMap", "Secret"}
    }
    spec = one(rendered, kind)["spec"]["template"]["spec"]
    names = [f"{prefix}{NAME}-registry.{NAME}.svc" for prefix in ("", "data-")]
    return Pod(spec, files, dict.fromkeys(names, REGISTRY), **more)


def text(folder: Path) -> str:
    """Return a container's log."""
    return (folder / "log").read_text(errors="replace")


@pytest.fixture(scope="module")
def registry(image: Image, rendered: list[Json], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The StatefulSet's container."""
    folder = tmp_path_factory.mktemp("registry")
    key = one(rendered, "Secret")["stringData"]
    client = Registry(f"http://{REGISTRY}:8081", "test-namespace", key["accessKeyID"], key["secretAccessKey"])
    with start(image, pod_of(rendered, "StatefulSet", REGISTRY), folder) as child:
        wait_until(lambda: ended(child, folder) or _answers(client), lambda: f"the API; {text(folder)}", seconds=60)
        yield client
    assert "Traceback" not in text(folder)


def ended(child: Child, folder: Path) -> bool:
    """Whether it runs no more, which fails the test."""
    assert child.poll() is None, text(folder)
    return False


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_its_user_can_write_to_the_chart_s_mounts_and_nowhere_else(
    image: Image, rendered: list[Json], tmp_path: Path, kind: str
) -> None:
    with start(image, pod_of(rendered, kind, REGISTRY), tmp_path, [*image.interpreter, "-c", PROBE]) as child:
        wait_until(lambda: child.poll() is not None, "the probe to end")
    assert text(tmp_path) == "nothing else is writable\n"


def test_the_registry_serves(registry: Registry) -> None:
    assert registry.api.list_namespaces()["Namespaces"] == []


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane."""
    plane = ControlPlane(nodes=1)
    try:
        plane.start()
    except GroundError as error:
        pytest.fail(str(error), pytrace=False)
    yield plane
    plane.stop()


def test_the_operator_registers_a_workload_under_its_own_account(
    image: Image, rendered: list[Json], registry: Registry, plane: ControlPlane, tmp_path: Path
) -> None:
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}])
    away = {"Deployment", "StatefulSet", "Pod", "Job"}
    for objects in ([each for each in rendered if each["kind"] == "CustomResourceDefinition"], rendered):
        plane.apply([each for each in objects if each["kind"] not in away and not is_hook(each)])
    plane.kubectl("apply", "--filename", str(ROOT / "examples" / "quickstart"))
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = plane.api.post(f"/api/v1/namespaces/{NAME}/serviceaccounts/{NAME}/token", request)["status"]["token"]
    host, _, port = plane.url.removeprefix("https://").partition(":")
    pod = pod_of(
        rendered,
        "Deployment",
        OPERATOR,
        account={"token": token, "ca.crt": plane.ca_file.read_text(), "namespace": NAME},
        variables={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port},
    )
    with start(image, pod, tmp_path) as child:
        wait_until(
            lambda: ended(child, tmp_path) or _found(registry), lambda: f"the quickstart; {text(tmp_path)}", seconds=90
        )
    assert "Traceback" not in text(tmp_path)
    assert "Read-only file system" not in text(tmp_path)


def _answers(registry: Registry) -> bool:
    try:
        registry.api.list_namespaces()
    except EndpointConnectionError:
        return False
    return True


def _found(registry: Registry) -> bool:
    try:
        return len(registry.discover("flask-app", stage="dev")) == 3
    except (registry.api.exceptions.NamespaceNotFound, registry.api.exceptions.ServiceNotFound):
        return False
