"""`plan` and `explain` beside an operator that runs: the same words, and not one write."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator, environment
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, changes

READS = {"DiscoverInstances", "GetOperation", "GetInstance", "GetNamespace", "GetService", "GetInstancesHealthStatus"}


class Looking:
    """Runs commands that only look, through a proxy that notes all that is asked of the API server."""

    def __init__(self, operator: Operator, place: Place, proxy: FaultProxy, folder: Path) -> None:
        self.operator = operator
        self.place = place
        self.proxy = proxy
        self.kubeconfig = proxy.write_kubeconfig(folder / "looking")

    def run(self, *args: str, registry: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command on the operator's registry, and see that nothing was written."""
        before, asked = len(changes(self.operator.data)), len(self.proxy.calls)
        given = registry or ("--registry", "cloudmap", "--endpoint-url", self.operator.endpoint)
        done = subprocess.run(
            [sys.executable, "-m", "kube_registrar", *args, *given, "--kubeconfig", str(self.kubeconfig)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        calls = self.proxy.calls[asked:]
        written = [f"{c.verb} {c.path}" for c in calls if c.verb != "GET" and "selfsubjectaccessreviews" not in c.path]
        assert calls
        assert written == []
        assert len(changes(self.operator.data)) == before
        assert "Traceback" not in done.stderr
        return done

    def plan(self, *args: str) -> tuple[int, Any]:
        """Return the exit code and what `plan -o json` says of this place."""
        done = self.run("plan", "-o", "json", "-n", self.place.namespace, *args)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def explain(self, *args: str) -> tuple[int, Any]:
        """Return the exit code and what `explain -o json` says."""
        done = self.run("explain", *args, "-n", self.place.namespace, "-o", "json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def looking(operator: Operator, place: Place, tmp_path: Path) -> Iterator[Looking]:
    """The commands, on the operator's own registry."""
    with FaultProxy.before(place.plane) as proxy:
        yield Looking(operator, place, proxy, tmp_path)


def test_nothing_would_change_while_the_operator_keeps_up(looking: Looking, place: Place, registry: Registry) -> None:
    place.declare("web")
    place.pod("here", "web")
    registry.expect("web", {"here"})
    done = looking.run("plan", "-n", place.namespace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing would change: everything is as the cluster says.\n"
