"""The reference pages are made from the code that they are about."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = runpy.run_path(str(ROOT / "tools" / "render_reference.py"))["rendered"]()


@pytest.mark.parametrize("name", list(PAGES))
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name]
