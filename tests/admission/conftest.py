"""Our kinds on a real API server: what it admits, what it refuses, and with which words."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.api import ApiError
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until

CRDS = Path(__file__).parents[2] / "crds"
GROUP = "/apis/kube-registrar.dev/v1alpha1"

Object = Mapping[str, Any]


@pytest.fixture(scope="session")
def kinds(control_plane: ControlPlane) -> ControlPlane:
    """Return a control plane that knows our kinds."""
    for path in sorted(CRDS.glob("*.yaml")):
        control_plane.apply(path)

    def served() -> bool:
        try:
            names = {one["name"] for one in control_plane.api.get(GROUP)["resources"]}
        except ApiError:
            return False
        return {"registrynamespaces", "registrynamespaces/status", "registryservices/status"} <= names

    wait_until(served, "our kinds to be served")
    return control_plane


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds, as a place to create objects in."""

    plane: ControlPlane
    kind: str
    collection: str

    def thing(self, spec: object, name: str = "") -> dict[str, Any]:
        """Return an object with this spec."""
        metadata = {"name": name or f"t{secrets.token_hex(6)}"}
        return {"apiVersion": "kube-registrar.dev/v1alpha1", "kind": self.kind, "metadata": metadata, "spec": spec}

    def admitted(self, spec: object, name: str = "") -> dict[str, Any]:
        """Return the object as it would be stored; nothing is."""
        return self.plane.api.post(f"{self.collection}?dryRun=All", self.thing(spec, name))

    def refusal(self, spec: object, name: str = "") -> str:
        """Return the message with which an object is refused."""
        with pytest.raises(ApiError) as caught:
            self.admitted(spec, name)
        return _invalid(caught.value)

    def changed(self, before: object, patch: object) -> dict[str, Any]:
        """Store an object, and return it as it would be after the patch of its spec."""
        stored = self.plane.api.post(self.collection, self.thing(before))
        path = f"{self.collection}/{stored['metadata']['name']}"
        try:
            return self.plane.api.patch(f"{path}?dryRun=All", {"spec": patch})
        finally:
            self.plane.api.delete(path)

    def refused_change(self, before: object, patch: object) -> str:
        """Return the message with which a change is refused."""
        with pytest.raises(ApiError) as caught:
            self.changed(before, patch)
        return _invalid(caught.value)


def _invalid(error: ApiError) -> str:
    assert error.reason == "Invalid", error
    return error.message


@pytest.fixture
def namespaces(kinds: ControlPlane) -> Kind:
    """Return RegistryNamespace."""
    return Kind(kinds, "RegistryNamespace", f"{GROUP}/registrynamespaces")


@pytest.fixture
def services(kinds: ControlPlane, kube_namespace: str) -> Kind:
    """Return RegistryService, in a Kubernetes namespace of the test's own."""
    return Kind(kinds, "RegistryService", f"{GROUP}/namespaces/{kube_namespace}/registryservices")


@pytest.fixture
def cleaner(kinds: ControlPlane) -> Iterator[Callable[[str], None]]:
    """Return a function that notes an object's path, to be deleted after the test."""
    paths: list[str] = []
    yield paths.append
    for path in paths:
        kinds.api.delete(path)
