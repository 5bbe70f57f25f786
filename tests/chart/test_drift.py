"""What is made from the chart, is what the chart makes."""

import runpy
from typing import Any

from tests.chart.helm import ROOT


def tool(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / f"{name}.py"))


def test_deploy_and_the_crds_of_the_chart_are_rendered_from_their_sources() -> None:
    render = tool("render_deploy")
    assert render["stale"](render["rendered"]()) == []


def test_the_page_of_values_is_made_from_the_chart() -> None:
    reference = tool("values_reference")
    assert reference["PAGE"].read_text() == reference["page"]()
