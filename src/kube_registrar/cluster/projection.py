"""From the API server's JSON to slim records.

`shapes` names the few fields that are read; msgspec skips all others without making Python objects of them, and what
it makes are copies, so that no record keeps a page of 4 MB alive. Strings that many objects share are interned.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from sys import intern
from types import MappingProxyType

from kube_registrar.cluster import shapes
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
_MOST_SHARED = 1024
"""So many different ones are remembered; what is forgotten is made once more, and no more."""


def nothing(_namespace: str, _name: str, _labels: Mapping[str, str]) -> bool:
    """Select nothing but what selects itself."""
    return False


def pod(found: shapes.Pod, selects: Selects = nothing) -> Pod | BarePod:
    """Make the record of a pod: a BarePod where it has neither annotation nor gate of ours and nothing selects it."""
    meta, spec = found.metadata, found.spec
    ours = _ours(meta)
    namespace, phase, terminating = intern(meta.namespace), intern(found.status.phase), bool(meta.deletion_timestamp)
    gated = any(gate.condition_type == GATE for gate in spec.readiness_gates or ())
    if not (ours or gated or selects(namespace, meta.name, meta.labels or {})):
        return BarePod(namespace, meta.name, Uid(meta.uid), terminating, phase)
    labels = _interned(meta.labels)
    conditions = {one.type: one.status for one in found.status.conditions or ()}
    ready = conditions.get("ContainersReady" if gated else "Ready") == "True"
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
        ready=ready,
        terminating=terminating,
        phase=phase,
        gated=gated,
        gate=intern(conditions.get(GATE, "")) if gated else "",
        silent=not ready and _is_silent(spec, conditions),
    )


def _is_silent(spec: shapes.PodSpec, conditions: Mapping[str, str]) -> bool:
    """Whether a pod that is not ready has everything that would make its kubelet call it so."""
    needed = ["ContainersReady", *(gate.condition_type for gate in spec.readiness_gates or ())]
    return all(conditions.get(each) == "True" for each in needed)


def _ours(meta: shapes.Meta) -> dict[str, str]:
    """Return the annotations of ours, keys without the prefix."""
    return {
        key.removeprefix(ANNOTATION_PREFIX): value
        for key, value in (meta.annotations or {}).items()
        if key.startswith(ANNOTATION_PREFIX)
    }


def _ips(status: shapes.PodStatus) -> tuple[str, ...]:
    several = tuple(one.ip for one in status.pod_ips or () if one.ip)
    return several or ((status.pod_ip,) if status.pod_ip else ())


def _ports(spec: shapes.PodSpec) -> tuple[ContainerPort, ...]:
    # An init container that restarts always is a sidecar: it serves while the pod lives.
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    return tuple(
        _port(container.name, port.name, port.container_port, port.protocol)
        for container in [*(spec.containers or ()), *sidecars]
        for port in container.ports or ()
    )


def _workload(owners: list[shapes.Owner] | tuple[()], labels: Mapping[str, str]) -> str:
    owner = next((one for one in owners if one.controller), owners[0] if owners else None)
    if owner is None:
        return ""
    template_hash = labels.get(_HASH_LABEL)
    # Only the Deployment controller names a ReplicaSet `<deployment>-<pod-template-hash>` and labels its pods so.
    if owner.kind == "ReplicaSet" and template_hash and owner.name.endswith(f"-{template_hash}"):
        return intern(f"Deployment/{owner.name.removesuffix(f'-{template_hash}')}")
    return intern(f"{owner.kind}/{owner.name}")


def kube_namespace(found: shapes.Namespace) -> KubeNamespace:
    """Make the record of a Kubernetes namespace."""
    meta = found.metadata
    return KubeNamespace(meta.name, Uid(meta.uid), _interned(meta.labels), _interned(_ours(meta)))


def custom(kind: str) -> Codec[CustomObject]:
    """Return the codec of one of our kinds: items of a list need not name theirs."""

    def project(found: shapes.Custom) -> CustomObject:
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

    return Codec(shapes.Custom, project)


def node(found: shapes.Node) -> Node:
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


def service(found: shapes.Service, selects: Selects = nothing) -> KubeService | Unselected:
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


def endpoint_slice(found: shapes.Slice, selects: Selects = nothing) -> Slice | Unselected:
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


def _endpoint(found: shapes.Endpoint, namespace: str) -> Endpoint:
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


def _interned(strings: dict[str, str] | None) -> Mapping[str, str]:
    """Return one mapping for all that are equal: the pods of a workload have the same labels and annotations."""
    return _shared(tuple((strings or {}).items()))


@lru_cache(maxsize=_MOST_SHARED)
def _shared(items: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return MappingProxyType({intern(key): intern(value) for key, value in items})


@lru_cache(maxsize=_MOST_SHARED)
def _port(container: str, name: str, number: int, protocol: str) -> ContainerPort:
    return ContainerPort(intern(container), intern(name), number, intern(protocol))


def pods(selects: Selects = nothing) -> Codec[Pod | BarePod]:
    """Return the codec of pods."""
    return Codec(shapes.Pod, partial(pod, selects=selects))


def services(selects: Selects = nothing) -> Codec[KubeService | Unselected]:
    """Return the codec of Services."""
    return Codec(shapes.Service, partial(service, selects=selects))


def endpoint_slices(selects: Selects = nothing) -> Codec[Slice | Unselected]:
    """Return the codec of EndpointSlices; `selects` is asked with the name of the Service."""
    return Codec(shapes.Slice, partial(endpoint_slice, selects=selects))


NAMESPACES: Codec[KubeNamespace] = Codec(shapes.Namespace, kube_namespace)
NODES: Codec[Node] = Codec(shapes.Node, node)
