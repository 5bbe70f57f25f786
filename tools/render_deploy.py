"""Render what stands in deploy/ from the chart, and copy the CRDs into it: one truth. With --check, only compare.

Comments of the templates stay, so that whoever reads deploy/ sees why. Hooks are helm's, and left out.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from kube_registrar.testing import binaries
from kube_registrar.testing.errors import MissingBinaries

ROOT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "kube-registrar"
POLICIES: Final = re.compile("(Validating|Mutating)AdmissionPolicy")
# Every Kubernetes that the chart takes serves validating ones; mutating ones come with 1.36, and are a component.
ADMISSION: Final = {"renderMode": "alwaysRender", "readinessGate": {"enabled": True}}
RIGHTS: Final = frozenset({"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})
OVERLAYS: Final[Mapping[str, Mapping[str, object]]] = {
    "cloudmap": {"mode": "cloudmap"},
    "embedded": {"mode": "embedded", "embedded": {"operatorKey": {"existingSecret": f"{NAME}-operator-key"}}},
}
FIXED: Final = {"crds": {"enabled": False}, "tests": {"enabled": False}, "admission": ADMISSION}
HEADER: Final = "# Rendered from Chart/ by `make render`: change that, and not this.\n"
NAMESPACE: Final = f"""apiVersion: v1
kind: Namespace
metadata:
  name: {NAME}
  labels:
    app.kubernetes.io/name: {NAME}
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""
_LEFT_OUT = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)


def helm(*arguments: str) -> str:
    """Run helm and return what it prints."""
    command = [str(binaries.locate(["helm"])["helm"]), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def documents(values: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, component and text of every object of the chart but CRDs and hooks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump({**values, **FIXED}))
        text = helm("template", NAME, str(ROOT / "Chart"), "-n", NAME, "--no-hooks", "-f", str(file))
    for part in re.split(r"^---\n", text, flags=re.MULTILINE):
        found = yaml.safe_load(part)
        if found:
            clean = _LEFT_OUT.sub("", re.sub(r"^# Source: .*\n", "", part, flags=re.MULTILINE))
            yield found["kind"], found["metadata"]["labels"]["app.kubernetes.io/component"], clean.strip("\n") + "\n"


def kustomization(*resources: str, kind: str = "Kustomization", **more: object) -> str:
    """Return the text of a kustomization.yaml."""
    version = "v1alpha1" if kind == "Component" else "v1beta1"
    body = {"apiVersion": f"kustomize.config.k8s.io/{version}", "kind": kind, "resources": list(resources)}
    return HEADER + yaml.safe_dump({**body, **more}, sort_keys=False)


def rendered() -> dict[str, str]:
    """Return every file, by its path in the repository, with its text."""
    files: dict[str, str] = {}
    crds = {path.name: path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))}
    for name, text in crds.items():
        files[f"Chart/files/crds/{name}"] = text
        files[f"deploy/base/crds/{name}"] = text
    for overlay, values in OVERLAYS.items():
        found = list(documents(values))
        rights = [text for kind, component, text in found if kind in RIGHTS and component == "operator"]
        validating = [text for kind, _, text in found if kind.startswith("Validating")]
        mutating = [text for kind, _, text in found if kind.startswith("Mutating")]
        files["deploy/base/admission.yaml"] = HEADER + "---\n".join(validating)
        files["deploy/components/readiness-gate/policy.yaml"] = HEADER + "---\n".join(mutating)
        files["deploy/base/rbac.yaml"] = HEADER + "---\n".join([NAMESPACE, *rights])
        parts = {"operator": ("operator", "metrics"), "registry": ("registry",)}
        written = []
        for part, components in parts.items():
            texts = [
                text
                for kind, component, text in found
                if component in components
                and not (kind in RIGHTS and component == "operator")
                and not POLICIES.match(kind)
            ]
            if texts:
                files[f"deploy/overlays/{overlay}/{part}.yaml"] = HEADER + "---\n".join(texts)
                written.append(f"{part}.yaml")
        files[f"deploy/overlays/{overlay}/kustomization.yaml"] = kustomization("../../base", *written, namespace=NAME)
    files["deploy/base/kustomization.yaml"] = kustomization(
        *(f"crds/{name}" for name in crds), "rbac.yaml", "admission.yaml"
    )
    component = kustomization("policy.yaml", kind="Component")
    files["deploy/components/readiness-gate/kustomization.yaml"] = component
    return files


def stale(files: Mapping[str, str]) -> list[str]:
    """Return the files that are not what they should be, and those that should not be there."""
    places = ("Chart/files/crds", "deploy/base", "deploy/overlays", "deploy/components")
    there = {str(path.relative_to(ROOT)) for place in places for path in (ROOT / place).rglob("*.yaml")}
    differ = {name for name, text in files.items() if name not in there or (ROOT / name).read_text() != text}
    return sorted(differ | (there - files.keys()))


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    arguments = parser.parse_args()
    try:
        files = rendered()
    except MissingBinaries as error:
        print(error, file=sys.stderr)
        return 1
    found = stale(files)
    for name in found:
        if arguments.check:
            print(f"{name} is not what Chart/ and crds/ render: run `make render` and commit the result")
        elif name in files:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(files[name])
        else:
            (ROOT / name).unlink()
    return 1 if arguments.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
