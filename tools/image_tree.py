"""
Make what the image adds to its base: the locked packages, kube-registrar, and the command.

The Dockerfile runs this, and so does the check of the image. Nothing is compiled for the target, so one machine makes
the tree of every architecture. Needs uv and hatchling beside the Python that runs it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = "3.13"
"""The Python of the image's base; bytecode is of that version."""
PACKAGES: Final = Path("usr/local/lib") / f"python{PYTHON}" / "dist-packages"
"""Where Debian's Python looks by itself, and where plugins of users are put."""
COMMAND: Final = Path("usr/local/bin/kube-registrar")
PLATFORMS: Final = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
SOURCE: Final = "https://github.com/kube-registrar/kube-registrar"
SCRIPT: Final = """#!/usr/bin/python3
import sys

from kube_registrar.cli.main import main

sys.exit(main())
"""


def make(arch: str, tree: Path, python: str, revision: str = "") -> None:
    """Fill `tree` for one architecture; `python` is a command of the image's Python that compiles."""
    packages = tree / PACKAGES
    packages.mkdir(parents=True)
    _install(arch, packages, "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
    with tempfile.TemporaryDirectory() as folder:
        _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, str(ROOT))
        _install(arch, packages, *(str(wheel) for wheel in Path(folder).glob("*.whl")))
    _drop(packages)
    _note(packages, revision)
    command = tree / COMMAND
    command.parent.mkdir(parents=True)
    command.write_text(SCRIPT, encoding="utf-8")
    command.chmod(0o755)
    _compile(python, tree)


def _install(arch: str, packages: Path, *what: str) -> None:
    """Install wheels for the image's Python; no source is ever built, for it would be built for this machine."""
    target = ["--target", str(packages), "--python-version", PYTHON, "--python-platform", PLATFORMS[arch]]
    _uv("pip", "install", *target, "--only-binary", ":all:", "--no-deps", "--link-mode", "copy", *what)


def _uv(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / "uv"), *arguments, "--quiet"], cwd=ROOT, check=True)


def _drop(packages: Path) -> None:
    """Take away what only installers need: their commands name the Python that ran them."""
    for path in (packages / "bin").glob("*"):
        path.unlink()
    (packages / "bin").rmdir()
    for path in packages.glob(".lock"):
        path.unlink()


def _note(packages: Path, revision: str) -> None:
    """Write where kube-registrar comes from (PEP 610), in place of a folder of the machine that built it."""
    (noted,) = packages.glob("kube_registrar-*.dist-info/direct_url.json")
    noted.unlink()
    if revision:
        source = {"url": SOURCE, "vcs_info": {"vcs": "git", "commit_id": revision}}
        noted.write_text(json.dumps(source), encoding="utf-8")


def _compile(python: str, tree: Path) -> None:
    """Compile all modules: a read-only root keeps no bytecode, and a start would compile everything each time."""
    # Not by the time of the file: an image's layers may change that, and Python would compile again.
    how = ["--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "/"]
    subprocess.run([python, "-m", "compileall", "-q", "-j", "0", *how, str(tree / PACKAGES)], check=True)


def main() -> int:
    """Make a tree, or say which Python is needed for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=sorted(PLATFORMS), required=True)
    parser.add_argument("--to", type=Path, required=True, help="a folder that does not exist, or is empty")
    parser.add_argument("--revision", default="", help="the commit that `kube-registrar version` and a metric tell")
    parser.add_argument("--python", default=sys.executable, help=f"a Python {PYTHON} (default: the one that runs this)")
    arguments = parser.parse_args()
    asked = [arguments.python, "-c", "import sys; print('.'.join(map(str, sys.version_info[:2])))"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if version != PYTHON:
        print(f"{arguments.python} is Python {version}; the image has {PYTHON}: give one of that by --python")
        return 1
    make(arguments.arch, arguments.to, arguments.python, arguments.revision)
    return 0


if __name__ == "__main__":
    sys.exit(main())
