"""Binaries are found where they are, built once where they are not, and missed in one sentence."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_registrar.testing import binaries, golang, recipes
from kube_registrar.testing.errors import BuildFailed, MissingBinaries
from kube_registrar.testing.progress import Progress, Step
from kube_registrar.testing.recipes import Recipe

Script = Callable[[str, str], Path]


class Builder:
    """Stands for go: writes empty binaries, and remembers which."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.fails = False

    def build(self, recipe: Recipe, source: Path, target: Path, step: Step) -> None:
        self.built.append(recipe.name)
        assert {path.name for path in source.iterdir()} == {"go.mod", "go.sum"}
        for name in recipe.packages:
            (target / name).touch()
        if self.fails:
            raise BuildFailed("no")


@pytest.fixture
def builder(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    found = Builder()
    monkeypatch.setattr(golang, "provide", lambda *_: found)
    return found


def cached(cache: Path, name: str) -> Path:
    (recipe,) = recipes.recipes_for([name])
    return cache / "binaries" / recipe.key() / name


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"KUBE_REGISTRAR_CACHE": "/one", "XDG_CACHE_HOME": "/two", "HOME": "/home/a"}, "/one"),
        ({"XDG_CACHE_HOME": "/two", "HOME": "/home/a"}, "/two/kube-registrar"),
        ({"HOME": "/home/a"}, "/home/a/.cache/kube-registrar"),
        ({"KUBE_REGISTRAR_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/a"}, "/home/a/.cache/kube-registrar"),
    ],
)
def test_the_cache_is_the_users(environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBE_REGISTRAR_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert binaries.cache_directory() == Path(expected)


@pytest.mark.usefixtures("empty_cache")
def test_missing_binaries_are_named_with_what_to_do() -> None:
    with pytest.raises(MissingBinaries) as caught:
        binaries.locate(["etcd", "kwok"])
    assert str(caught.value) == (
        "etcd and kwok are not built: run `python -m kube_registrar.testing build etcd kwok` (or `make binaries`),"
        " or set KUBEBUILDER_ASSETS to a folder that holds them."
    )


def test_kubebuilder_assets_are_taken_first(
    builder: Builder, script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_cache: Path
) -> None:
    etcd = script("assets/etcd", "")
    (tmp_path / "assets" / "kubectl").touch()  # not executable
    (tmp_path / "assets" / "kube-apiserver").mkdir()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    names = ["etcd", "kubectl", "kube-apiserver"]
    assert binaries.find(names) == {"etcd": etcd, "kubectl": None, "kube-apiserver": None}
    assert binaries.build(names) == {
        "etcd": etcd,
        "kubectl": cached(empty_cache, "kubectl"),
        "kube-apiserver": cached(empty_cache, "kube-apiserver"),
    }
    assert builder.built == ["kubernetes"]


@pytest.mark.usefixtures("empty_cache")
def test_kwok_is_taken_only_with_its_stages(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kwok = script("assets/kwok", "")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.find(["kwok"]) == {"kwok": None}
    (tmp_path / "assets" / "stages").mkdir()
    assert binaries.find(["kwok"]) == {"kwok": kwok}


def test_what_is_there_is_not_built_again(builder: Builder, empty_cache: Path) -> None:
    expected = {name: cached(empty_cache, name) for name in recipes.CONTROL_PLANE}
    assert binaries.build() == expected
    assert binaries.build() == expected
    assert builder.built == ["etcd", "kwok", "kubernetes"]


def test_a_failed_build_leaves_nothing_half_done(builder: Builder, empty_cache: Path) -> None:
    builder.fails = True
    with pytest.raises(BuildFailed):
        binaries.build(["etcd"])
    assert [path.suffix for path in (empty_cache / "binaries").iterdir()] == [".lock"]
    builder.fails = False
    assert binaries.build(["etcd"]) == {"etcd": cached(empty_cache, "etcd")}


def test_what_a_killed_build_left_is_cleared(builder: Builder, empty_cache: Path) -> None:
    target = cached(empty_cache, "etcd").parent
    left = target.parent / f".{target.name}.partial"
    left.mkdir(parents=True)
    (left / "rubbish").touch()
    binaries.build(["etcd"])
    assert {path.name for path in target.iterdir()} == {"etcd"}
    assert not left.exists()


def test_two_that_build_at_once_build_once(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    building, waiting = threading.Event(), threading.Event()
    original = Step.say

    def say(step: Step, what: str) -> None:
        original(step, what)
        if what == "another process makes it, waiting":
            waiting.set()

    build = builder.build

    def slow(recipe: Recipe, source: Path, target: Path, step: Step) -> None:
        building.set()
        assert waiting.wait(30)
        build(recipe, source, target, step)

    monkeypatch.setattr(Step, "say", say)
    monkeypatch.setattr(builder, "build", slow)
    first = threading.Thread(target=binaries.build, args=(["etcd"],))
    first.start()
    assert building.wait(30)
    binaries.build(["etcd"], Progress())
    first.join()
    assert builder.built == ["etcd"]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kube_registrar.testing", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_tells_where_binaries_are(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    etcd = script("assets/etcd", "")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    done = run("build", "etcd")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"etcd: {etcd}\n", "")


def test_the_command_refuses_a_name_that_it_does_not_know() -> None:
    done = run("build", "kubelet")
    assert done.returncode == 2
    assert "invalid choice: 'kubelet'" in done.stderr
