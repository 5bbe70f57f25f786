"""What a Service asks for: by its own annotations, and by the RegistryServices that name it."""

from collections.abc import Sequence
from dataclasses import dataclass

from kube_registrar.declared import references
from kube_registrar.declared.annotations import EMPTY, NOTHING, Publish, Reading, read_annotations
from kube_registrar.declared.items import Item, Places
from kube_registrar.declared.ports import KEY as PORT
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import shown, told_at, wrong
from kube_registrar.declared.references import LocalReference, Reference
from kube_registrar.model.reasons import INVALID_PORT, Problem
from kube_registrar.model.records import KubeService, ServicePort
from kube_registrar.sources.world import World

_TOLD = 8


@dataclass(frozen=True, slots=True)
class ServiceItem:
    """One registry service that a Service asks for. `source`: who says so, for people."""

    item: Item
    port: PortRequest | None
    source: str
    is_annotated: bool
    """By the Service's own annotations, so that its own attributes belong to it."""


@dataclass(frozen=True, slots=True)
class ServiceAsks:
    """All that a Service asks for. With `why_held` something of it cannot be read, as `problems` say."""

    items: Sequence[ServiceItem] = ()
    publish: Publish = Publish.ENDPOINTS
    unreadable: Sequence[Reference | None] = ()
    why_held: str = ""
    problems: Sequence[Problem] = ()
    reading: Reading = EMPTY


def asks_of(service: KubeService, world: World) -> ServiceAsks:
    """Return what a Service asks for; nothing where its annotation `register` says false, or while it goes."""
    reading = read_annotations(service.annotations, of_service=True)
    if reading.register is False or service.terminating:
        return ServiceAsks(reading=reading)
    naming = world.selection.of_service(service.namespace, service.name)
    by_kind = [_named(name, world.declared_services[service.namespace, name].port) for name in naming]
    if reading.request is None:
        if not (reading.asks or by_kind):
            return ServiceAsks(problems=(*reading.problems, *reading.lonely), reading=reading)
        why = f"the annotations of Service {service.name} cannot be read"
        return ServiceAsks((), Publish.ENDPOINTS, (None,), why, reading.problems, reading)
    request = reading.request
    whose = f"Service {service.name}"
    own = [ServiceItem(item, item.port or request.port, whose, is_annotated=True) for item in request.items]
    lonely = () if own or by_kind else reading.lonely
    why = f"some annotations of Service {service.name} cannot be read" if reading.held else ""
    return ServiceAsks(
        (*own, *by_kind), reading.publish, request.unreadable, why, (*reading.problems, *lonely), reading
    )


def _named(name: str, port: PortRequest | None) -> ServiceItem:
    source = f"RegistryService {name}"
    places = Places(references.KEY, f"spec.port of {source}", f"spec.attributes of {source}")
    item = Item(LocalReference(name), None, NOTHING.attributes, places)
    return ServiceItem(item, port, source, is_annotated=False)


def service_port(service: KubeService, asked: ServiceItem) -> ServicePort | None:
    """Return the port of a Service that is meant, None where it has none. Raises AnnotationError.

    A port is named as in `spec.ports` of the Service: by its name, or by its number.
    """
    with told_at(PORT, asked.item.places.port):
        request = asked.port
        if request is None:
            if len(service.ports) > 1:
                rule = f"Service {service.name} has several ports, and one is registered"
                raise wrong(PORT, "absent", rule, f"Add it with one of {_choices(service)}", reason=INVALID_PORT)
            return service.ports[0] if service.ports else None
        if request.container:
            rule = "a Service has ports of its own and no containers"
            raise wrong(PORT, shown(request.text), rule, f"Write one of {_choices(service)}", reason=INVALID_PORT)
        for port in service.ports:
            if request.port in {port.name, port.number}:
                return port
        rule = f"Service {service.name} has no such port"
        step = f"Write one of {_choices(service)}" if service.ports else "Remove it"
        raise wrong(PORT, shown(request.text), rule, step, reason=INVALID_PORT)


def _choices(service: KubeService) -> str:
    named = [port.name or str(port.number) for port in service.ports]
    return ", ".join(named[:_TOLD]) + (f" and {len(named) - _TOLD} more" if named[_TOLD:] else "")
