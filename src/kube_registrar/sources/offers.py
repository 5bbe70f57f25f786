"""What others ask of a pod: RegistryServices that select it, and Services whose endpoint it is.

An offer is worked out for one pod. What is wrong with the asking object itself is told there and not at each of its
pods: they are held only, and so keep what they have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from kube_registrar.declared import references
from kube_registrar.declared.annotations import Publish, read_annotations
from kube_registrar.declared.items import Places
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError
from kube_registrar.declared.references import LocalReference, Reference
from kube_registrar.declared.templates import Template
from kube_registrar.model.records import Endpoint, KubeService, Pod, Slice
from kube_registrar.sources.services import ServiceItem, asks_of, service_port
from kube_registrar.sources.world import World


class Layer(IntEnum):
    """Whose attributes go over whose: later ones win."""

    NAMESPACE = 0
    REGISTRY_SERVICE = 1
    SERVICE = 2
    POD = 3


Layered = tuple[Layer, str, Mapping[str, Template]]
"""Attributes with whose they are and where they are written."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One registry service that somebody else asks to have the pod in.

    `port`: what to look for among the pod's ports; or, where `has_port`, the `number` of the endpoint (None: none).
    `why_waiting`: in plain words, why nothing can be said of it yet, so that what is there stays.
    """

    source: str
    reference: Reference
    places: Places
    port: PortRequest | None = None
    has_port: bool = False
    number: int | None = None
    attributes: Sequence[Layered] = ()
    counts_unready: bool = False
    """Whether it wants the pod whether it is ready or not."""
    why_waiting: str = ""
    why_no_port: str = ""
    """The same, where the registry service publishes a port."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An asking object that cannot be read: it may ask for anything, or for what `reference` names."""

    reference: Reference | None
    why: str


def offers_of(pod: Pod, world: World) -> Iterator[Offer | Unread]:
    """Yield all that others ask of a pod."""
    for name in world.selection.of_pod(pod.namespace, pod.labels):
        declared = world.declared_services[pod.namespace, name]
        source = f"RegistryService {name}"
        places = Places(references.KEY, f"spec.port of {source}", f"spec.attributes of {source}")
        yield Offer(source, LocalReference(name), places, declared.port)
    holding = world.endpoints.holding(pod)
    selecting = {service.key: service for service in world.endpoints.selecting(pod.namespace, pod.labels)}
    services = {key: world.endpoints.services[key] for key in holding if key in world.endpoints.services}
    for key, service in (selecting | services).items():
        yield from _of_service(pod, service, holding.get(key, ()), world)


def _of_service(
    pod: Pod, service: KubeService, endpoints: Sequence[tuple[Slice, Endpoint]], world: World
) -> Iterator[Offer | Unread]:
    asks = asks_of(service, world)
    if asks.publish is not Publish.ENDPOINTS or (service.type == "ExternalName" and not endpoints):
        return  # an external name has no endpoints, whatever its selector says
    for reference in asks.unreadable:
        yield Unread(reference, asks.why_held)
    # An endpoint may lag behind the pod's address, and a pod that a selector matches behind its first endpoint.
    current = [one for one, endpoint in endpoints if set(endpoint.addresses) & set(pod.ips)]
    for asked in asks.items:
        yield _offer(service, asked, current)


def _offer(service: KubeService, asked: ServiceItem, slices: Sequence[Slice]) -> Offer:
    places = asked.item.places.of(f"Service {service.name}") if asked.is_annotated else asked.item.places
    waiting = "" if slices else f"the EndpointSlices of Service {service.name} do not have the pod's address yet"
    no_port, number = "", None
    try:
        port = service_port(service, asked)
    except AnnotationError as error:
        no_port = error.problem.message
    else:
        if port is not None:
            numbers = sorted({number for one in slices for name, number in one.ports if name == port.name})
            number = numbers[0] if numbers else None
            no_port = "" if numbers else f"no EndpointSlice of Service {service.name} has its port {port.name!r}"
    return Offer(
        source=asked.source,
        reference=asked.item.reference,
        places=places,
        has_port=True,
        number=number,
        attributes=_attributes(service, asked, places),
        counts_unready=service.publishes_not_ready,
        why_waiting=waiting,
        why_no_port=no_port,
    )


def _attributes(service: KubeService, asked: ServiceItem, places: Places) -> Sequence[Layered]:
    """Return what the Service writes for its endpoints, whoever asks for them, and for this item alone."""
    request = read_annotations(service.annotations, of_service=True).request
    shared = request.attributes if request else {}
    own = Places().of(f"Service {service.name}").attributes
    return ((Layer.SERVICE, own, shared), (Layer.SERVICE, places.attributes, asked.item.attributes))
