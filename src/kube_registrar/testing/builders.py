"""Values for tests: defaults plus overrides, and the raw JSON of Kubernetes objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from kube_registrar.model import attributes as keys
from kube_registrar.model.identity import instance_id
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.records import ContainerPort, Pod
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, Origin, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import (
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    ServiceSpec,
)

CLUSTER_UID = Uid("00000000-0000-4000-8000-000000000001")
"""The cluster that the builders speak for."""

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def service_ref(reference: str = "test-namespace/flask-app", registry: str = DEFAULT_REGISTRY) -> ServiceRef:
    """Return the ref of `namespace/service`, split at the last slash."""
    namespace, _, name = reference.rpartition("/")
    return ServiceRef(NamespaceRef(RegistryName(registry), namespace), name)


def uid_of(name: str) -> Uid:
    """Return a UID that looks like one and is the same for the same name."""
    digits = name.encode().hex()[-12:].rjust(12, "0")
    return Uid(f"11111111-0000-4000-8000-{digits}")


def pod(name: str = "flask-app-0", **overrides: Any) -> Pod:
    """Return a ready, annotated pod with one address and a port `http` 8080. `overrides` are fields of Pod."""
    fields: dict[str, Any] = {
        "namespace": "default",
        "name": name,
        "uid": uid_of(name),
        "annotations": {"service": "test-namespace/flask-app", "port": "http"},
        "ips": ("10.0.0.1",),
        "ports": (ContainerPort("web", "http", 8080),),
        "node": "node-1",
        "workload": "Deployment/flask-app",
        "ready": True,
        "phase": "Running",
    }
    return Pod(**(fields | overrides))


def namespace_spec(name: str = "test-namespace", **overrides: Any) -> NamespaceSpec:
    """Return an HTTP registry namespace of the default registry. `overrides` are fields of NamespaceSpec."""
    fields: dict[str, Any] = {"ref": NamespaceRef(DEFAULT_REGISTRY, name), "type": NamespaceType.HTTP}
    return NamespaceSpec(**(fields | overrides))


def service_spec(reference: str = "test-namespace/flask-app", **overrides: Any) -> ServiceSpec:
    """Return a registry service without records or health check.

    `overrides` are fields of ServiceSpec; besides, `records="A,SRV"` with `ttl_seconds` stands for its `dns`, and
    `custom_health=True` for its `health_check`.
    """
    records, ttl = overrides.pop("records", ""), overrides.pop("ttl_seconds", 60)
    fields: dict[str, Any] = {"ref": service_ref(reference)}
    if records:
        fields["dns"] = DnsSettings(tuple(DnsRecord(RecordType(each), ttl) for each in records.split(",")))
    if overrides.pop("custom_health", False):
        fields["health_check"] = HealthCheckType.CUSTOM
    return ServiceSpec(**(fields | overrides))


def origin(name: str = "flask-app-0", namespace: str = "default") -> Origin:
    """Return the pod of that name as an origin."""
    return Origin("Pod", namespace, name, uid_of(name))


def instance(
    instance_id: str = "flask-app-0", attributes: Mapping[str, str] | None = None, health: Health = Health.UNKNOWN
) -> Instance:
    """Return an instance at 10.0.0.1:8080 with the given custom attributes beside."""
    address = {keys.IPV4: "10.0.0.1", keys.PORT: "8080"}
    return Instance(InstanceId(instance_id), {**address, **(attributes or {})}, health)


def registration(
    name: str = "flask-app-0",
    service: ServiceRef | str = "test-namespace/flask-app",
    port: int | None = 8080,
    ip: str = "10.0.0.1",
    cluster_uid: Uid = CLUSTER_UID,
    **attributes: str,
) -> Registration:
    """Return what pod `name` wants: an own instance with owner attributes and the user's `attributes`."""
    ref = service_ref(service) if isinstance(service, str) else service
    pod_uid = uid_of(name)
    written = {
        keys.IPV4: ip,
        **({keys.PORT: str(port)} if port else {}),
        keys.CLUSTER_UID: cluster_uid,
        keys.NAMESPACE: "default",
        keys.POD: name,
        keys.POD_UID: pod_uid,
        **({keys.USER_KEYS: ",".join(sorted(attributes))} if attributes else {}),
        **attributes,
    }
    identity = instance_id(cluster_uid, pod_uid, ref, port, name)
    return Registration(ref, Instance(identity, written), origin(name))


def pod_manifest(
    name: str = "flask-app-0",
    namespace: str = "default",
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return the JSON of a Pod. `annotations` are given whole; `ports` name → number; `spec` adds to the pod's spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(name, namespace, annotations, labels),
        "spec": _pod_spec(ports, spec),
    }


def deployment_manifest(
    name: str = "flask-app",
    namespace: str = "default",
    *,
    replicas: int = 1,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return the JSON of a Deployment; `annotations` and `labels` go on its pod template, `spec` to the pod's spec."""
    template_labels = {"app": name, **(labels or {})}
    template = {
        "metadata": _metadata("", "", annotations, template_labels),
        "spec": _pod_spec(ports, spec),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(name, namespace, None, None),
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def _metadata(
    name: str, namespace: str, annotations: Mapping[str, str] | None, labels: Mapping[str, str] | None
) -> dict[str, Any]:
    fields = {
        "name": name,
        "namespace": namespace,
        "annotations": dict(annotations or {}),
        "labels": dict(labels or {}),
    }
    return {key: value for key, value in fields.items() if value}


def _pod_spec(ports: Mapping[str, int] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
    declared: Sequence[dict[str, Any]] = [
        {"name": name, "containerPort": number} for name, number in ({"http": 8080} if ports is None else ports).items()
    ]
    return {"containers": [{"name": "web", "image": PAUSE_IMAGE, "ports": list(declared)}], **spec}
