"""The whole of the scenarios as the ServiceAccount that the chart renders: `make test-rights`.

Each process of pytest has a control plane and writes what its audit log says into a folder; `python -m
tests.rights.suite FOLDER` adds that up, and ends with 1 if a right was missing, or one was never used.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube_registrar.testing.control_plane import ControlPlane
from tests.chart.helm import Helm
from tests.rights import auditing
from tests.rights.auditing import RBAC, Account, Json
from tests.scenarios.place import CORE

FOLDER = "KUBE_REGISTRAR_RIGHTS"
RELEASE = "kube-registrar"
LEASES = "leases-of-tests"
"""Each operator of the scenarios has a Lease of its own in `default`; the walk proves the rendered rules for them."""


def _account() -> Account:
    return Account.rendered(Helm(Path(tempfile.gettempdir()) / "kube-registrar-helm"))


@contextmanager
def audited_plane(folder: Path) -> Iterator[ControlPlane]:
    """A control plane with that account, whose audit log is kept in the folder."""
    with ControlPlane(nodes=3, audit_policy=auditing.policy(f"{RELEASE}:{RELEASE}")) as plane:
        plane.api.post(f"{CORE}/namespaces", {"metadata": {"name": RELEASE}})
        _account().apply(plane)
        plane.apply(_leases())
        try:
            yield plane
        finally:
            folder.mkdir(exist_ok=True)
            (folder / f"{os.getpid()}.log").write_bytes(plane.audit_log.read_bytes())


def operator_kubeconfig(plane: ControlPlane) -> Path:
    """Return what an operator of the scenarios gets: that account, or the administrator where none is asked for."""
    return plane.service_account_kubeconfig(RELEASE, RELEASE) if FOLDER in os.environ else plane.kubeconfig


def _leases() -> list[Json]:
    metadata = {"name": LEASES, "namespace": "default"}
    rule = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "update", "watch"],
    }
    subject = {"kind": "ServiceAccount", "name": RELEASE, "namespace": RELEASE}
    role: Json = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": LEASES}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    del binding["rules"]
    return [role, binding]


def main(folder: Path) -> int:
    """Say what was missing and what was never used."""
    audit = auditing.read(line for path in folder.glob("*.log") for line in path.read_text().splitlines())
    granted = {each for each in _account().granted() if each.resource != "leases"}
    used = {each for each in audit.used if each.resource != "leases"}
    for title, found in (
        ("refused", sorted(audit.refused)),
        ("granted and never used", auditing.sorted_text(granted - used)),
        ("granted and used", auditing.sorted_text(granted & used)),
        ("used by another role", auditing.sorted_text(used - granted)),
    ):
        sys.stdout.write("\n  ".join([f"{title}: {len(found)}", *found]) + "\n")
    return int(bool(audit.refused or granted != used))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
