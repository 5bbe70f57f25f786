"""Alerts and dashboard ask for metrics that exist, and every alert has a page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.alert_cases import cases
from tests.chart.helm import CHART, ROOT, Helm, one

DOCUMENTED = re.compile(r"^\| `(kube_registrar_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
PAGES = ROOT / "docs" / "alerts"


def metrics() -> dict[str, tuple[str, set[str]]]:
    """Return the type and labels of every metric, by its name, as docs/metrics.md has them."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in DOCUMENTED.findall(text)}


def alerts() -> list[dict[str, Any]]:
    """Return all alerts."""
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def page_of(alert: str) -> str:
    """Return the name of an alert's page."""
    return re.sub(r"([a-z])([A-Z])", r"\1-\2", alert.removeprefix("KubeRegistrar")).lower() + ".md"


def expressions() -> list[str]:
    """Return every expression of alerts and dashboard."""
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    return [
        *(rule["expr"] for rule in alerts()),
        *(each["expr"] for panel in panels for each in panel.get("targets", [])),
    ]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_and_labels_that_exist(expression: str) -> None:
    known = metrics()
    added = {"job", "pod", "instance", "le"}
    allowed = set(added)
    for name in re.findall(r"kube_registrar_\w+", expression):
        base = name if name in known else re.sub("_(bucket|sum|count)$", "", name)
        assert base in known
        kind, labels = known[base]
        assert (kind == "histogram") == name.endswith("_bucket")
        allowed |= labels
    used = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|=)", expression)
    used += [label for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in re.split(r",\s*", group)]
    assert set(used) <= allowed


def test_there_are_at_least_eight_alerts_and_each_says_what_it_means() -> None:
    found = alerts()
    assert len(found) >= 8
    for rule in found:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.name for path in PAGES.glob("*.md")} - {"README.md"} == {page_of(rule["alert"]) for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_the_page_of_an_alert_says_what_why_and_what_to_do(rule: dict[str, Any]) -> None:
    text = (PAGES / page_of(rule["alert"])).read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in text
    assert page_of(rule["alert"]) in (PAGES / "README.md").read_text()


def test_the_rendered_rules_lead_to_those_pages_and_leave_out_what_is_disabled(tmp_path: Path) -> None:
    values = {
        "metrics": {
            "renderMode": "alwaysRender",
            "prometheusRule": {"enabled": True, "disabled": ["KubeRegistrarDown"]},
        }
    }
    rendered = one(Helm(tmp_path).objects(values=values), "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert [rule["alert"] for rule in rendered] == [rule["alert"] for rule in alerts()][1:]
    for rule in rendered:
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/alerts/{page_of(rule['alert'])}")


def test_no_panel_lies_on_another() -> None:
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    known = cases()
    assert set(known) == {rule["alert"] for rule in alerts()}
    for case in known.values():
        assert set(case) == {"fires", "silent"}
        assert case["fires"]["summary"]
