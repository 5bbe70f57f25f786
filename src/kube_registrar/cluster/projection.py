"""From the API server's JSON to slim records.

The structs name the few fields that are read; msgspec skips all others without making Python objects of them, and what
it makes are copies, so that no record keeps a page of 4 MB alive. Strings that many objects share are interned.
"""

from sys import intern
from typing import Any

import msgspec

from kube_registrar.cluster.codec import Codec
from kube_registrar.model.records import ANNOTATION_PREFIX, BarePod, ContainerPort, CustomObject, KubeNamespace, Pod
from kube_registrar.model.refs import Uid

_HASH_LABEL = "pod-template-hash"


class _Owner(msgspec.Struct, gc=False):
    kind: str
    name: str
    controller: bool | None = None


class _Meta(msgspec.Struct, rename="camel", gc=False):
    name: str
    uid: str
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Port(msgspec.Struct, rename="camel", gc=False):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class _Container(msgspec.Struct, rename="camel", gc=False):
    name: str
    ports: list[_Port] | None = None
    restart_policy: str | None = None


class _PodSpec(msgspec.Struct, rename="camel", gc=False):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    node_name: str = ""


class _Condition(msgspec.Struct, gc=False):
    type: str
    status: str


class _Ip(msgspec.Struct, gc=False):
    ip: str = ""


class _PodStatus(msgspec.Struct, rename={"pod_ip": "podIP", "pod_ips": "podIPs"}, gc=False):
    phase: str = "Pending"
    pod_ip: str = ""
    pod_ips: list[_Ip] | None = None
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Namespace(msgspec.Struct, gc=False):
    metadata: _Meta


class _Custom(msgspec.Struct):
    metadata: _Meta
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


def pod(found: _Pod) -> Pod | BarePod:
    """Make the record of a pod: a BarePod where it carries no annotation of ours."""
    meta = found.metadata
    ours = {
        key.removeprefix(ANNOTATION_PREFIX): value
        for key, value in (meta.annotations or {}).items()
        if key.startswith(ANNOTATION_PREFIX)
    }
    namespace, phase, terminating = intern(meta.namespace), intern(found.status.phase), bool(meta.deletion_timestamp)
    if not ours:
        return BarePod(namespace, meta.name, Uid(meta.uid), terminating, phase)
    labels = _interned(meta.labels)
    return Pod(
        namespace=namespace,
        name=meta.name,
        uid=Uid(meta.uid),
        annotations=_interned(ours),
        labels=labels,
        ips=_ips(found.status),
        ports=_ports(found.spec),
        node=intern(found.spec.node_name),
        workload=_workload(meta.owner_references or (), labels),
        ready=any(one.type == "Ready" and one.status == "True" for one in found.status.conditions or ()),
        terminating=terminating,
        phase=phase,
    )


def _ips(status: _PodStatus) -> tuple[str, ...]:
    several = tuple(one.ip for one in status.pod_ips or () if one.ip)
    return several or ((status.pod_ip,) if status.pod_ip else ())


def _ports(spec: _PodSpec) -> tuple[ContainerPort, ...]:
    # An init container that restarts always is a sidecar: it serves while the pod lives.
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    return tuple(
        ContainerPort(intern(container.name), intern(port.name), port.container_port, intern(port.protocol))
        for container in [*(spec.containers or ()), *sidecars]
        for port in container.ports or ()
    )


def _workload(owners: list[_Owner] | tuple[()], labels: dict[str, str]) -> str:
    owner = next((one for one in owners if one.controller), owners[0] if owners else None)
    if owner is None:
        return ""
    template_hash = labels.get(_HASH_LABEL)
    # Only the Deployment controller names a ReplicaSet `<deployment>-<pod-template-hash>` and labels its pods so.
    if owner.kind == "ReplicaSet" and template_hash and owner.name.endswith(f"-{template_hash}"):
        return intern(f"Deployment/{owner.name.removesuffix(f'-{template_hash}')}")
    return intern(f"{owner.kind}/{owner.name}")


def kube_namespace(found: _Namespace) -> KubeNamespace:
    """Make the record of a Kubernetes namespace."""
    meta = found.metadata
    return KubeNamespace(meta.name, Uid(meta.uid), _interned(meta.labels))


def custom(kind: str) -> Codec[CustomObject]:
    """Return the codec of one of our kinds: items of a list need not name theirs."""

    def project(found: _Custom) -> CustomObject:
        meta = found.metadata
        return CustomObject(
            kind=kind,
            namespace=intern(meta.namespace),
            name=meta.name,
            uid=Uid(meta.uid),
            generation=meta.generation,
            spec=found.spec or {},
            terminating=bool(meta.deletion_timestamp),
            status=found.status or {},
        )

    return Codec(_Custom, project)


def _interned(strings: dict[str, str] | None) -> dict[str, str]:
    return {intern(key): intern(value) for key, value in (strings or {}).items()}


PODS: Codec[Pod | BarePod] = Codec(_Pod, pod)
NAMESPACES: Codec[KubeNamespace] = Codec(_Namespace, kube_namespace)
