"""The parts of a control plane: where their files are, and the command line of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

POD_STAGES = Path(__file__).parent / "stages" / "pods.yaml"
"""How pods become Ready, complete and go; the file tells more."""

BY_HAND = "test-ground.kube-registrar.dev/by-hand"
"""An annotation, `"true"`: kwok leaves this pod alone, so that a test can write its status."""


class Component(StrEnum):
    """The processes of a control plane, in the order in which they start; the values are the names of the binaries."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KWOK = "kwok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a control plane is like; ControlPlane's docstring tells the fields."""

    kwok: bool
    stages: tuple[Path, ...]
    service_account_admission: bool
    audit_policy: Mapping[str, Any] | None
    api_server_args: tuple[str, ...]
    start_seconds: float

    def components(self) -> tuple[Component, ...]:
        """Return what runs, in the order of starting."""
        return tuple(component for component in Component if self.kwok or component is not Component.KWOK)


@dataclass(frozen=True, slots=True)
class Site:
    """One control plane's folder and port, and what lies where in it."""

    directory: Path
    port: int

    @property
    def url(self) -> str:
        """The API server's address, by IP: its certificate is for that."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def etcd_socket(self) -> Path:
        """Where etcd listens. No port: another's etcd can't be mistaken for ours, and only our user reaches it."""
        return self.directory / "etcd.sock"

    @property
    def certificates(self) -> Path:
        """The folder in which the API server keeps what it makes for itself."""
        return self.directory / "certificates"

    @property
    def certificate(self) -> Path:
        """The API server's certificate, with the CA that it made to sign it."""
        return self.certificates / "apiserver.crt"

    @property
    def key_file(self) -> Path:
        """The key of that certificate. It signs service account tokens too."""
        return self.certificates / "apiserver.key"

    @property
    def ca_file(self) -> Path:
        """That CA alone, as we cut it out: controllers refuse a CA bundle that holds anything else."""
        return self.directory / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def tokens(self) -> Path:
        """The static tokens."""
        return self.directory / "tokens.csv"

    @property
    def audit_log(self) -> Path:
        """The audit events, one JSON object a line; there only when an audit policy was given."""
        return self.directory / "audit.log"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.directory / f"{name}.log"

    def write(self, name: str, content: Any) -> Path:
        """Write a file for our user only, as JSON unless it is a string already, and return its path."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return path


def kubeconfig(url: str, ca_file: Path, token: str, namespace: str = "default") -> dict[str, Any]:
    """Return a kubeconfig with one context, `test-ground`, that works from any working directory."""
    name = "test-ground"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
    }


def etcd(site: Site) -> list[str]:
    """Return etcd's flags: one member, quick rather than durable."""
    client = f"unix://{site.etcd_socket}"
    peer = "http://127.0.0.1:0"  # no peer ever asks; the kernel picks a port that is free
    return [
        f"--data-dir={site.directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=8589934592",
    ]


def api_server(site: Site, settings: Settings) -> list[str]:
    """Return kube-apiserver's flags. It makes its own certificate."""
    flags = [
        f"--etcd-servers=unix://{site.etcd_socket}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # An endpoint on loopback is refused by validation; nothing here looks for the service `kubernetes`.
        "--endpoint-reconciler-type=none",
        f"--secure-port={site.port}",
        f"--cert-dir={site.certificates}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={site.tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        # It makes this key, with its certificate, before it looks for it.
        f"--service-account-key-file={site.key_file}",
        f"--service-account-signing-key-file={site.key_file}",
        # Both families, so that dual-stack Services can be tested; a Service has IPv4 alone unless it asks.
        "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/108",
        "--allow-privileged=true",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1500",
        "--profiling=false",
    ]
    if not settings.service_account_admission:
        flags.append("--disable-admission-plugins=ServiceAccount")
    if settings.audit_policy is not None:
        policy = site.write("audit-policy.json", settings.audit_policy)
        flags += [f"--audit-policy-file={policy}", f"--audit-log-path={site.audit_log}"]
    return [*flags, *settings.api_server_args]


def controller_manager(site: Site) -> list[str]:
    """Return kube-controller-manager's flags: every controller, none of the brakes for large clusters."""
    return [
        f"--kubeconfig={site.kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={site.ca_file}",
        f"--service-account-private-key-file={site.key_file}",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-statefulset-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
        "--concurrent-gc-syncs=40",
        "--concurrent-namespace-syncs=20",
        "--endpointslice-updates-batch-period=0s",
        # A busy test machine must not make nodes look dead. A test that wants a dead node says so in its status.
        "--node-monitor-grace-period=10m",
    ]


def scheduler(site: Site) -> list[str]:
    """Return kube-scheduler's flags; its rates can be set in a file only."""
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(site.kubeconfig), "qps": 1000, "burst": 2000},
    }
    return [f"--config={site.write('scheduler.json', configuration)}", "--secure-port=0"]


def kwok(site: Site, settings: Settings, stock_stages: Path) -> list[str]:
    """Return kwok's flags. Without a port it serves nothing, so no two of them can collide."""
    configuration = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "manageAllNodes": False,
            "manageNodesWithAnnotationSelector": "kwok.x-k8s.io/node=fake",
            "nodeLeaseDurationSeconds": 40,
            "nodeLeaseParallelism": 4,
            "nodePlayStageParallelism": 8,
            "podPlayStageParallelism": 32,
            "podsOnNodeSyncParallelism": 4,
            "enablePodsOnNodeSyncStreamWatch": True,
            "enablePodsOnNodeSyncListPager": False,
        },
    }
    stages = [*sorted(stock_stages.glob("*.yaml")), *(settings.stages or (POD_STAGES,))]
    files = [site.write("kwok.json", configuration), *stages]
    return [f"--kubeconfig={site.kubeconfig}", "--node-ip=127.0.0.1", *(f"--config={path}" for path in files)]


def flags(component: Component, site: Site, settings: Settings, binary: Path) -> list[str]:
    """Return a component's flags, and write the files that they name."""
    match component:
        case Component.ETCD:
            return etcd(site)
        case Component.API_SERVER:
            return api_server(site, settings)
        case Component.CONTROLLER_MANAGER:
            return controller_manager(site)
        case Component.SCHEDULER:
            return scheduler(site)
        case Component.KWOK:
            return kwok(site, settings, binary.parent / "stages")


def node(
    name: str, index: int, *, zone: str, region: str, managed: bool, dual_stack: bool, pods: int
) -> dict[str, Any]:
    """
    Return a Node with room for `pods` pods, and addresses for 65,000.

    kwok plays a `managed` node and its pods; the others are Ready by what we wrote, and their pods are the test's.
    """
    cidrs = [f"10.{index % 86}.0.0/16"]  # below the range of Services
    if dual_stack:
        cidrs.append(f"fd00:10:{index:x}::/112")
    capacity = {"cpu": "100k", "memory": "100Ti", "ephemeral-storage": "100Ti", "pods": str(pods)}
    result: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": region,
            },
        },
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
    if managed:
        result["metadata"]["annotations"] = {"kwok.x-k8s.io/node": "fake"}
    else:
        result["status"]["conditions"] = [{"type": "Ready", "status": "True", "reason": "TestGround"}]
    return result
