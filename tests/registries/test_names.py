"""Capabilities decide, not names: nothing between Kubernetes and the port knows what a kind of registry is called."""

import ast
from pathlib import Path

import pytest

import kube_registrar
from kube_registrar.registries.loading import installed

SOURCE = Path(kube_registrar.__file__).parent
PACKAGES = ("declared", "explaining", "model", "operator", "planning", "server", "sources", "sync")
KINDS = {*installed(), "consul", "etcd"}


def named(text: str) -> set[str]:
    """Return the kinds that stand in the code as a text of their own."""
    found = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    return {kind for kind in KINDS if kind in found}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_kind_is_named(package: str) -> None:
    modules = sorted((SOURCE / package).rglob("*.py"))
    assert modules
    assert {str(path): kinds for path in modules if (kinds := named(path.read_text(encoding="utf-8")))} == {}


def test_one_that_were_named_would_be_found() -> None:
    assert named("if entry.kind == 'embedded': ...") == {"embedded"}
