"""A control plane that writes down what the operator's ServiceAccount does, and what the chart renders for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError
from tests.chart.helm import Helm
from tests.rights import auditing
from tests.scenarios.conftest import new_operator, place, server
from tests.scenarios.place import install_kinds

__all__ = ["new_operator", "place", "server"]

RELEASE = "kube-registrar"


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """A control plane with our kinds and the namespace of the release, whose audit log holds its accounts alone."""
    accounts = [f"{RELEASE}:{name}" for name in (RELEASE, f"{RELEASE}-release")]
    plane = ControlPlane(nodes=1, audit_policy=auditing.policy(*accounts))
    try:
        plane.start()
    except GroundError as error:
        pytest.fail(str(error), pytrace=False)
    install_kinds(plane)
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": RELEASE}})
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture
def audited(plane: ControlPlane) -> Path:
    """Return the audit log, emptied (the API server appends to it); no Lease is left of a test before."""
    plane.api.request("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{RELEASE}/leases")
    plane.audit_log.write_text("")
    return plane.audit_log
