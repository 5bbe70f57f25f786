"""The code on the page for whoever writes a registry is the example's own, word for word."""

import re
from pathlib import Path

import pytest

from kube_registrar.registries.port import PORT_VERSION

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "write-a-registry.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "registry-plugin"
BLOCKS = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, flags=re.DOTALL)
SOURCES = [path.read_text(encoding="utf-8") for suffix in ("py", "toml") for path in EXAMPLE.rglob(f"*.{suffix}")]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0])
def test_each_block_stands_in_the_example(block: str) -> None:
    assert any(block in source for source in SOURCES)


def test_page_and_example_are_for_this_version_of_the_port() -> None:
    assert len(BLOCKS) == 8
    assert f"It has a version, now {PORT_VERSION};" in PAGE
    assert all(f"@written_for({PORT_VERSION}, CAPABILITIES)" in text for text in (PAGE, "".join(SOURCES)))
