"""The control plane is a real one, and does what tests need of it."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing import components, recipes
from kube_registrar.testing.api import STRATEGIC_PATCH, ApiClient, ApiError, ApiUnreachable
from kube_registrar.testing.components import BY_HAND, Component
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import CommandFailed, GroundError, PortTaken, ProcessFailed
from kube_registrar.testing.parts import Parts
from kube_registrar.testing.processes import is_alive
from kube_registrar.testing.waiting import wait_until

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One that these tests may break."""
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    with ControlPlane(nodes=1, audit_policy=policy) as running:
        yield running


def pod(name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "main", "image": "none"}], **spec},
    }


def conditions(plane: ControlPlane, path: str) -> dict[str, str]:
    status = plane.api.get(path)["status"]
    return {condition["type"]: condition["status"] for condition in status.get("conditions", ())}


def kube_system_uid(plane: ControlPlane) -> str:
    uid: str = plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    return uid


def test_it_is_the_pinned_kubernetes(control_plane: ControlPlane) -> None:
    if os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("KUBEBUILDER_ASSETS may hold another version")
    versions = json.loads(control_plane.kubectl("version", "--output=json"))
    pinned = recipes.recipes_for(["kubectl"])[0].version()
    assert versions["serverVersion"]["gitVersion"] == pinned
    assert versions["clientVersion"]["gitVersion"] == pinned


def test_a_deployment_becomes_ready_and_its_service_has_endpoints(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    control_plane.apply(
        [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web"},
                "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {"selector": labels, "ports": [{"port": 80}]},
            },
        ],
        f"--namespace={kube_namespace}",
    )

    def ready_addresses() -> set[str] | None:
        slices = control_plane.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{kube_namespace}/endpointslices")
        endpoints = [endpoint for item in slices["items"] for endpoint in item["endpoints"] or ()]
        found = {endpoint["addresses"][0] for endpoint in endpoints if endpoint["conditions"]["ready"]}
        return found if len(found) == 3 else None

    addresses = wait_until(ready_addresses, "three ready endpoints")
    pods = control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods")["items"]
    assert {item["status"]["podIP"] for item in pods} == addresses
    assert {item["spec"]["nodeName"] for item in pods} <= {"node-0", "node-1", "node-2"}


def test_nodes_stand_in_zones(control_plane: ControlPlane) -> None:
    nodes = control_plane.api.get("/api/v1/nodes")["items"]
    zones = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    expected = {"node-0": "local-1a", "node-1": "local-1b", "node-2": "local-1c"}
    assert {name: zones[name] for name in expected} == expected


def test_rbac_is_on(control_plane: ControlPlane, kube_namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "reader", f"--namespace={kube_namespace}")
    kubeconfig = control_plane.service_account_kubeconfig(kube_namespace, "reader")
    with pytest.raises(CommandFailed) as caught:
        control_plane.kubectl("get", "pods", kubeconfig=kubeconfig)
    assert caught.value.returncode == 1
    assert f'"system:serviceaccount:{kube_namespace}:reader" cannot list resource "pods"' in caught.value.stderr
    control_plane.kubectl(
        *("create", "rolebinding", "reader", "--clusterrole=view", f"--serviceaccount={kube_namespace}:reader"),
        f"--namespace={kube_namespace}",
    )

    def may_list() -> bool:
        with contextlib.suppress(CommandFailed):
            return control_plane.kubectl("auth", "can-i", "list", "pods", kubeconfig=kubeconfig).strip() == "yes"
        return False

    wait_until(may_list, "the binding to count")
    assert control_plane.kubectl("get", "pods", "--output=name", kubeconfig=kubeconfig) == ""


def test_a_caller_without_a_token_is_nobody(control_plane: ControlPlane) -> None:
    client = ApiClient(control_plane.url, "wrong", control_plane.ca_file)
    with pytest.raises(ApiError) as caught:
        client.get("/api/v1/pods")
    assert (caught.value.status, caught.value.reason) == (401, "Unauthorized")


def test_a_gate_keeps_a_pod_unready_until_somebody_opens_it(control_plane: ControlPlane, kube_namespace: str) -> None:
    gate = "example.com/open"
    control_plane.apply(pod("gated", readinessGates=[{"conditionType": gate}]), f"--namespace={kube_namespace}")
    path = f"/api/v1/namespaces/{kube_namespace}/pods/gated"
    wait_until(lambda: conditions(control_plane, path).get("ContainersReady") == "True", "ready containers")
    assert conditions(control_plane, path)["Ready"] == "False"
    assert gate not in conditions(control_plane, path)
    for status in ("True", "False", "True"):
        change = {"status": {"conditions": [{"type": gate, "status": status}]}}
        control_plane.api.patch(f"{path}/status", change, content_type=STRATEGIC_PATCH)
        wait_until(lambda status=status: conditions(control_plane, path)["Ready"] == status, f"Ready {status}")  # type: ignore[misc]


def test_a_pod_can_be_played_by_hand(control_plane: ControlPlane, kube_namespace: str) -> None:
    namespace = f"--namespace={kube_namespace}"
    control_plane.apply([pod("ours", annotations={BY_HAND: "true"}), pod("played")], namespace)
    path = f"/api/v1/namespaces/{kube_namespace}/pods"
    wait_until(lambda: conditions(control_plane, f"{path}/played").get("Ready") == "True", "the other pod to be Ready")
    wait_until(lambda: "PodScheduled" in conditions(control_plane, f"{path}/ours"), "our pod to be scheduled")
    assert control_plane.api.get(f"{path}/ours")["status"]["phase"] == "Pending"
    control_plane.kubectl("delete", "pods", "--all", "--wait=false", namespace)
    names = ("get", "pods", "--output=jsonpath={.items[*].metadata.name}", namespace)
    wait_until(lambda: control_plane.kubectl(*names) == "ours", "the other pod to go")
    assert "deletionTimestamp" in control_plane.api.get(f"{path}/ours")["metadata"]


def test_a_job_completes(control_plane: ControlPlane, kube_namespace: str) -> None:
    control_plane.kubectl("create", "job", "once", "--image=none", f"--namespace={kube_namespace}")
    path = f"/apis/batch/v1/namespaces/{kube_namespace}/jobs/once"
    wait_until(lambda: conditions(control_plane, path).get("Complete") == "True", "the job to complete")


def test_nodes_can_be_dual_stack_or_left_to_the_test(plane: ControlPlane) -> None:
    (dual,) = plane.make_nodes(1, dual_stack=True)
    (idle,) = plane.make_nodes(1, managed=False)
    plane.apply([pod("dual", nodeName=dual), pod("idle", nodeName=idle)], "--namespace=default")
    path = "/api/v1/namespaces/default/pods"
    wait_until(lambda: conditions(plane, f"{path}/dual").get("Ready") == "True", "the dual-stack pod to be Ready")
    addresses = [entry["ip"] for entry in plane.api.get(f"{path}/dual")["status"]["podIPs"]]
    assert addresses == ["10.1.0.1", "fd00:10:1::1"]
    assert "podIP" not in plane.api.get(f"{path}/idle")["status"]


def test_two_control_planes_run_at_once(control_plane: ControlPlane, plane: ControlPlane) -> None:
    assert control_plane.url != plane.url
    assert kube_system_uid(control_plane) != kube_system_uid(plane)
    with pytest.raises(ApiUnreachable, match="certificate verify failed"):
        ApiClient(plane.url, plane.token, control_plane.ca_file).get("/api")


def test_the_api_server_can_be_killed_and_comes_back_as_it_was(plane: ControlPlane) -> None:
    before = (plane.url, kube_system_uid(plane))
    pid = plane.child(Component.API_SERVER).pid
    plane.stop_api_server()
    assert not is_alive(pid)
    with pytest.raises(ApiUnreachable):
        plane.api.get("/api")
    with pytest.raises(GroundError, match="kube-apiserver does not run; running: etcd, kube-controller-manager,"):
        plane.stop_api_server()
    plane.start_api_server()
    assert (plane.url, kube_system_uid(plane)) == before
    with pytest.raises(GroundError, match="kube-apiserver runs already"):
        plane.start_api_server()


def test_the_api_server_can_hang(plane: ControlPlane) -> None:
    child = plane.child(Component.API_SERVER)
    child.signal(signal.SIGSTOP)
    try:
        with pytest.raises(ApiUnreachable, match="timed out"):
            plane.api.request("GET", "/api", timeout=0.2)
    finally:
        child.signal(signal.SIGCONT)
    assert plane.api.get("/api")["kind"] == "APIVersions"


def test_calls_are_audited(plane: ControlPlane) -> None:
    plane.api.get("/api/v1/namespaces/kube-public")
    events = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    uris = {event["requestURI"] for event in events if event["user"]["username"] == "admin"}
    assert "/api/v1/namespaces/kube-public" in uris


def test_without_an_audit_policy_there_is_no_audit_log(control_plane: ControlPlane) -> None:
    with pytest.raises(GroundError, match="pass audit_policy to ControlPlane"):
        control_plane.audit_log  # noqa: B018  # it raises


def test_its_files_are_for_this_user_only(control_plane: ControlPlane) -> None:
    assert control_plane.site.directory.stat().st_mode & 0o777 == 0o700
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_failed_start_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    started: list[int] = []
    original = Parts.start_component

    def recorded(parts: Parts, component: Component) -> None:
        try:
            original(parts, component)
        finally:
            started.append(parts.child(component).pid)

    monkeypatch.setattr(Parts, "start_component", recorded)
    plane = ControlPlane(api_server_args=["--no-such-flag"])
    with pytest.raises(ProcessFailed, match=r"kube-apiserver ended by itself with 1; .*\n(.*\n)*.*--no-such-flag"):
        plane.start()
    assert len(started) == 2
    assert not any(map(is_alive, started))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(GroundError, match="the control plane does not run"):
        plane.url  # noqa: B018  # it raises


def test_a_port_that_somebody_takes_first_is_tried_elsewhere(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [control_plane.site.port, 17999]
    monkeypatch.setattr("kube_registrar.testing.parts.free_port", lambda: ports.pop(0))
    with ControlPlane(kwok=False) as second:
        assert second.url == "https://127.0.0.1:17999"


def test_a_port_that_is_always_taken_is_an_error(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.testing.control_plane.ATTEMPTS", 1)
    monkeypatch.setattr("kube_registrar.testing.parts.free_port", lambda: control_plane.site.port)
    with pytest.raises(PortTaken, match="address already in use"):
        ControlPlane(kwok=False).start()


def test_a_long_temporary_folder_is_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with ControlPlane(kwok=False) as plane:
        assert len(str(plane.site.etcd_socket)) < 104
    assert list(long.iterdir()) == []


OWNER = """
import sys, time
from kube_registrar.testing.control_plane import ControlPlane
plane = ControlPlane(nodes=0).start()
print(plane.site.directory, *(child.pid for child in plane.parts._children.values()), flush=True)
time.sleep(1000)
"""


def test_nothing_runs_after_its_owner_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory, *pids = owner.stdout.readline().split()
        assert len(pids) == len(Component)
        assert all(is_alive(int(pid)) for pid in pids)
        owner.kill()
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), "all to end")
    wait_until(lambda: not Path(directory).exists(), "its folder to go")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_one_until_it_is_told_to_end(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "kube_registrar.testing", "up", "--nodes", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        kubeconfig = Path(up.stdout.readline().strip().removeprefix("export KUBECONFIG="))
        cluster = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        assert context.cert_store_stats()["x509_ca"] == 1
        up.send_signal(number)
        assert up.wait(60) == 130
        assert up.stderr is not None
        assert up.stderr.read() == "Ctrl-C ends it.\n"
    assert not kubeconfig.parent.exists()


def test_every_binary_of_a_component_can_be_built() -> None:
    assert {component.value for component in components.Component} < set(recipes.CONTROL_PLANE)
