"""A Consul for tests, or a skip that says why there is none."""

from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.consul import Consul
from kube_registrar.testing.errors import MissingBinaries

ROOT = Path(__file__).parents[3]
POLICY = ROOT / "deploy" / "consul" / "policy.hcl"


def new_consul(folder: Path, **named: Any) -> Consul:
    """Return a Consul that is not started yet. The test is skipped, and says so, where Consul is not built."""
    try:
        return Consul(folder, **named)
    except MissingBinaries as error:
        pytest.skip(f"CONSUL IS NOT TESTED HERE: {error}")
