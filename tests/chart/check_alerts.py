"""The alerts as the chart renders them, in Prometheus' own judgement: `make test-alerts`.

No part of the test command, for promtool is a quarter of an hour of building on a small machine.
"""

import subprocess
from pathlib import Path

import pytest
import yaml

from kube_registrar.testing import binaries
from kube_registrar.testing.errors import GroundError
from tests.chart.alert_cases import promtool_tests
from tests.chart.helm import Helm, one


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    try:
        promtool = binaries.locate(["promtool"])["promtool"]
    except GroundError as error:
        pytest.fail(str(error), pytrace=False)
    values = {"metrics": {"prometheusRule": {"enabled": True}, "renderMode": "alwaysRender"}}
    groups = one(Helm(tmp_path).objects(values=values), "PrometheusRule")["spec"]["groups"]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": groups}))
    tests = tmp_path / "tests.yaml"
    tests.write_text(yaml.safe_dump(promtool_tests([each for group in groups for each in group["rules"]], rules)))
    for command in (["check", "rules", "--lint-fatal", "--lint=all", str(rules)], ["test", "rules", str(tests)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
