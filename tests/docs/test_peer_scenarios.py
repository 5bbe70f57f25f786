"""Every test that the tables of scenarios, of what Amazon ECS does, and of who can do what name exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"peer-scenarios.md": 40, "ecs.md": 20, "security.md": 28}
"""Pages, and how many rows each has at least."""
TEXTS = {page: (ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES}
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", "".join(TEXTS.values()))


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_is_named_exists(path: str) -> None:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for where, name in NAMED if where == path} <= functions


@pytest.mark.parametrize("page", PAGES)
def test_every_row_names_a_test(page: str) -> None:
    rows = [line for line in TEXTS[page].splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.endswith(("| tests |", "| tests here |"))]
    assert len(rows) >= PAGES[page]
    assert [row for row in rows if ".py::test_" not in row] == []
