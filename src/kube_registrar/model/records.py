"""Slim records of Kubernetes objects: what the engine needs of them and nothing else.

`cluster.projection` makes them from the API server's JSON; `sources` reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.model.refs import ObjectRef, Origin, Uid

ANNOTATION_PREFIX = "kube-registrar.dev/"


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port of a container; `name` may be empty."""

    container: str
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that carries an annotation of ours. `annotations` holds ours only, keys without the prefix."""

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
    terminating: bool = False
    phase: str = "Pending"

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
    """A pod that lives and carries no annotation of ours: all that is remembered of it is that."""

    namespace: str
    name: str
    uid: Uid
    terminating: bool = False
    phase: str = "Pending"


@dataclass(frozen=True, slots=True)
class KubeNamespace:
    """A Kubernetes namespace, for the tenancy rule."""

    name: str
    uid: Uid
    labels: Mapping[str, str] = field(default_factory=dict)


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
