"""From the API server's JSON to slim records.

The structs name the few fields that are read; msgspec skips all others without making Python objects of them, and what
it makes are copies, so that no record keeps a page of 4 MB alive. Strings that many objects share are interned.
"""

from collections.abc import Callable, Mapping
from functools import partial
from sys import intern
from typing import Any

import msgspec

from kube_registrar.cluster.codec import Codec
from kube_registrar.model.records import (
    ANNOTATION_PREFIX,
    EXCLUDE_LABEL,
    GATE,
    REGION_LABEL,
    SERVICE_LABEL,
    ZONE_LABEL,
    BarePod,
    ContainerPort,
    CustomObject,
    Endpoint,
    KubeNamespace,
    KubeService,
    Node,
    Pod,
    ServicePort,
    Slice,
    Unselected,
)
from kube_registrar.model.refs import Uid

Selects = Callable[[str, str, Mapping[str, str]], bool]
"""Whether some source asks for an object, by its Kubernetes namespace, name and labels."""

NODE_LABELS = frozenset({ZONE_LABEL, REGION_LABEL, EXCLUDE_LABEL})
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


class _Gate(msgspec.Struct, rename="camel", gc=False):
    condition_type: str


class _PodSpec(msgspec.Struct, rename="camel", gc=False):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    node_name: str = ""
    readiness_gates: list[_Gate] | None = None


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


class _NodeAddress(msgspec.Struct, gc=False):
    type: str
    address: str


class _NodeStatus(msgspec.Struct, gc=False):
    addresses: list[_NodeAddress] | None = None
    conditions: list[_Condition] | None = None


class _Node(msgspec.Struct, gc=False):
    metadata: _Meta
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _ServicePort(msgspec.Struct, rename="camel", gc=False):
    port: int
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0


_SERVICE_FIELDS = {
    "cluster_ip": "clusterIP",
    "cluster_ips": "clusterIPs",
    "external_name": "externalName",
    "external_policy": "externalTrafficPolicy",
    "not_ready": "publishNotReadyAddresses",
}


class _ServiceSpec(msgspec.Struct, rename=_SERVICE_FIELDS, gc=False):
    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: list[_ServicePort] | None = None
    cluster_ip: str = ""
    cluster_ips: list[str] | None = None
    external_name: str = ""
    not_ready: bool = False
    external_policy: str = ""


class _Ingress(msgspec.Struct, gc=False):
    ip: str = ""
    hostname: str = ""


class _LoadBalancer(msgspec.Struct, gc=False):
    ingress: list[_Ingress] | None = None


class _ServiceStatus(msgspec.Struct, rename="camel", gc=False):
    load_balancer: _LoadBalancer = msgspec.field(default_factory=_LoadBalancer)


class _Service(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)
    status: _ServiceStatus = msgspec.field(default_factory=_ServiceStatus)


class _Target(msgspec.Struct, gc=False):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class _EndpointConditions(msgspec.Struct, gc=False):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Endpoint(msgspec.Struct, rename="camel", gc=False):
    addresses: list[str] | None = None
    conditions: _EndpointConditions = msgspec.field(default_factory=_EndpointConditions)
    target_ref: _Target | None = None
    node_name: str | None = None
    zone: str | None = None


class _SlicePort(msgspec.Struct, gc=False):
    name: str | None = None
    port: int | None = None


class _Slice(msgspec.Struct, rename="camel", gc=False):
    metadata: _Meta
    address_type: str = "IPv4"
    endpoints: list[_Endpoint] | None = None
    ports: list[_SlicePort] | None = None


class _Custom(msgspec.Struct):
    metadata: _Meta
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


def nothing(_namespace: str, _name: str, _labels: Mapping[str, str]) -> bool:
    """Select nothing but what selects itself."""
    return False


def pod(found: _Pod, selects: Selects = nothing) -> Pod | BarePod:
    """Make the record of a pod: a BarePod where it has neither annotation nor gate of ours and nothing selects it."""
    meta, spec = found.metadata, found.spec
    ours = _ours(meta)
    namespace, phase, terminating = intern(meta.namespace), intern(found.status.phase), bool(meta.deletion_timestamp)
    gated = any(gate.condition_type == GATE for gate in spec.readiness_gates or ())
    if not (ours or gated or selects(namespace, meta.name, meta.labels or {})):
        return BarePod(namespace, meta.name, Uid(meta.uid), terminating, phase)
    labels = _interned(meta.labels)
    conditions = {one.type: one.status for one in found.status.conditions or ()}
    return Pod(
        namespace=namespace,
        name=meta.name,
        uid=Uid(meta.uid),
        annotations=_interned(ours),
        labels=labels,
        ips=_ips(found.status),
        ports=_ports(spec),
        node=intern(spec.node_name),
        workload=_workload(meta.owner_references or (), labels),
        ready=conditions.get("ContainersReady" if gated else "Ready") == "True",
        terminating=terminating,
        phase=phase,
        gated=gated,
        gate=intern(conditions.get(GATE, "")) if gated else "",
    )


def _ours(meta: _Meta) -> dict[str, str]:
    """Return the annotations of ours, keys without the prefix."""
    return {
        key.removeprefix(ANNOTATION_PREFIX): value
        for key, value in (meta.annotations or {}).items()
        if key.startswith(ANNOTATION_PREFIX)
    }


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
    return KubeNamespace(meta.name, Uid(meta.uid), _interned(meta.labels), _interned(_ours(meta)))


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
            annotations=_ours(meta),
        )

    return Codec(_Custom, project)


def node(found: _Node) -> Node:
    """Make the record of a node."""
    meta, status = found.metadata, found.status
    ready = next((one.status for one in status.conditions or () if one.type == "Ready"), "True")
    return Node(
        name=intern(meta.name),
        uid=Uid(meta.uid),
        labels={key: value for key, value in _interned(meta.labels).items() if key in NODE_LABELS},
        addresses=tuple(one.address for one in status.addresses or () if one.type == "InternalIP"),
        reachable=ready != "Unknown",
        ready=ready == "True",
    )


def service(found: _Service, selects: Selects = nothing) -> KubeService | Unselected:
    """Make the record of a Service: Unselected where it has no annotation of ours and nothing asks for it."""
    meta, spec = found.metadata, found.spec
    ours = _ours(meta)
    if not (ours or selects(meta.namespace, meta.name, meta.labels or {})):
        return Unselected(intern(meta.namespace), meta.name, Uid(meta.uid))
    ips = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
    ingress = found.status.load_balancer.ingress or ()
    return KubeService(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=Uid(meta.uid),
        annotations=_interned(ours),
        type=intern(spec.type),
        selector=_interned(spec.selector),
        ports=tuple(
            ServicePort(intern(one.name), one.port, intern(one.protocol), one.node_port) for one in spec.ports or ()
        ),
        cluster_ips=tuple(ip for ip in ips if ip and ip != "None"),
        ingress=tuple(one.ip or one.hostname for one in ingress if one.ip or one.hostname),
        external_name=spec.external_name,
        publishes_not_ready=spec.not_ready,
        local_only=spec.external_policy == "Local",
        terminating=bool(meta.deletion_timestamp),
    )


def endpoint_slice(found: _Slice, selects: Selects = nothing) -> Slice | Unselected:
    """Make the record of an EndpointSlice: Unselected where nothing asks for its Service."""
    meta = found.metadata
    labels = meta.labels or {}
    owner = labels.get(SERVICE_LABEL, "")
    namespace = intern(meta.namespace)
    if not (owner and selects(namespace, owner, labels)):
        return Unselected(namespace, meta.name, Uid(meta.uid))
    return Slice(
        namespace=namespace,
        name=meta.name,
        uid=Uid(meta.uid),
        service=intern(owner),
        endpoints=tuple(_endpoint(one, namespace) for one in found.endpoints or () if one.addresses),
        ports=tuple((intern(one.name or ""), one.port) for one in found.ports or () if one.port is not None),
        address_type=intern(found.address_type),
    )


def _endpoint(found: _Endpoint, namespace: str) -> Endpoint:
    said, target = found.conditions, found.target_ref
    ready = said.ready is not False
    is_pod = target is not None and target.kind == "Pod"
    # A targetRef into another Kubernetes namespace names a pod that this one may not speak for, and no machine either.
    is_ours = is_pod and target is not None and target.name and target.uid and target.namespace in {"", namespace}
    return Endpoint(
        addresses=tuple(found.addresses or ()),
        ready=ready,
        serving=ready if said.serving is None else said.serving,
        terminating=bool(said.terminating),
        pod=target.name if is_ours and target else "?" if is_pod else "",
        pod_uid=Uid(target.uid) if is_ours and target else None,
        node=intern(found.node_name or ""),
        zone=intern(found.zone or ""),
    )


def _interned(strings: dict[str, str] | None) -> dict[str, str]:
    return {intern(key): intern(value) for key, value in (strings or {}).items()}


def pods(selects: Selects = nothing) -> Codec[Pod | BarePod]:
    """Return the codec of pods."""
    return Codec(_Pod, partial(pod, selects=selects))


def services(selects: Selects = nothing) -> Codec[KubeService | Unselected]:
    """Return the codec of Services."""
    return Codec(_Service, partial(service, selects=selects))


def endpoint_slices(selects: Selects = nothing) -> Codec[Slice | Unselected]:
    """Return the codec of EndpointSlices; `selects` is asked with the name of the Service."""
    return Codec(_Slice, partial(endpoint_slice, selects=selects))


NAMESPACES: Codec[KubeNamespace] = Codec(_Namespace, kube_namespace)
NODES: Codec[Node] = Codec(_Node, node)
