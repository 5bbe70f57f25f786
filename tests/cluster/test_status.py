"""Conditions keep their time, and status is patched as a subresource."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.cluster.errors import ApiConflict, ApiNotFound
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.status import Statuses, patch_status, with_condition
from kube_registrar.testing.control_plane import ControlPlane

NOW = 1_700_000_000.0
CRDS = Path(__file__).parents[2] / "crds"


def ready(conditions: Any, status: bool | None, *, now: float = NOW, message: str = "all is well") -> list[Any]:
    return with_condition(conditions, "Ready", status, reason="Registered", message=message, generation=2, now=now)


def test_a_new_condition_is_whole() -> None:
    assert ready([], True) == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Registered",
            "message": "all is well",
            "observedGeneration": 2,
            "lastTransitionTime": "2023-11-14T22:13:20Z",
        }
    ]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [(True, True, True), (False, False, True), (None, None, True), (True, False, False), (None, True, False)],
)
def test_its_time_is_kept_while_its_status_is_the_same(before: bool | None, after: bool | None, kept: bool) -> None:
    [first] = ready([], before)
    [second] = ready([first], after, now=NOW + 60, message="another message")
    assert (second["lastTransitionTime"] == first["lastTransitionTime"]) is kept
    assert second["message"] == "another message"


def test_other_conditions_stay_as_and_where_they_are() -> None:
    others = [{"type": "Synced", "status": "True"}, {"type": "Ready", "status": "False"}, {"type": "Z", "x": 1}]
    found = ready(others, True)
    assert [one["type"] for one in found] == ["Synced", "Ready", "Z"]
    assert (found[0], found[2]) == (others[0], others[2])
    assert others[1] == {"type": "Ready", "status": "False"}, "the input is not changed"


def test_a_message_is_cut_to_what_a_condition_allows() -> None:
    [condition] = ready([], True, message="x" * 40_000)
    assert len(condition["message"]) == 32_768


@pytest.fixture
def shop(control_plane: ControlPlane, kube_namespace: str) -> Iterator[str]:
    """Return the name of a RegistryNamespace on the real API server, which no later test's operator may find."""
    control_plane.kubectl("apply", "--filename", str(CRDS))
    for name in ("registrynamespaces", "registryservices"):
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{name}.kube-registrar.dev", "--timeout=30s")
    control_plane.apply(
        {
            "apiVersion": "kube-registrar.dev/v1alpha1",
            "kind": "RegistryNamespace",
            "metadata": {"name": kube_namespace},
            "spec": {"type": "HTTP", "allowedNamespaces": {"from": "All"}},
        }
    )
    yield kube_namespace
    control_plane.api.delete(f"/apis/kube-registrar.dev/v1alpha1/registrynamespaces/{kube_namespace}")


@pytest.fixture
def read(control_plane: ControlPlane, shop: str) -> Callable[[], dict[str, Any]]:
    return lambda: control_plane.api.get(f"/apis/kube-registrar.dev/v1alpha1/registrynamespaces/{shop}")


async def test_conditions_reach_the_status(direct: Session, shop: str, read: Callable[[], dict[str, Any]]) -> None:
    conditions = ready([], True)
    status = {"observedGeneration": 2, "conditions": conditions}
    await patch_status(direct, "RegistryNamespace", "", shop, status)
    assert read()["status"]["conditions"] == conditions
    assert read()["status"]["observedGeneration"] == 2
    await patch_status(direct, "RegistryNamespace", "", shop, {"id": "ns-1"})
    assert read()["status"]["id"] == "ns-1"
    assert read()["status"]["conditions"] == conditions, "what is not named stays"


async def test_a_status_of_another_version_is_refused(
    direct: Session, shop: str, read: Callable[[], dict[str, Any]]
) -> None:
    version = read()["metadata"]["resourceVersion"]
    await patch_status(direct, "RegistryNamespace", "", shop, {"id": "ns-1"}, resource_version=version)
    with pytest.raises(ApiConflict):
        await patch_status(direct, "RegistryNamespace", "", shop, {"id": "ns-2"}, resource_version=version)
    assert read()["status"]["id"] == "ns-1"


async def test_an_object_that_is_gone_is_told(direct: Session, shop: str) -> None:
    with pytest.raises(ApiNotFound):
        await patch_status(direct, "RegistryNamespace", "", f"{shop}-x", {"id": "ns-1"})


async def test_a_status_is_read_with_its_version_and_written_only_to_that_one(
    direct: Session, shop: str, read: Callable[[], dict[str, Any]]
) -> None:
    statuses = Statuses(direct)
    found = await statuses.read("RegistryNamespace", "", shop)
    assert (found.uid, found.status) == (read()["metadata"]["uid"], {})
    await statuses.patch("RegistryNamespace", "", shop, {"conditions": ready([], True)})
    with pytest.raises(ApiConflict):
        await statuses.patch("RegistryNamespace", "", shop, {"conditions": []}, resource_version=found.resource_version)
    assert (await statuses.read("RegistryNamespace", "", shop)).status == {"conditions": ready([], True)}
