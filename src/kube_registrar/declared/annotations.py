"""The annotations of a pod as one typed request.

A key that is not known is told and otherwise ignored, so `kube-registrar.dev/servce` alone asks for nothing: an
annotation of a newer version, or of somebody's own, must not take pods out of a registry or keep them in. A key that
is known but not supported by this version holds the pod: what its author wants cannot be read here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kube_registrar.declared import attributes, ports, references, service_registries
from kube_registrar.declared.items import Item
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError, field_of, nearest, wrong
from kube_registrar.declared.references import Reference
from kube_registrar.declared.templates import Template
from kube_registrar.model.reasons import UNKNOWN_ANNOTATION, UNSUPPORTED_ANNOTATION, Problem
from kube_registrar.model.records import ANNOTATION_PREFIX

KNOWN: Final = (references.KEY, service_registries.KEY, ports.KEY, attributes.KEY)
"""The keys that this version reads, without the prefix."""

LATER: Final = {"publish": "Remove it"}
"""Keys that are reserved for versions to come, and what to do until then."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a pod asks for: which registry services, with which port and attributes.

    `port` and `attributes` are for all items: an item's own port replaces the port, its attributes go over these.
    `unreadable` has an entry for each item of `service-registries` that is wrong: its reference, or None where that
    is wrong too. What such an item asks for may be in another item's registry service, with another port.
    """

    items: tuple[Item, ...]
    port: PortRequest | None = None
    attributes: Mapping[str, Template] = field(default_factory=dict)
    unreadable: tuple[Reference | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a pod's annotations.

    Without a request, `held` tells "it asks for nothing" (False) from "what it asks for cannot be read" (True).
    With one, `held` says that some items beside those of the request cannot be read.
    """

    request: Request | None
    problems: tuple[Problem, ...] = ()
    held: bool = False


def read_annotations(annotations: Mapping[str, str]) -> Reading:
    """Read the annotations of ours; `annotations` has keys without the prefix. Raises nothing, whatever they hold."""
    told = _unknown(annotations)
    # They may ask for anything, so the rest cannot be acted upon either.
    unsupported = tuple(_unsupported(key) for key in LATER if key in annotations)
    if unsupported:
        return Reading(None, (*unsupported, *told), held=True)
    if references.KEY in annotations and service_registries.KEY in annotations:
        return Reading(None, (_both(), *told), held=True)
    if references.KEY not in annotations and service_registries.KEY not in annotations:
        return Reading(None, (*_lonely(annotations), *told))
    items, unreadable, wrong_items = _items(annotations)
    port, wrong_port = _port(annotations.get(ports.KEY))
    user, wrong_attributes = attributes.read_attributes(annotations.get(attributes.KEY, ""))
    problems = (*wrong_items, *wrong_port, *wrong_attributes, *told)
    if wrong_port or wrong_attributes or not items:
        return Reading(None, problems, held=True)
    return Reading(Request(items, port, user, unreadable), problems, held=bool(wrong_items))


def _items(
    annotations: Mapping[str, str],
) -> tuple[tuple[Item, ...], tuple[Reference | None, ...], tuple[Problem, ...]]:
    """Read the one that is there of `service` and `service-registries`."""
    if service_registries.KEY in annotations:
        found = service_registries.read_service_registries(annotations[service_registries.KEY])
        return found.items, found.unreadable, found.problems
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


def _lonely(annotations: Mapping[str, str]) -> tuple[Problem, ...]:
    """Tell annotations that depend on one that is absent: removing that one is how a pod stops asking."""
    others = [ANNOTATION_PREFIX + key for key in KNOWN if key in annotations]
    if not others:
        return ()
    rule = f"without it {' and '.join(others)} {'asks' if len(others) == 1 else 'ask'} for nothing"
    return (
        wrong(references.KEY, "absent", rule, f"Add it, or remove {others[0] if len(others) == 1 else 'them'}").problem,
    )


def _unknown(annotations: Mapping[str, str]) -> tuple[Problem, ...]:
    """Tell each key with our prefix that nothing reads, with the nearest one that something does."""
    problems = []
    for key in annotations:
        if key in KNOWN or key in LATER:
            continue
        meant = nearest(key, KNOWN)
        known = ", ".join(ANNOTATION_PREFIX + other for other in KNOWN)
        step = f"Did you mean {ANNOTATION_PREFIX}{meant}? " if meant else ""
        field = field_of(ascii(key[:80])[1:-1])
        problems.append(Problem.of(UNKNOWN_ANNOTATION, field=field, next_step=f"{step}There are {known}"))
    return tuple(problems)


def _unsupported(key: str) -> Problem:
    return Problem.of(UNSUPPORTED_ANNOTATION, field=field_of(key), next_step=LATER[key])
