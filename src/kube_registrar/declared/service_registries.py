"""The annotation `service-registries`: several registrations, in the shape of Amazon ECS and with members of ours.

ECS's members are registryArn, port, containerName and containerPort (Amazon ECS API reference, ServiceRegistry).
Ours are `registry`, a reference as the annotation `service` holds it, in the place of an ARN; `port` by name or as
container:port too; and `attributes`. Items are counted from 0 in messages, as JSON paths do.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from kube_registrar.declared import attributes, ports, references, structures
from kube_registrar.declared.items import Item, Places
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError, moved, nearest, shown, told_at, wrong
from kube_registrar.declared.references import MAX_REFERENCES, Reference
from kube_registrar.declared.shorthand import Pairs, ShorthandError, kind_of
from kube_registrar.declared.templates import Template
from kube_registrar.model.reasons import INVALID_PORT, Problem

KEY: Final = "service-registries"
MEMBERS: Final = ("registryArn", "registry", "port", "containerName", "containerPort", "attributes")
"""Every member that an item may have."""

_MEANT = {"service": "registry", "arn": "registryArn"}  # what resembles nothing, and is easily written
_STEP = (
    'Write [{"registryArn": "arn:...", "containerName": "web", "containerPort": 80}], or '
    "registryArn=arn:...,containerName=web,containerPort=80"
)

_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_SHOWN_CHARACTERS = 40

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceRegistries:
    """What came of reading the annotation.

    `unreadable` has an entry for each item that is wrong: its reference, or None where that is wrong too.
    """

    items: tuple[Item, ...] = ()
    unreadable: tuple[Reference | None, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_service_registries(text: str) -> ServiceRegistries:
    """Read the annotation. Raises nothing, whatever it holds: a wrong item is told, and the others are read."""
    try:
        found = structures.parse(text)
    except ShorthandError as error:
        return ServiceRegistries(problems=(wrong(KEY, shown(text), str(error), _STEP).problem,))
    if not found:
        return ServiceRegistries(problems=(wrong(KEY, shown(text), "it has no item", _STEP).problem,))
    if len(found) > MAX_REFERENCES:
        rule = f"at most {MAX_REFERENCES} registry services are registered for one pod"
        return ServiceRegistries(problems=(wrong(KEY, f"a list of {len(found):,} items", rule, "Remove some").problem,))
    items: list[Item] = []
    unreadable: list[Reference | None] = []
    problems: list[Problem] = []
    for number, one in enumerate(found):
        reading = _Reading(f"{KEY}[{number}]")
        item = reading.read(one)
        if item is None:
            unreadable.append(reading.reference)
            problems.extend(reading.problems)
        else:
            items.append(item)
    return ServiceRegistries(tuple(items), tuple(unreadable), tuple(dict.fromkeys(problems)))


class _Reading:
    """The reading of one item, which tells everything that is wrong with it at once."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.problems: list[Problem] = []
        self.reference: Reference | None = None

    def read(self, found: object) -> Item | None:
        """Return the item, or None with `problems` and, if that much can be read, `reference`."""
        if not isinstance(found, Pairs):
            rule = f"an item is an object with the members {', '.join(MEMBERS)}"
            self.problems.append(wrong(self.place, _shown(found), rule, _STEP).problem)
            return None
        members = self._members(found)
        if self.problems and not {"registryArn", "registry"} & members.keys():
            return None  # it is misspelt: that it is absent would be told a second time
        self.reference = self._attempt(self._reference, members)
        port = self._attempt(self._port, members)
        user = self._attempt(self._attributes, members)
        if self.problems or self.reference is None:
            return None
        places = Places(
            self._at("registryArn" if "registryArn" in members else "registry"),
            self._at("containerPort" if "containerPort" in members else "port"),
            self._at("attributes"),
        )
        return Item(self.reference, port, user or {}, places)

    def _at(self, member: str) -> str:
        return f"{self.place}.{ascii(member[:80])[1:-1]}"

    def _wrong(self, member: str, found: str, rule: str, next_step: str) -> AnnotationError:
        return wrong(self._at(member), found, rule, next_step)

    def _attempt(self, read: Callable[[Mapping[str, object]], T], members: Mapping[str, object]) -> T | None:
        try:
            return read(members)
        except AnnotationError as error:
            self.problems.append(error.problem)
            return None

    def _members(self, pairs: Pairs) -> Mapping[str, object]:
        """Return the members that are known; tell the others, and those that are there twice."""
        members = dict(pairs)
        for member, count in Counter(member for member, _ in pairs).items():
            if member not in MEMBERS:
                meant = _MEANT.get(member.lower()) or nearest(member, MEMBERS)
                rule = f"an item has {', '.join(MEMBERS[:-1])} and {MEMBERS[-1]}"
                step = f"Did you mean {meant}?" if meant else "Remove it"
                self.problems.append(self._wrong(member, "not known", rule, step).problem)
                del members[member]
            elif count > 1:
                rule = "a member has one value"
                self.problems.append(self._wrong(member, f"there {count:,} times", rule, "Remove all but one").problem)
                del members[member]
        return members

    def _reference(self, members: Mapping[str, object]) -> Reference:
        """Read registryArn or registry; an item has one of them, for either names the service in full."""
        if "registryArn" in members and "registry" in members:
            raise self._wrong("registry", "beside registryArn", "either names the service", "Remove one of them")
        if "registry" in members:
            text = self._text(members, "registry")
            with told_at(references.KEY, self._at("registry")):
                return references.read_reference(text)
        if "registryArn" not in members:
            step = "Add it, or registry with namespace/service or the name of a RegistryService"
            raise self._wrong("registryArn", "absent", "an item names the registry service", step)
        text = self._text(members, "registryArn")
        try:
            return references.read_arn(text)
        except AnnotationError as error:
            step = "Copy ServiceArn from the registry, or write registry with namespace/service in its place"
            raise self._wrong("registryArn", shown(text), references.ARN_RULE, step) from error

    def _port(self, members: Mapping[str, object]) -> PortRequest | None:
        """Read port, or containerName and containerPort; None where there is neither."""
        if "port" not in members:
            return self._container_port(members)
        beside = next((name for name in ("containerPort", "containerName") if name in members), "")
        if beside:
            rule = "Amazon ECS takes either port, or containerName and containerPort, and so do we"
            raise self._wrong("port", f"beside {beside}", rule, "Remove one of them")
        with told_at(ports.KEY, self._at("port")):
            return ports.read_port(
                self._number_or_text(members, "port", "a port's name, its number, or container:port")
            )

    def _container_port(self, members: Mapping[str, object]) -> PortRequest | None:
        if "containerName" not in members and "containerPort" not in members:
            return None
        for name, other in (("containerName", "containerPort"), ("containerPort", "containerName")):
            if name not in members:
                step = "Add it, or write port in their place"
                raise self._wrong(name, "absent", f"it belongs to {other}", step)
        container = self._text(members, "containerName")
        if not ports.CONTAINER.fullmatch(container):
            rule = "a container's name has at most 63 lower-case letters, digits and hyphens"
            step = "Write the name that the pod's spec has"
            raise self._wrong("containerName", shown(container), rule, step)
        number = self._number_or_text(members, "containerPort", "a number, 1 to 65535")
        if not _NUMBER.fullmatch(number) or int(number) > ports.MAX_PORT:
            rule = "in Amazon ECS's shape it is a number, 1 to 65535"
            step = "Write the number, or write port in the place of both: it takes names too"
            raise wrong(self._at("containerPort"), shown(number), rule, step, reason=INVALID_PORT)
        return PortRequest(f"{container}:{number}", container, int(number))

    def _attributes(self, members: Mapping[str, object]) -> Mapping[str, Template]:
        """Read the attributes: an object of strings, or the text that the annotation `attributes` would hold."""
        value = members.get("attributes", "")
        if isinstance(value, str):
            found, problems = attributes.read_attributes(value)
        elif isinstance(value, Pairs):
            for key, one in value:
                if not isinstance(one, str):
                    raise self._wrong(f"attributes.{key}", _shown(one), "it must be a string", "Put it in quotes")
            found, problems = attributes.read_pairs((key, str(one)) for key, one in value)
        else:
            rule = "it must be an object of strings, or key=value with commas between"
            raise self._wrong("attributes", _shown(value), rule, 'Write {"stage": "dev"} or "stage=dev"')
        self.problems.extend(moved(one, attributes.KEY, self._at("attributes")) for one in problems)
        return found

    def _text(self, members: Mapping[str, object], member: str) -> str:
        value = members[member]
        if not isinstance(value, str):
            raise self._wrong(member, _shown(value), "it must be a string", "Put it in quotes")
        return value.strip()

    def _number_or_text(self, members: Mapping[str, object], member: str, rule: str) -> str:
        """Return the text of a number as well: in shorthand there are no numbers."""
        value = members[member]
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise wrong(self._at(member), _shown(value), f"it must be {rule}", "Correct it", reason=INVALID_PORT)
        return str(value).strip()


def _shown(value: object) -> str:
    """Show a JSON value of the wrong kind: an array or object by its kind."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list):
        return kind_of(value)
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
