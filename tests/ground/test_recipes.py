"""What is built is pinned, and the cache knows one lock from another."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kube_registrar.testing import recipes
from kube_registrar.testing.recipes import RECIPES, Recipe


@pytest.fixture
def etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe whose lock files can be changed."""
    shutil.copytree(recipes.MODULES, tmp_path / "modules")
    monkeypatch.setattr(recipes, "MODULES", tmp_path / "modules")
    (found,) = recipes.recipes_for(["etcd"])
    return found


@pytest.mark.parametrize("index", [0, 1])
def test_another_lock_is_another_key(etcd: Recipe, index: int) -> None:
    before = etcd.key()
    assert etcd.key() == before
    path = etcd.lock_files()[index]
    path.write_bytes(path.read_bytes() + b"\n")
    assert etcd.key() != before


def test_another_recipe_or_system_is_another_key(etcd: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {etcd.key()}
    with monkeypatch.context() as patch:
        patch.setattr(recipes, "RECIPE_VERSION", -1)
        keys.add(etcd.key())
    with monkeypatch.context() as patch:
        patch.setattr(recipes, "GO_FLAGS", ())
        keys.add(etcd.key())
    monkeypatch.setattr("platform.machine", lambda: "another")
    keys.add(etcd.key())
    assert len(keys) == 4
    assert all(key.startswith(f"etcd-{etcd.version()}-") for key in keys)


def test_kubernetes_tells_its_version() -> None:
    (recipe,) = recipes.recipes_for(["kube-apiserver"])
    version = recipe.version()
    minor = version.split(".")[1]
    assert recipe.linker_flags().startswith(
        f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
        f" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor={minor} "
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_module_is_locked_and_asks_for_what_is_built(recipe: Recipe) -> None:
    go_mod, go_sum = (path.read_text() for path in recipe.lock_files())
    assert f"{recipe.module} {recipe.version()} h1:" in go_sum
    assert f"{recipe.module} {recipe.version()}/go.mod h1:" in go_sum
    for package in recipe.packages.values():
        assert package in go_mod.partition("require")[0]


def test_the_pieces_of_kubernetes_are_of_one_release() -> None:
    (recipe,) = recipes.recipes_for(["kubectl"])
    text = recipe.lock_files()[0].read_text()
    release = recipe.version().replace("v1.", "v0.")
    replaced = [line.split() for line in text.splitlines() if "=>" in line]
    assert len(replaced) >= 30
    assert {(name, target, version) for name, _, target, version in replaced} == {
        (name, name, release) for name, *_ in replaced
    }


def test_a_lock_without_the_module_is_refused(etcd: Recipe) -> None:
    path = etcd.lock_files()[0]
    path.write_text(path.read_text().replace("go.etcd.io/etcd/server/v3 v", "example.com/other v"))
    with pytest.raises(ValueError, match=r"modules/etcd/go\.mod requires no go\.etcd\.io/etcd/server/v3"):
        etcd.version()


def test_recipes_are_found_by_binary() -> None:
    assert [recipe.name for recipe in recipes.recipes_for(["kubectl", "kube-scheduler", "etcd"])] == [
        "etcd",
        "kubernetes",
    ]
    with pytest.raises(ValueError, match="unknown binary kubelet; there are etcd, kwok, kube-apiserver, "):
        recipes.recipes_for(["kubelet"])


def test_the_wheel_holds_all_that_a_build_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = Path(recipes.__file__).parent
    needed = [path for recipe in RECIPES for path in recipe.lock_files()]
    needed += [package / "requirements-go.txt", package / "stages" / "pods.yaml", package / "supervisor.py"]
    assert {f"kube_registrar/testing/{path.relative_to(package)}" for path in needed} <= names
