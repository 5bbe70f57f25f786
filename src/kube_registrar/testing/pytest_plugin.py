"""
The control plane as pytest fixtures. Put this into your `conftest.py`:

    pytest_plugins = ["kube_registrar.testing.pytest_plugin"]
"""

import contextlib
import secrets
from collections.abc import Iterator

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane for all tests of this process, with three kwok nodes in three zones."""
    plane = ControlPlane(nodes=3)
    try:
        plane.start()
    except GroundError as error:
        # Failed, not skipped: a run without these tests must not look like one with them.
        pytest.fail(str(error), pytrace=False)
    try:
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def kube_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """
    Return the name of a new Kubernetes namespace for this test alone.

    It is deleted afterwards without waiting, so what is in it may outlive the test by seconds.
    """
    name = f"test-{secrets.token_hex(4)}"
    control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    with contextlib.suppress(GroundError):  # the test may have stopped the API server, or deleted it
        control_plane.api.delete(f"/api/v1/namespaces/{name}")
