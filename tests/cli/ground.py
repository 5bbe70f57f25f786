"""What commands for people are tried on: a registry behind the Cloud Map API, and an API server that knows little."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Register, SetHealth
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, Origin, RegistryName, ServiceRef, Uid
from kube_registrar.model.simulation import Simulation
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, ServiceSpec
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from tests.threads import answering
from tests.warm import processes as warm

NAMESPACE = NamespaceRef(RegistryName("default"), "test-namespace")
FLASK, CHECKED = ServiceRef(NAMESPACE, "flask-app"), ServiceRef(NAMESPACE, "checked")
OLD, NEW, THIRD = (Uid(f"{digit * 8}-0000-4000-8000-000000000000") for digit in "abc")
NOBODY = "http://127.0.0.1:1"


class Ground:
    """A registry that holds what a test puts there; `endpoint` is where it speaks Cloud Map's API."""

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self.registry = registry
        self.endpoint = endpoint
        self._addresses = iter(range(1, 250))

    async def put(
        self, pod: str, uid: Uid, cluster: str = "", *, service: ServiceRef = FLASK, health: str = "", **more: str
    ) -> dict[str, str]:
        """Register a pod's instance as the operator of that cluster does, and return its attributes."""
        owner = {
            keys.CLUSTER_UID: uid,
            keys.NAMESPACE: "default",
            keys.POD: pod,
            keys.POD_UID: f"uid-of-{pod}",
            **({keys.CLUSTER: cluster} if cluster else {}),
        }
        address = {keys.IPV4: f"10.0.0.{next(self._addresses)}", keys.PORT: "8080"}
        await self.write(service, pod, {**address, **owner, **more})
        if health:
            origin = Origin("Pod", "default", pod, Uid(f"uid-of-{pod}"))
            await self._apply(service, SetHealth(InstanceId(pod), origin, Health(health)))
        return {**address, **owner, **more}

    async def write(self, service: ServiceRef, name: str, attributes: Mapping[str, str]) -> None:
        """Register an instance as anybody does."""
        instance = Instance(InstanceId(name), attributes)
        await self._apply(service, Register(instance, Origin("Pod", "default", name, Uid(name))))

    async def _apply(self, service: ServiceRef, change: Change) -> None:
        assert [outcome.error async for outcome in self.registry.apply(service, [change])] == [None]

    async def held(self, service: ServiceRef = FLASK) -> dict[str, Mapping[str, str]]:
        """Return the attributes of all instances of a service, by id."""
        return {one.id: one.attributes for one in await self.registry.instances(service)}


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Run an embedded registry with an ordinary service and one with custom health checks."""
    clock = SystemClock()
    async with open_registry({"data": str(folder)}, RegistryName("default"), clock) as registry:
        await registry.ensure(NamespaceSpec(NAMESPACE), "test")
        await registry.ensure(ServiceSpec(FLASK), "test")
        await registry.ensure(ServiceSpec(CHECKED, health_check=HealthCheckType.CUSTOM), "test")
        async with serve(app(registry, Simulation(), clock), "127.0.0.1", 0) as port:
            yield Ground(registry, f"http://127.0.0.1:{port}")


@contextmanager
def kube(folder: Path, uid: Uid, pods: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run an API server with this cluster UID and these pods of `default`, name → UID; give its kubeconfig."""
    objects = {"/api/v1/namespaces/kube-system": {"metadata": {"name": "kube-system", "uid": uid}}}
    for name, pod_uid in (pods or {}).items():
        objects[f"/api/v1/namespaces/default/pods/{name}"] = {"metadata": {"name": name, "uid": pod_uid}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = objects.get(self.path)
            gone = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or gone).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Write nothing."""

    with answering(Handler) as url:
        yield kubeconfig(folder, url)


def kubeconfig(folder: Path, server: str, token: str = "a-token") -> str:
    """Write a kubeconfig that leads to `server`, and return its path."""
    path = folder / "kubeconfig"
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: here,"
        f" clusters: [{{name: here, cluster: {{server: '{server}'}}}}],"
        f" users: [{{name: here, user: {{token: {token}}}}}],"
        " contexts: [{name: here, context: {cluster: here, user: here}}]}"
    )
    return str(path)


def environment() -> dict[str, str]:
    """Return this process's environment without settings of ours, of AWS and of kubectl."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}


async def run(*args: str) -> tuple[int, str, str]:
    """Run the command in a process of its own, without a terminal; return code, output and error."""
    done = await asyncio.to_thread(warm.run, args, environment())
    return done.returncode, done.stdout, done.stderr
