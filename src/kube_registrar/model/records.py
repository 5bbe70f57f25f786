"""Slim records of Kubernetes objects: what the engine needs of them and nothing else.

`cluster.projection` makes them from the API server's JSON; `sources` reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.model.refs import ObjectRef, Origin, Uid

ANNOTATION_PREFIX = "kube-registrar.dev/"
SERVICE_LABEL = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service that it belongs to."""
ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
"""On a node: load balancers are not to send to it."""
GATE = "kube-registrar.dev/registered"
"""The condition type that a pod lists among its readiness gates to wait for its registrations."""


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port of a container; `name` may be empty."""

    container: str
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that some source selects. `annotations` holds ours only, keys without the prefix."""

    namespace: str
    name: str
    uid: Uid
    annotations: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    ips: Sequence[str] = ()
    ports: Sequence[ContainerPort] = ()
    node: str = ""
    workload: str = ""
    """`Kind/name` of the owner, a ReplicaSet's name cut at the pod-template-hash; empty for a bare pod."""
    ready: bool = False
    """Ready, or where it lists our readiness gate: its ContainersReady holds, whatever the gates say."""
    terminating: bool = False
    phase: str = "Pending"
    gated: bool = False
    """Whether it lists our readiness gate."""
    gate: str = ""
    """The status of the gate's condition: True, False, Unknown, or empty where there is none."""
    silent: bool = False
    """Not Ready, although its containers are and its gates are open, which no kubelet says.

    Kubernetes takes Ready, and nothing else, from the pods of a node that it hears nothing of.
    Source: MarkPodsNotReady (kubernetes, pkg/controller/util/node).
    """

    @property
    def is_terminal(self) -> bool:
        """Succeeded or Failed (which evicted pods are): its containers never run again."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def origin(self) -> Origin:
        """The pod as the origin of registrations."""
        return Origin("Pod", self.namespace, self.name, self.uid)

    @property
    def ref(self) -> ObjectRef:
        """The pod as the object of events."""
        return ObjectRef("v1", "Pod", self.namespace, self.name, self.uid)


@dataclass(frozen=True, slots=True)
class BarePod:
    """A pod that lives and that no source selects: all that is remembered of it is that."""

    namespace: str
    name: str
    uid: Uid
    terminating: bool = False
    phase: str = "Pending"


@dataclass(frozen=True, slots=True)
class Unselected:
    """A Service or EndpointSlice that is there and that no source asks for."""

    namespace: str
    name: str
    uid: Uid


@dataclass(frozen=True, slots=True)
class KubeNamespace:
    """A Kubernetes namespace: its labels for the tenancy rule, its annotations (ours only) as defaults of its pods."""

    name: str
    uid: Uid
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A node: where it is, whether it answers, and at which addresses a NodePort is reached."""

    name: str
    uid: Uid
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those that tell zone and region, and that exclude it from load balancers."""
    addresses: Sequence[str] = ()
    """Its internal IPs."""
    reachable: bool = True
    """False while Kubernetes hears nothing of it (its Ready condition is Unknown)."""
    ready: bool = True


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; `name` is empty where there is one only. `node_port` is 0 where there is none."""

    name: str
    number: int
    protocol: str = "TCP"
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class KubeService:
    """A Kubernetes Service that some source asks for. `annotations` holds ours only, keys without the prefix."""

    namespace: str
    name: str
    uid: Uid
    annotations: Mapping[str, str] = field(default_factory=dict)
    type: str = "ClusterIP"
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[ServicePort] = ()
    cluster_ips: Sequence[str] = ()
    """Empty for a headless one."""
    ingress: Sequence[str] = ()
    """IPs and host names of its load balancer."""
    external_name: str = ""
    publishes_not_ready: bool = False
    """`publishNotReadyAddresses`: its endpoints count whether they are ready or not."""
    local_only: bool = False
    """`externalTrafficPolicy: Local`: only nodes with endpoints answer."""
    terminating: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kubernetes namespace and name."""
        return (self.namespace, self.name)

    @property
    def origin(self) -> Origin:
        """The Service as the origin of registrations that stand for no pod."""
        return Origin("Service", self.namespace, self.name, self.uid)

    @property
    def ref(self) -> ObjectRef:
        """The Service as the object of events."""
        return ObjectRef("v1", "Service", self.namespace, self.name, self.uid)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a slice, its conditions with Kubernetes' meaning of what is absent.

    Source: Kubernetes API reference, EndpointConditions: no `ready` means ready, no `serving` means what `ready` says,
    no `terminating` means that it does not.
    """

    addresses: Sequence[str]
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    pod: str = ""
    """The name of the pod that its targetRef names, in the slice's own namespace; empty for a machine.

    `?` where it names one of another Kubernetes namespace, or none by name and UID: that is no machine either.
    """
    pod_uid: Uid | None = None
    node: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """An EndpointSlice. `ports` are (name, number); one without a number stands for all ports and is left out."""

    namespace: str
    name: str
    uid: Uid
    service: str
    """The Service that its label names."""
    endpoints: Sequence[Endpoint] = ()
    ports: Sequence[tuple[str, int]] = ()
    address_type: str = "IPv4"

    @property
    def service_key(self) -> tuple[str, str]:
        """Kubernetes namespace and name of its Service."""
        return (self.namespace, self.service)


@dataclass(frozen=True, slots=True)
class CustomObject:
    """An object of one of our kinds; `declared.specs` types `spec`. `namespace` is empty for cluster-scoped ones."""

    kind: str
    namespace: str
    name: str
    uid: Uid
    generation: int
    spec: Mapping[str, object]
    terminating: bool = False
    status: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Ours only, keys without the prefix."""

    @property
    def ref(self) -> ObjectRef:
        """The object as that of events."""
        return ObjectRef("kube-registrar.dev/v1alpha1", self.kind, self.namespace, self.name, self.uid)
