"""
A Kubernetes control plane of your own, on loopback: start it, test against it, and nothing of it stays.

    with ControlPlane(nodes=3) as plane:
        plane.apply(manifests)
        plane.kubectl("rollout", "status", "deployment/web")

It is etcd, kube-apiserver (RBAC on), kube-controller-manager, kube-scheduler, and kwok, which plays nodes and pods
without running any container. All of it dies with this process, `kill -9` included. Any number can run at once.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kube_registrar.testing import binaries, components
from kube_registrar.testing.api import ApiClient
from kube_registrar.testing.components import Component, Settings, Site
from kube_registrar.testing.errors import CommandFailed, GroundError, PortTaken
from kube_registrar.testing.parts import Parts
from kube_registrar.testing.processes import Child
from kube_registrar.testing.waiting import wait_until

ATTEMPTS = 5  # a port is taken by somebody else between choosing and using it: once in a blue moon


class ControlPlane:
    """
    One control plane; a context manager. `start` and `stop` are there for those who can't use `with`.

    `nodes`: how many kwok nodes to make, over three zones; `kwok=False`: none, and pods stay Pending.
    `stages`: files with kwok Stages to play on pods instead of ours (`components.POD_STAGES`).
    `service_account_admission`: pods get service account tokens, and need service accounts, as in production.
    `audit_policy`: an audit Policy object; events go to `audit_log`. `api_server_args`: more flags, which win.
    `start_seconds`: how long it may take to be ready.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        kwok: bool = True,
        stages: Sequence[Path] = (),
        service_account_admission: bool = False,
        audit_policy: Mapping[str, Any] | None = None,
        api_server_args: Sequence[str] = (),
        start_seconds: float = 90.0,
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self._nodes = nodes if kwok else 0
        self._settings = Settings(
            kwok=kwok,
            stages=tuple(stages),
            service_account_admission=service_account_admission,
            audit_policy=audit_policy,
            api_server_args=tuple(api_server_args),
            start_seconds=start_seconds,
        )
        self._parts: Parts | None = None
        self._node_count = 0

    # Where things are.

    @property
    def parts(self) -> Parts:
        """The running processes. Raises GroundError before the start and after the end."""
        if self._parts is None:
            raise GroundError("the control plane does not run: use it in a `with` statement, or call start() first")
        return self._parts

    @property
    def site(self) -> Site:
        """Where the files of the running control plane are."""
        return self.parts.site

    @property
    def url(self) -> str:
        """The API server's address, `https://127.0.0.1:PORT`; it stays over restarts."""
        return self.site.url

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator (group system:masters)."""
        return self.site.kubeconfig

    @property
    def ca_file(self) -> Path:
        """The certificate that proves the API server."""
        return self.site.ca_file

    @property
    def api(self) -> ApiClient:
        """A JSON client with the administrator's token."""
        return self.parts.api

    @property
    def audit_log(self) -> Path:
        """The audit events, one JSON object a line. Raises GroundError when no audit policy was given."""
        if self._settings.audit_policy is None:
            raise GroundError("no audit log is written: pass audit_policy to ControlPlane")
        return self.site.audit_log

    def log(self, component: Component) -> str:
        """Return all that a component wrote so far."""
        path = self.site.log(component)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def child(self, component: Component) -> Child:
        """Return the process of a component that runs, for its pid and signals. Raises GroundError when it does not."""
        return self.parts.child(component)

    # Life.

    def start(self) -> Self:
        """
        Start all and wait until the API server, the controllers and the nodes are ready.

        Raises MissingBinaries when they are not built, ProcessFailed or GroundError when something does not come up;
        nothing runs then.
        """
        if self._parts is not None:
            raise GroundError("the control plane runs already")
        names = [*(component.value for component in self._settings.components()), "kubectl"]
        found = binaries.locate(names)
        for attempt in range(ATTEMPTS):
            try:
                self._parts = Parts(found, self._settings, self.token)
                self._parts.start()
                if self._nodes:
                    self.make_nodes(self._nodes, ready_seconds=self._settings.start_seconds)
            except PortTaken:
                self.stop()
                if attempt + 1 == ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """Kill everything and delete its folder. Nothing happens when nothing runs."""
        parts, self._parts, self._node_count = self._parts, None, 0
        if parts is not None:
            parts.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Parts, one by one: outages are made with these.

    def stop_component(self, component: Component) -> None:
        """Kill a component, as a machine that loses power would. It stays away until it is started."""
        self.parts.stop_component(component)

    def start_component(self, component: Component) -> None:
        """Start a component that was stopped; for the API server, wait until it is ready."""
        self.parts.start_component(component)

    def stop_api_server(self) -> None:
        """Kill the API server: connections are reset, new ones refused."""
        self.stop_component(Component.API_SERVER)

    def start_api_server(self) -> None:
        """Start the API server again, at the same address and with the same data."""
        self.start_component(Component.API_SERVER)

    def restart_api_server(self) -> None:
        """Kill the API server and start it again; its watch cache begins anew."""
        self.stop_api_server()
        self.start_api_server()

    # Work.

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl as the administrator (or with another kubeconfig) and return its output. Raises CommandFailed."""
        site = self.site
        command = [
            str(self.parts.binaries["kubectl"]),
            f"--kubeconfig={kubeconfig or site.kubeconfig}",
            f"--cache-dir={site.directory / 'kubectl'}",
            *arguments,
        ]
        environment = {**os.environ, "KUBERC": "off", "NO_PROXY": "*"}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise CommandFailed(f"kubectl {' '.join(arguments)}", done.returncode, done.stderr)
        return done.stdout

    def apply(self, manifest: str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]], *arguments: str) -> str:
        """Apply YAML or JSON text, a file, or objects; return what kubectl prints.

        Objects are applied by the API server itself, which takes no kubectl and prints nothing, unless there are more
        arguments, as `--namespace=…`: those go to kubectl.
        """
        if isinstance(manifest, Path):
            return self.kubectl("apply", "--filename", str(manifest), *arguments)
        if isinstance(manifest, str):
            return self.kubectl("apply", "--filename", "-", *arguments, stdin=manifest)
        items = [manifest] if isinstance(manifest, Mapping) else list(manifest)
        if arguments:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            return self.kubectl("apply", "--filename", "-", *arguments, stdin=text)
        for each in items:
            self.parts.applier.apply(each)
        return ""

    def make_nodes(
        self,
        count: int,
        *,
        zones: Sequence[str] = ("local-1a", "local-1b", "local-1c"),
        region: str = "local-1",
        pods: int = 10_000,
        managed: bool = True,
        dual_stack: bool = False,
        ready_seconds: float = 30.0,
    ) -> list[str]:
        """
        Make Ready nodes over the zones, each with room for `pods` pods and an address range, and return their names.

        Without `managed` kwok leaves them and their pods alone: what their status says is the test's to write.
        With `dual_stack` kwok gives their pods an IPv4 and an IPv6 address.
        """
        names: list[str] = []
        for index in range(self._node_count, self._node_count + count):
            names.append(f"node-{index}")
            zone = zones[index % len(zones)]
            self.api.post(
                "/api/v1/nodes",
                components.node(
                    names[-1], index, zone=zone, region=region, managed=managed, dual_stack=dual_stack, pods=pods
                ),
            )
        self._node_count += count

        def ready() -> bool:
            self.parts.check()
            return set(names) <= self._ready_nodes()

        wait_until(ready, f"{count} nodes to be Ready", seconds=ready_seconds)
        return names

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig with a fresh token of a service account that exists: it may do what RBAC grants it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.api.post(path, request)["status"]["token"]
        content = components.kubeconfig(self.url, self.ca_file, token, namespace)
        return self.site.write(f"kubeconfig-{namespace}-{name}", content)

    def _ready_nodes(self) -> set[str]:
        return {
            node["metadata"]["name"]
            for node in self.api.get("/api/v1/nodes")["items"]
            for condition in node["status"].get("conditions", ())
            if (condition["type"], condition["status"]) == ("Ready", "True")
        }
