"""Before anything else: one sentence where the API server, a right or our kinds are missing."""

from pathlib import Path

import pytest

from kube_registrar.cluster import preflight
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.model.errors import UserError
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, Call, everything

CRDS = Path(__file__).parents[2] / "crds"
NAMES = {"registrynamespaces", "registryservices"}


@pytest.fixture
def installed(control_plane: ControlPlane) -> None:
    control_plane.kubectl("apply", "--filename", str(CRDS))
    for name in NAMES:
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{name}.kube-registrar.dev", "--timeout=30s")


@pytest.fixture
def nobody(control_plane: ControlPlane, kube_namespace: str) -> Path:
    """Return a kubeconfig of a service account without any right."""
    control_plane.api.post(f"/api/v1/namespaces/{kube_namespace}/serviceaccounts", {"metadata": {"name": "nobody"}})
    return control_plane.service_account_kubeconfig(kube_namespace, "nobody")


def where(session: Session) -> str:
    return f"the API server {session.server} ({session.credentials.source})"


async def test_a_cluster_that_is_ready_for_us(control_plane: ControlPlane, direct: Session, installed: None) -> None:
    found = await preflight.check(direct)
    assert found.uid == control_plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert found.version.startswith("v1.")


async def test_an_api_server_out_of_reach(proxy: FaultProxy, session: Session) -> None:
    with proxy.down(), pytest.raises(UserError) as error:
        await preflight.check(session)
    assert str(error.value).startswith(
        f"{where(session)} does not answer: check --kubeconfig, --context and the network "
        f"(GET /version: {proxy.url} cannot be reached"
    )


async def test_credentials_that_are_not_accepted(proxy: FaultProxy, tmp_path: Path) -> None:
    path = proxy.write_kubeconfig(tmp_path / "wrong.yaml", token="wrong")
    async with open_session(str(path)) as session:
        with pytest.raises(UserError) as error:
            await preflight.check(session)
        expected = f"{where(session)} does not accept the credentials: log in anew, or choose another --context"
        assert str(error.value) == expected


async def test_kinds_that_are_not_installed(proxy: FaultProxy, session: Session) -> None:
    def ours(call: Call) -> bool:
        return call.path == "/apis/kube-registrar.dev/v1alpha1"

    proxy.add(Answer(ours, status=404, reason="", message="404 page not found"))
    with pytest.raises(UserError) as error:
        await preflight.check(session, patience=0)
    assert str(error.value) == (
        f"{where(session)} lacks the kinds registrynamespaces.kube-registrar.dev and "
        "registryservices.kube-registrar.dev: install them with kubectl apply -f crds/"
    )


async def test_rights_that_are_missing_are_named(
    control_plane: ControlPlane, nobody: Path, kube_namespace: str, installed: None
) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list"]},
        {"apiGroups": ["kube-registrar.dev"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    subject = {"kind": "ServiceAccount", "name": "nobody", "namespace": kube_namespace}
    role = f"{kube_namespace}-some"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    control_plane.api.post(f"{rbac}/clusterroles", {"metadata": {"name": role}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}
    control_plane.api.post(f"{rbac}/clusterrolebindings", binding)
    try:
        async with open_session(str(nobody)) as session:
            with pytest.raises(UserError) as error:
                await preflight.check(session, ["shop", "stock"])
            assert str(error.value) == (
                f"{where(session)} does not allow us to watch pods in namespace shop; watch pods in namespace stock; "
                "get, list, watch services in namespace shop; get, list, watch services in namespace stock; "
                "list, watch endpointslices.discovery.k8s.io in namespace shop; "
                "list, watch endpointslices.discovery.k8s.io in namespace stock; "
                "watch namespaces in all namespaces: grant it to the operator's service account or user"
            )
    finally:
        control_plane.api.delete(f"{rbac}/clusterrolebindings/{role}")
        control_plane.api.delete(f"{rbac}/clusterroles/{role}")


async def test_what_is_no_api_server(proxy: FaultProxy, session: Session) -> None:
    proxy.add(Answer(everything, status=500, message="nginx"))
    with pytest.raises(UserError) as error:
        await preflight.check(session)
    assert str(error.value) == (
        f"{where(session)} does not answer as one: check its URL and that it is well (GET /version: nginx)"
    )
