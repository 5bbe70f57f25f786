"""Sessions to the control plane, straight or through a fault proxy, and pods."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.cluster.session import Session, open_session
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy.before(control_plane) as proxy:
        yield proxy


@pytest.fixture
async def session(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Session]:
    kubeconfig = proxy.write_kubeconfig(tmp_path / "proxy.yaml")
    async with open_session(str(kubeconfig)) as session:
        yield session


@pytest.fixture
async def direct(control_plane: ControlPlane) -> AsyncIterator[Session]:
    async with open_session(str(control_plane.kubeconfig)) as session:
        yield session


@pytest.fixture
def make_pods(control_plane: ControlPlane, kube_namespace: str) -> Callable[..., list[str]]:
    """Make pods that nobody schedules, annotated unless told otherwise; return their names."""

    def make(*names: str, annotated: bool = True, namespace: str = kube_namespace) -> list[str]:
        for name in names:
            metadata: dict[str, Any] = {"name": name}
            if annotated:
                metadata["annotations"] = {"kube-registrar.dev/service": "shop/web"}
            body = {
                "metadata": metadata,
                "spec": {
                    "schedulerName": "nobody",
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "web", "image": "web", "ports": [{"name": "http", "containerPort": 80}]}],
                },
            }
            control_plane.api.post(f"/api/v1/namespaces/{namespace}/pods", body)
        return list(names)

    return make
