"""
The binaries of the control plane: found where they are already, else built once into a cache of this user.

The cache is `$KUBE_REGISTRAR_CACHE`, else `$XDG_CACHE_HOME/kube-registrar`, else `~/.cache/kube-registrar`. Binaries in
`$KUBEBUILDER_ASSETS` (the convention of controller-runtime's envtest) are taken first, one by one; kwok only where its
`stages` folder stands beside it.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from kube_registrar.testing import golang, recipes
from kube_registrar.testing.errors import MissingBinaries
from kube_registrar.testing.locking import only_one
from kube_registrar.testing.progress import Progress
from kube_registrar.testing.recipes import Recipe


def cache_directory() -> Path:
    """Return the folder that keeps binaries and, where it had to be installed, Go. It need not exist."""
    if own := os.environ.get("KUBE_REGISTRAR_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kube-registrar"


def _in_assets(name: str) -> Path | None:
    """Return the binary that `KUBEBUILDER_ASSETS` offers."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        return None
    path = Path(folder).expanduser().absolute() / name
    if not os.access(path, os.X_OK) or path.is_dir():
        return None
    return path if name != "kwok" or (path.parent / "stages").is_dir() else None


def _in_cache(recipe: Recipe, name: str) -> Path | None:
    path = cache_directory() / "binaries" / recipe.key() / name
    return path if path.exists() else None


def find(names: Iterable[str]) -> dict[str, Path | None]:
    """Return where each binary is, None for those that are not here. Builds nothing."""
    names = list(names)
    made_by = {name: recipe for recipe in recipes.recipes_for(names) for name in recipe.packages}
    return {name: _in_assets(name) or _in_cache(made_by[name], name) for name in names}


def locate(names: Iterable[str] = recipes.CONTROL_PLANE) -> dict[str, Path]:
    """Return where each binary is. Raises MissingBinaries, with what to do, when one is not here. Builds nothing."""
    found = find(names)
    if missing := [name for name, path in found.items() if path is None]:
        raise MissingBinaries(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not built: run"
            f" `python -m kube_registrar.testing build {' '.join(missing)}`"
            " (or `make binaries`), or set KUBEBUILDER_ASSETS to a folder that holds them."
        )
    return {name: path for name, path in found.items() if path is not None}


def build(names: Iterable[str] = recipes.CONTROL_PLANE, progress: Progress | None = None) -> dict[str, Path]:
    """
    Build what is not here yet, and return where each binary is.

    Several processes may build at once: one works, the others wait for it. Raises MissingGo or BuildFailed.
    """
    progress = progress or Progress()
    names = list(names)
    missing = [name for name, path in find(names).items() if path is None]
    if missing:
        go = golang.provide(cache_directory() / "go", progress)
        for recipe in recipes.recipes_for(missing):
            _build_recipe(recipe, go, progress)
    return locate(names)


def _build_recipe(recipe: Recipe, go: golang.Go, progress: Progress) -> None:
    """Build all binaries of a recipe into their folder, which appears only when all is in it."""
    parent = cache_directory() / "binaries"
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / recipe.key()
    with (
        progress.step(f"{recipe.name} {recipe.version()}") as step,
        only_one(parent / f".{recipe.key()}.lock", step.say),
    ):
        if target.exists():
            return
        partial = parent / f".{recipe.key()}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed: the lock is ours now
        try:
            source = partial / "source"
            source.mkdir(parents=True)
            for path in recipe.lock_files():
                shutil.copyfile(path, source / path.name)
            go.build(recipe, source, partial, step)
            shutil.rmtree(source)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
