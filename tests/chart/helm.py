"""helm from the test ground, with a home of its own."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import yaml

from kube_registrar.testing import binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "Chart"
CI = sorted((CHART / "ci").glob("*-values.yaml"))

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Helm:
    """Runs helm; `kubeconfig` is None where no cluster is needed."""

    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it, and return how it ended."""
        command = [str(binaries.locate(["helm"])["helm"]), *map(str, arguments)]
        folders = {name: str(self.home / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
        cluster = {"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {}
        environment = {**kept, **folders, **cluster, "NO_PROXY": "*"}
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)

    def said(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run it, fail if it does, and return what it printed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, *arguments: str | Path, values: Mapping[str, object] | None = None) -> Sequence[Json]:
        """Return what the chart renders, as release `kube-registrar` in the namespace of that name."""
        given = () if values is None else ("--values", "-")
        stdin = None if values is None else yaml.safe_dump(dict(values))
        text = self.said("template", "kube-registrar", CHART, "-n", "kube-registrar", *given, *arguments, stdin=stdin)
        return read(text)


def read(text: str) -> Sequence[Json]:
    """Return the objects of a text; with libyaml, for our CRDs are long."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [each for each in yaml.load_all(text, Loader=loader) if each]


def one(objects: Sequence[Json], kind: str, name: str = "") -> Json:
    """Return the object of a kind (and name)."""
    found = [each for each in objects if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    assert len(found) == 1, [each["metadata"]["name"] for each in found]
    return found[0]


def is_hook(found: Json) -> bool:
    """Whether helm applies it at a moment of its own."""
    return "helm.sh/hook" in found["metadata"].get("annotations", {})


@cache
def rendered(values: Path) -> Sequence[Json]:
    """Return what the chart makes of a file of values."""
    return Helm(Path(gettempdir()) / "kube-registrar-helm").objects("--values", values)
