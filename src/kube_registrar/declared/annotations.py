"""The annotations of one object as one typed reading: of a pod, of a Service, or of a Kubernetes namespace.

A key that is not known is told and otherwise ignored, so `kube-registrar.dev/servce` alone asks for nothing: an
annotation of a newer version, or of somebody's own, must not take pods out of a registry or keep them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from kube_registrar.declared import attributes, ports, references, service_registries
from kube_registrar.declared.items import Item
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError, field_of, nearest, shown, wrong
from kube_registrar.declared.references import Reference
from kube_registrar.declared.templates import Template
from kube_registrar.model.reasons import UNKNOWN_ANNOTATION, Problem
from kube_registrar.model.records import ANNOTATION_PREFIX

REGISTER: Final = "register"
PUBLISH: Final = "publish"

_ASKING = (references.KEY, service_registries.KEY)
KNOWN: Final = (*_ASKING, ports.KEY, attributes.KEY, REGISTER)
"""The keys that are read on pods and Kubernetes namespaces, without the prefix."""
KNOWN_ON_SERVICES: Final = (*KNOWN, PUBLISH)

_REMEMBERED = 8_192
"""The pods of a workload have the same annotations: each set is read once."""


class Publish(StrEnum):
    """What a Service registers: its endpoints, or itself."""

    ENDPOINTS = "Endpoints"
    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: which registry services, with which port and attributes.

    `port` and `attributes` are for all items: an item's own port replaces the port, its attributes go over these.
    Without items they are for what other sources ask of this object.
    `unreadable` has an entry for each item of `service-registries` that is wrong: its reference, or None where that
    is wrong too. What such an item asks for may be in another item's registry service, with another port.
    """

    items: tuple[Item, ...] = ()
    port: PortRequest | None = None
    attributes: Mapping[str, Template] = field(default_factory=dict)
    unreadable: tuple[Reference | None, ...] = ()


NOTHING: Final = Request()


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading an object's annotations.

    Without a request, what it asks for cannot be read at all. `held` says that this, or some of its items, cannot be
    read. `register`: what the opt-out says; None where it is absent. `lonely` are problems only where no other source
    asks for the object: annotations that ask for nothing by themselves.
    """

    request: Request | None = NOTHING
    problems: tuple[Problem, ...] = ()
    held: bool = False
    register: bool | None = None
    publish: Publish = Publish.ENDPOINTS
    asks: bool = False
    """Whether it says by itself in which registry services it wants to be, however badly."""
    lonely: tuple[Problem, ...] = ()


EMPTY: Final = Reading()


def read_annotations(annotations: Mapping[str, str], *, of_service: bool = False) -> Reading:
    """Read the annotations of ours; `annotations` has keys without the prefix. Raises nothing, whatever they hold."""
    return _read(tuple(annotations.items()), of_service) if annotations else EMPTY


@lru_cache(maxsize=_REMEMBERED)
def _read(pairs: tuple[tuple[str, str], ...], of_service: bool) -> Reading:  # noqa: FBT001 - lru_cache takes it so
    annotations = dict(pairs)
    told = _unknown(annotations, KNOWN_ON_SERVICES if of_service else KNOWN)
    asks = any(key in annotations for key in _ASKING)
    register, wrong_register = _register(annotations.get(REGISTER))
    if wrong_register:
        return Reading(None, (*wrong_register, *told), held=True, asks=True)
    publish, wrong_publish = _publish(annotations.get(PUBLISH)) if of_service else (Publish.ENDPOINTS, ())
    if references.KEY in annotations and service_registries.KEY in annotations:
        return Reading(None, (_both(), *told), held=True, register=register, asks=asks)
    items, unreadable, wrong_items = _items(annotations)
    port, wrong_port = _port(annotations.get(ports.KEY))
    user, wrong_attributes = attributes.read_attributes(annotations.get(attributes.KEY, ""))
    problems = (*wrong_items, *wrong_port, *wrong_attributes, *wrong_publish, *told)
    is_whole = not (wrong_port or wrong_attributes or wrong_publish)
    if not is_whole or (wrong_items and not items):
        return Reading(None, problems, True, register, publish, asks)  # noqa: FBT003 - in the order of the fields
    request = Request(items, port, user, unreadable)
    lonely = () if items else _lonely(annotations)
    return Reading(request, problems, bool(wrong_items), register, publish, asks, lonely)


def _items(
    annotations: Mapping[str, str],
) -> tuple[tuple[Item, ...], tuple[Reference | None, ...], tuple[Problem, ...]]:
    """Read the one that is there of `service` and `service-registries`."""
    if service_registries.KEY in annotations:
        found = service_registries.read_service_registries(annotations[service_registries.KEY])
        return found.items, found.unreadable, found.problems
    if references.KEY not in annotations:
        return (), (), ()
    # Nothing unreadable: all references share one port, so a wrong one can mean no other instance in these services.
    good, problems = references.read_references(annotations[references.KEY])
    return tuple(map(Item, good)), (), problems


def _both() -> Problem:
    rule = "both say in which registry services the pod is registered, so what it wants is not certain"
    found = f"beside {ANNOTATION_PREFIX}{references.KEY}"
    return wrong(service_registries.KEY, found, rule, "Remove one of them").problem


def _port(value: str | None) -> tuple[PortRequest | None, tuple[Problem, ...]]:
    try:
        return (None if value is None else ports.read_port(value)), ()
    except AnnotationError as error:
        return None, (error.problem,)


def _register(value: str | None) -> tuple[bool | None, tuple[Problem, ...]]:
    """Read the opt-out: what is neither true nor false may mean either, so nothing is done then."""
    if value is None or value.strip() in {"true", "false"}:
        return (None if value is None else value.strip() == "true"), ()
    step = "Write false to register nothing of this object, or remove it"
    return None, (wrong(REGISTER, shown(value), "it must be true or false", step).problem,)


def _publish(value: str | None) -> tuple[Publish, tuple[Problem, ...]]:
    if value is None:
        return Publish.ENDPOINTS, ()
    if value.strip() in list(Publish):
        return Publish(value.strip()), ()
    rule = f"allowed are {', '.join(Publish)}"
    meant = nearest(value.strip(), tuple(Publish))
    step = f"Did you mean {meant}?" if meant else "Write one of these"
    return Publish.ENDPOINTS, (wrong(PUBLISH, shown(value), rule, step).problem,)


def _lonely(annotations: Mapping[str, str]) -> tuple[Problem, ...]:
    """Tell annotations that depend on one that is absent: removing that one is how an object stops asking."""
    others = [ANNOTATION_PREFIX + key for key in KNOWN_ON_SERVICES if key in annotations and key != REGISTER]
    if not others:
        return ()
    rule = f"without it {' and '.join(others)} {'asks' if len(others) == 1 else 'ask'} for nothing"
    return (
        wrong(references.KEY, "absent", rule, f"Add it, or remove {others[0] if len(others) == 1 else 'them'}").problem,
    )


def _unknown(annotations: Mapping[str, str], known: tuple[str, ...]) -> tuple[Problem, ...]:
    """Tell each key with our prefix that nothing reads here, with the nearest one that something does."""
    problems = []
    for key in annotations:
        if key in known:
            continue
        meant = nearest(key, known)
        step = f"Did you mean {ANNOTATION_PREFIX}{meant}? " if meant else ""
        step = "It belongs on a Service. " if key == PUBLISH else step
        there_are = ", ".join(ANNOTATION_PREFIX + other for other in known)
        field = field_of(ascii(key[:80])[1:-1])
        problems.append(Problem.of(UNKNOWN_ANNOTATION, field=field, next_step=f"{step}There are {there_are}"))
    return tuple(problems)
