"""The cases of the alerts, and the tests of promtool that they make."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).with_name("cases_alerts.yaml")
Json = dict[str, Any]


def cases() -> dict[str, Json]:
    """Return what the file has, by the name of the alert."""
    found: dict[str, Json] = yaml.safe_load(CASES.read_text())
    return found


def promtool_tests(rules: Sequence[Mapping[str, Any]], rule_file: Path) -> Json:
    """Return the file that `promtool test rules` takes: a firing and a silent test for each rule that is rendered."""
    known = cases()
    tests = [_test(rule, known[rule["alert"]][way], way) for rule in rules for way in ("fires", "silent")]
    return {"rule_files": [str(rule_file)], "evaluation_interval": "1m", "tests": tests}


def _test(rule: Mapping[str, Any], case: Json, way: str) -> Json:
    expected = [] if way == "silent" else [_alert(rule, case)]
    return {
        "name": f"{rule['alert']} {way}",
        "interval": "1m",
        "input_series": [{"series": series, "values": str(values)} for series, values in case["series"].items()],
        "alert_rule_test": [{"alertname": rule["alert"], "eval_time": case["after"], "exp_alerts": expected}],
    }


def _alert(rule: Mapping[str, Any], case: Json) -> Json:
    """Return the alert as it must be: the summary is the case's, for it is filled in; the rest stands in the rule."""
    labels = {**rule["labels"], **case.get("labels", {})}
    return {"exp_labels": labels, "exp_annotations": {**rule["annotations"], "summary": case["summary"]}}
