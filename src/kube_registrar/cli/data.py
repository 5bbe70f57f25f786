"""The manifests that come with the program: in the wheel as package data, in a checkout where people edit them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kube_registrar
from kube_registrar.model.errors import UserError

CRDS = "crds"
QUICKSTART = "examples/quickstart"


def folder(name: str) -> Path:
    """Return the folder `crds` or `examples/quickstart`. Raises UserError where an installation lacks it."""
    package = Path(kube_registrar.__file__).parent
    # A wheel carries _data (pyproject.toml, force-include); a checkout has the folders at its root.
    for found in (package / "_data" / name, package.parent.parent / name):
        if found.is_dir():
            return found
    raise UserError(f"the folder {name} is missing in this installation of kube-registrar: install it again")


def manifests(name: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a folder, in the order of its files' names."""
    import yaml  # noqa: PLC0415 - only those who apply manifests need it

    documents: list[Mapping[str, Any]] = []
    for path in sorted(folder(name).glob("*.yaml")):
        documents += [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    return documents
