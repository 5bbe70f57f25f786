"""The few fields of the API server's JSON that are read, as msgspec decodes them; all others it skips unread.

Source: Kubernetes API reference. `projection` makes records of these.
"""

from typing import Any

import msgspec


class Owner(msgspec.Struct, gc=False):
    """An owner reference."""

    kind: str
    name: str
    controller: bool | None = None


class Meta(msgspec.Struct, rename="camel", gc=False):
    """metav1.ObjectMeta."""

    name: str
    uid: str
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class Port(msgspec.Struct, rename="camel", gc=False):
    """A port of a container."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Container(msgspec.Struct, rename="camel", gc=False):
    """A container; one with a restart policy is an init container."""

    name: str
    ports: list[Port] | None = None
    restart_policy: str | None = None


class Gate(msgspec.Struct, rename="camel", gc=False):
    """A readiness gate."""

    condition_type: str


class PodSpec(msgspec.Struct, rename="camel", gc=False):
    """The spec of a pod."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    node_name: str = ""
    readiness_gates: list[Gate] | None = None


class Condition(msgspec.Struct, gc=False):
    """A condition, as far as its status goes."""

    type: str
    status: str


class Ip(msgspec.Struct, gc=False):
    """An address of a pod."""

    ip: str = ""


class PodStatus(msgspec.Struct, rename={"pod_ip": "podIP", "pod_ips": "podIPs"}, gc=False):
    """The status of a pod."""

    phase: str = "Pending"
    pod_ip: str = ""
    pod_ips: list[Ip] | None = None
    conditions: list[Condition] | None = None


class Pod(msgspec.Struct, gc=False):
    """A pod."""

    metadata: Meta
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class Namespace(msgspec.Struct, gc=False):
    """A Kubernetes namespace."""

    metadata: Meta


class NodeAddress(msgspec.Struct, gc=False):
    """An address of a node."""

    type: str
    address: str


class NodeStatus(msgspec.Struct, gc=False):
    """The status of a node."""

    addresses: list[NodeAddress] | None = None
    conditions: list[Condition] | None = None


class Node(msgspec.Struct, gc=False):
    """A node."""

    metadata: Meta
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class ServicePort(msgspec.Struct, rename="camel", gc=False):
    """A port of a Service."""

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


class ServiceSpec(msgspec.Struct, rename=_SERVICE_FIELDS, gc=False):
    """The spec of a Service."""

    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: list[ServicePort] | None = None
    cluster_ip: str = ""
    cluster_ips: list[str] | None = None
    external_name: str = ""
    not_ready: bool = False
    external_policy: str = ""


class Ingress(msgspec.Struct, gc=False):
    """Where a load balancer is reached: one of the two."""

    ip: str = ""
    hostname: str = ""


class LoadBalancer(msgspec.Struct, gc=False):
    """The load balancer of a Service."""

    ingress: list[Ingress] | None = None


class ServiceStatus(msgspec.Struct, rename="camel", gc=False):
    """The status of a Service."""

    load_balancer: LoadBalancer = msgspec.field(default_factory=LoadBalancer)


class Service(msgspec.Struct, gc=False):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus = msgspec.field(default_factory=ServiceStatus)


class Target(msgspec.Struct, gc=False):
    """What an endpoint says that it stands for."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(msgspec.Struct, gc=False):
    """The conditions of an endpoint; what is absent is None."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(msgspec.Struct, rename="camel", gc=False):
    """An endpoint of a slice."""

    addresses: list[str] | None = None
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    target_ref: Target | None = None
    node_name: str | None = None
    zone: str | None = None


class SlicePort(msgspec.Struct, gc=False):
    """A port of a slice; without a number it stands for all ports."""

    name: str | None = None
    port: int | None = None


class Slice(msgspec.Struct, rename="camel", gc=False):
    """An EndpointSlice."""

    metadata: Meta
    address_type: str = "IPv4"
    endpoints: list[Endpoint] | None = None
    ports: list[SlicePort] | None = None


class Custom(msgspec.Struct):
    """An object of one of our kinds."""

    metadata: Meta
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
