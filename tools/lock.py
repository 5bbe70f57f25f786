"""Write the hashed requirement lists from pyproject.toml, or check that they match it.

Each list says how it is made in its header. `uv.lock` is not used: it would write package-registry
addresses into the repository.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = {
    "run": ["pyproject.toml"],
    "build": ["--group", "build"],
    "workflows": ["--group", "workflows"],
    "dev": ["pyproject.toml", "--group", "dev"],
    "awscli": ["--group", "awscli"],
    "moto": ["--group", "moto"],
    "uv": ["--group", "uv"],
}
# Without these it would print the addresses that this machine uses.
SILENT = ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-build-options", "--quiet"]


def compile_list(name: str, target: Path, *, upgrade: bool) -> None:
    """Resolve one list into `target`; versions already in it are kept unless `upgrade`."""
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "pip", "compile", *LISTS[name], "--universal", "--generate-hashes", "--python-version", "3.11"]
    command += [*SILENT, "--custom-compile-command", "make lock", "-o", str(target)]
    subprocess.run([*command, *(["--upgrade"] if upgrade else [])], cwd=ROOT, check=True)


def check(name: str) -> bool:
    """Return whether the committed list is what pyproject.toml resolves to with the versions it holds."""
    committed = ROOT / "requirements" / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / committed.name
        fresh.write_text(committed.read_text() if committed.exists() else "")
        compile_list(name, fresh, upgrade=False)
        return committed.exists() and committed.read_text() == fresh.read_text()


def main() -> int:
    """Renew or check every list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a list is stale")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions within the bounds")
    arguments = parser.parse_args()
    if arguments.check:
        stale = [name for name in LISTS if not check(name)]
        for name in stale:
            print(f"requirements/{name}.txt does not match pyproject.toml: run `make lock` and commit the result")
        return 1 if stale else 0
    for name in LISTS:
        compile_list(name, ROOT / "requirements" / f"{name}.txt", upgrade=arguments.upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
