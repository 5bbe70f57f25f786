"""The chart's policies on the API server of the tests, each mode where a namespace's label asks for it."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kube_registrar.testing.control_plane import ControlPlane
from tests.chart.helm import Helm, Json

CASES = Path(__file__).parents[1] / "unit" / "cases"
LABEL = "test-mode"


def cases() -> Mapping[str, Json]:
    """Return the shared cases of wrong annotations, by file and name, with `((x*3))` written out."""
    found = {}
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            written = {
                key: re.sub(r"\(\((.+?)\*(\d+)\)\)", _written, each) for key, each in case["annotations"].items()
            }
            found[f"{path.stem}: {case['name']}"] = {**case, "annotations": written}
    return found


def _written(found: re.Match[str]) -> str:
    return found[1] * int(found[2])


def rendered(helm: Helm, admission: Mapping[str, object]) -> Sequence[Json]:
    """Return the policies and bindings of the chart."""
    values = {"admission": {"renderMode": "alwaysRender", **admission}}
    return [each for each in helm.objects(values=values) if "AdmissionPolicy" in each["kind"]]


def narrowed(objects: Sequence[Json], mode: str) -> Sequence[Json]:
    """Return them with names of their own, and for namespaces with the label of this mode only."""
    for each in objects:
        each["metadata"]["name"] += f"-{mode}"
        if each["kind"].endswith("Binding"):
            each["spec"]["policyName"] += f"-{mode}"
            each["spec"].setdefault("matchResources", {})["namespaceSelector"] = {"matchLabels": {LABEL: mode}}
    return objects


def namespace(plane: ControlPlane, **labels: str) -> str:
    """Make a Kubernetes namespace, and return its name."""
    name = f"test-{secrets.token_hex(4)}"
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    return name


def template(annotations: Mapping[str, str]) -> Json:
    """Return a template of pods."""
    spec = {"containers": [{"name": "web", "image": "web"}]}
    return {"metadata": {"labels": {"app": "web"}, "annotations": dict(annotations)}, "spec": spec}


def thing(kind: str, annotations: Mapping[str, str]) -> tuple[str, Json]:
    """Return the path of a kind within a namespace, and an object whose pods have these annotations."""
    metadata: Json = {"name": "web"}
    pods = template(annotations)
    selector = {"matchLabels": {"app": "web"}}
    finite = {**pods, "spec": {**pods["spec"], "restartPolicy": "Never"}}
    made: Mapping[str, tuple[str, str, Json]] = {
        "Deployment": ("apis/apps/v1", "deployments", {"selector": selector, "template": pods}),
        "StatefulSet": ("apis/apps/v1", "statefulsets", {"serviceName": "web", "selector": selector, "template": pods}),
        "DaemonSet": ("apis/apps/v1", "daemonsets", {"selector": selector, "template": pods}),
        "ReplicaSet": ("apis/apps/v1", "replicasets", {"selector": selector, "template": pods}),
        "ReplicationController": ("api/v1", "replicationcontrollers", {"selector": {"app": "web"}, "template": pods}),
        "Job": ("apis/batch/v1", "jobs", {"template": finite}),
        "CronJob": (
            "apis/batch/v1",
            "cronjobs",
            {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": finite}}},
        ),
        "Pod": ("api/v1", "pods", pods["spec"]),
        "Service": ("api/v1", "services", {"ports": [{"port": 80}]}),
    }
    root, plural, spec = made[kind]
    if kind in {"Pod", "Service"}:
        metadata["annotations"] = dict(annotations)
    return f"/{root}/namespaces/{{}}/{plural}", {"metadata": metadata, "spec": spec}


def warnings(plane: ControlPlane, where: str, kind: str, annotations: Mapping[str, str]) -> Sequence[str]:
    """Return what is said while an object is made, which is not kept. Raises ApiError where it is refused."""
    path, body = thing(kind, annotations)
    said: Sequence[Any] = plane.api.warned("POST", path.format(where) + "?dryRun=All", body)
    return said
