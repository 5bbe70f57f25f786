"""A Kubernetes namespace and a registry namespace of one test: what is made there, and what is said there."""

import contextlib
import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kube_registrar.testing.api import STRATEGIC_PATCH, ApiError
from kube_registrar.testing.builders import deployment_manifest, pod_manifest
from kube_registrar.testing.components import BY_HAND
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until

ROOT = Path(__file__).parents[2]

GROUP = "kube-registrar.dev"
OURS = f"/apis/{GROUP}/v1alpha1"
CORE = "/api/v1"
NODE = "node-0"

Json = dict[str, Any]

_addresses = itertools.count(1)


def install_kinds(plane: ControlPlane) -> None:
    """Apply our custom resource definitions and wait until they are served."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        plane.apply(path)

    def served() -> bool:
        # For a moment after they are installed the API server lists neither.
        try:
            for plural in ("registrynamespaces", "registryservices"):
                plane.api.get(f"{OURS}/{plural}")
        except ApiError:
            return False
        return True

    wait_until(served, "our kinds to be served")


@dataclass(frozen=True, slots=True)
class Said:
    """An event."""

    type: str
    reason: str
    note: str
    count: int


@dataclass(slots=True)
class Place:
    """Where one test works. `registry_namespace` names both the RegistryNamespace and what it declares."""

    plane: ControlPlane
    namespace: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")
    registry_namespace: str = field(default_factory=lambda: f"ns-{secrets.token_hex(4)}")
    labels: Mapping[str, str] = field(default_factory=dict)

    # Life.

    def make(self) -> Self:
        """Make the Kubernetes namespace."""
        self.plane.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": dict(self.labels)}})
        return self

    def clear(self) -> None:
        """Remove everything at once, also what waits for an operator that no longer runs."""
        now = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        services = [self.path("RegistryService", one["metadata"]["name"]) for one in self.list("RegistryService")]
        for path in (*services, self.path("RegistryNamespace", self.registry_namespace)):
            with contextlib.suppress(ApiError):
                self.plane.api.delete(path)
                self.plane.api.patch(path, {"metadata": {"finalizers": None}})
        for group, plural in (("/apis/apps/v1", "deployments"), ("/apis/apps/v1", "statefulsets"), (CORE, "pods")):
            path = f"{group}/namespaces/{self.namespace}/{plural}"
            self.plane.api.request("DELETE", path, now)
        self.plane.api.delete(f"/api/v1/namespaces/{self.namespace}")

    def __enter__(self) -> Self:
        """Make it."""
        return self.make()

    def __exit__(self, *_: object) -> None:
        """Clear it, whatever happened."""
        self.clear()

    # Our kinds.

    def path(self, kind: str, name: str) -> str:
        """Return the path of an object: a Pod, Service, EndpointSlice or Deployment, or one of our kinds."""
        if kind == "RegistryNamespace":
            return f"{OURS}/registrynamespaces/{name}"
        roots = {"Pod": CORE, "Service": CORE, "EndpointSlice": "/apis/discovery.k8s.io/v1", "RegistryService": OURS}
        root = roots.get(kind, "/apis/apps/v1")
        return f"{root}/namespaces/{self.namespace}/{kind.lower()}s/{name}"

    def get(self, kind: str, name: str) -> Json:
        """Return an object."""
        return self.plane.api.get(self.path(kind, name))

    def list(self, kind: str, selector: str = "") -> Sequence[Json]:
        """Return the objects of a kind."""
        found: Sequence[Json] = self.plane.api.get(f"{self.path(kind, '').rstrip('/')}?labelSelector={selector}")[
            "items"
        ]
        return found

    def is_gone(self, kind: str, name: str) -> bool:
        """Whether there is no object of that name."""
        try:
            self.get(kind, name)
        except ApiError as error:
            if error.status == 404:
                return True
            raise
        return False

    def delete(self, kind: str, name: str, *, now: bool = False) -> None:
        """Begin to delete an object; `now`: it is gone at once, as a node does it in the end."""
        self.plane.api.request("DELETE", self.path(kind, name), {"gracePeriodSeconds": 0} if now else None)

    def wait_gone(self, kind: str, name: str) -> None:
        """Wait until an object is no longer there."""
        wait_until(lambda: self.is_gone(kind, name), f"{kind} {name} to be gone")

    def annotate(self, name: str, /, kind: str = "Pod", **annotations: str | None) -> None:
        """Set annotations of ours on a pod or Service, named without their prefix; None takes one away."""
        self.plane.api.patch(self.path(kind, name), {"metadata": {"annotations": _prefixed(annotations)}})

    def patch(self, kind: str, name: str, /, **spec: Any) -> None:
        """Change fields of an object's spec."""
        self.plane.api.patch(self.path(kind, name), {"spec": spec})

    def registry_namespace_manifest(self, **spec: Any) -> Json:
        """Return a RegistryNamespace that everybody may use, unless `spec` says otherwise."""
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RegistryNamespace",
            "metadata": {"name": self.registry_namespace},
            "spec": {"type": "HTTP", "allowedNamespaces": {"from": "All"}, **spec},
        }

    def registry_service_manifest(self, object_name: str, /, **spec: Any) -> Json:
        """Return a RegistryService in the registry namespace of this place."""
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RegistryService",
            "metadata": {"name": object_name, "namespace": self.namespace},
            "spec": {"namespaceRef": {"name": self.registry_namespace}, **spec},
        }

    def declare(self, *services: str) -> None:
        """Apply a RegistryNamespace and RegistryServices, and wait until they are ready."""
        self.plane.apply([self.registry_namespace_manifest(), *map(self.registry_service_manifest, services)])
        for service in services:
            self.wait_condition("RegistryService", service, "Ready", "True")

    def condition(self, kind: str, name: str, type_: str) -> Json:
        """Return a condition; empty where there is none."""
        found = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == type_), {})

    def wait_field(self, kind: str, name: str, path: str, value: object) -> None:
        """Wait until a field of an object, `a.b.c`, has this value."""

        def found() -> object:
            here: Any = self.get(kind, name)
            for key in path.split("."):
                here = here.get(key) if isinstance(here, dict) else None
            return here

        wait_until(lambda: found() == value, lambda: f"{path} of {kind} {name} to be {value}; it is {found()}")

    def wait_condition(self, kind: str, name: str, type_: str, status: str, reason: str = "") -> Json:
        """Wait until a condition has this status (and reason), and return it."""

        def met() -> Json | None:
            found = self.condition(kind, name, type_)
            is_met = found.get("status") == status and reason in {"", found.get("reason")}
            return found if is_met else None

        return wait_until(
            met, lambda: f"{kind} {name} to be {type_}={status} {reason}; it is {self.condition(kind, name, type_)}"
        )

    # Workloads.

    def asks(self, service: str, /, **annotations: str) -> dict[str, str]:
        """Return the annotations by which a pod asks to be registered in a service of this place."""
        return _prefixed({"service": f"{self.registry_namespace}/{service}", "port": "http", **annotations})

    def deployment(self, name: str, service: str, replicas: int, **annotations: str) -> set[str]:
        """Apply a Deployment, wait until it is rolled out, and return the names of its pods."""
        self.plane.apply(
            deployment_manifest(name, self.namespace, replicas=replicas, annotations=self.asks(service, **annotations))
        )
        return self.rolled_out(name)

    def rolled_out(self, deployment: str) -> set[str]:
        """Wait until a Deployment is as it says, and return the names of its pods that live."""
        self.plane.kubectl("rollout", "status", f"deployment/{deployment}", f"--namespace={self.namespace}")
        return self.pods(f"app={deployment}")

    def pods(self, selector: str = "") -> set[str]:
        """Return the names of the pods that are there and not on their way out."""
        found = self.list("Pod", selector)
        return {pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def pod(self, name: str, service: str = "", /, **annotations: str) -> Json:
        """Make a Ready pod whose status is the test's to write, and which stays Terminating until deleted for good."""
        made = self.unready_pod(name, service, **annotations)
        self.set_status(name, ready=True)
        return made

    def unready_pod(self, name: str, service: str = "", /, **annotations: str) -> Json:
        """Make such a pod that is not Ready and has no address yet."""
        asked = self.asks(service, **annotations) if service else _prefixed(annotations)
        manifest = pod_manifest(name, self.namespace, annotations={**asked, BY_HAND: "true"}, nodeName=NODE)
        return self.plane.api.post(f"/api/v1/namespaces/{self.namespace}/pods", manifest)

    def set_status(self, pod: str, *, ready: bool, phase: str = "Running") -> None:
        """Write what a kubelet would: readiness, phase, and an address that no other pod has."""
        state = "True" if ready else "False"
        status: Json = {
            "phase": phase,
            "conditions": [{"type": kind, "status": state} for kind in ("ContainersReady", "Ready")],
        }
        if not self.get("Pod", pod)["status"].get("podIP"):
            number = next(_addresses)
            address = f"10.200.{number // 250}.{number % 250 + 1}"
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        self.plane.api.patch(f"{self.path('Pod', pod)}/status", {"status": status}, content_type=STRATEGIC_PATCH)

    def bare_pod(self, name: str, *, ready: bool = True, **spec: Any) -> Json:
        """Make such a pod without annotations, with the label app=web, Ready unless told otherwise."""
        annotations, labels = {BY_HAND: "true"}, {"app": "web"}
        spec = {"nodeName": NODE, **spec}
        manifest = pod_manifest(name, self.namespace, annotations=annotations, labels=labels, **spec)
        self.plane.api.post(f"/api/v1/namespaces/{self.namespace}/pods", manifest)
        self.set_status(name, ready=ready)
        return self.get("Pod", name)

    def place_pod(self, name: str, *addresses: str) -> None:
        """Give a pod these addresses, of which the first is its main one."""
        status = {"podIP": addresses[0], "podIPs": [{"ip": one} for one in addresses]}
        self.plane.api.patch(f"{self.path('Pod', name)}/status", {"status": status})

    def service(self, name: str, service: str = "", /, *, selects: str = "web", **spec: Any) -> Json:
        """Make a Service of the pods labelled app=`selects` (empty: no selector); one that asks if `service` is given.

        `spec` may hold `annotations`, ours without their prefix.
        """
        annotations = spec.pop("annotations", {})
        asked = self.asks(service, **annotations) if service else _prefixed(annotations)
        fields = {"ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}
        if selects:
            fields["selector"] = {"app": selects}
        body = {"metadata": {"name": name, "annotations": asked}, "spec": fields}
        return self.plane.api.post(f"{CORE}/namespaces/{self.namespace}/services", body)

    def slice(self, name: str, service: str, *endpoints: Json, family: str = "IPv4", port: int = 8080) -> Json:
        """Make an EndpointSlice by hand."""
        body = {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
            "addressType": family,
            "endpoints": list(endpoints),
            "ports": [{"name": "http", "port": port}],
        }
        return self.plane.api.post(self.path("EndpointSlice", "").rstrip("/"), body)

    # What is said.

    def events(self, name: str, kind: str = "Pod") -> Sequence[Said]:
        """Return the events about an object of this place (cluster-scoped ones have theirs in `default`)."""
        where = "default" if kind == "RegistryNamespace" else self.namespace
        found = self.plane.api.get(f"/apis/events.k8s.io/v1/namespaces/{where}/events")["items"]
        return [
            Said(one["type"], one["reason"], one["note"], one.get("series", {}).get("count", 1))
            for one in sorted(found, key=lambda one: str(one["eventTime"]))
            if one["regarding"]["name"] == name
            and one["regarding"]["kind"] == kind
            and one.get("reportingController") == f"{GROUP}/registrar"
        ]

    def wait_event(self, name: str, reason: str, *, kind: str = "Pod", saying: str = "") -> Said:
        """Wait for an event with this reason (and words), and return it."""

        def said() -> Said | None:
            return next((one for one in self.events(name, kind) if one.reason == reason and saying in one.note), None)

        return wait_until(
            said, lambda: f"an event {reason} on {kind} {name} saying {saying!r}; there are {self.events(name, kind)}"
        )


def _prefixed(annotations: Mapping[str, str | None]) -> dict[str, Any]:
    return {f"{GROUP}/{key}": value for key, value in annotations.items()}
