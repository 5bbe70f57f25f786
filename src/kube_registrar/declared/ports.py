"""The annotation `port`: a port's name, its number, or either behind a container's name and a colon."""

import re
from dataclasses import dataclass
from typing import Final

from kube_registrar.declared.problems import shown, wrong
from kube_registrar.model.reasons import INVALID_PORT

KEY: Final = "port"
MAX_PORT: Final = 65_535

CONTAINER: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A container's name (a DNS label, as Kubernetes has it)."""

NAME = re.compile(r"(?=.{1,15}\Z)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
NUMBER = re.compile(r"[0-9]+")
_STEP = "Write a port's name, its number, or container:port"


@dataclass(frozen=True, slots=True)
class PortRequest:
    """What the annotation asks for; `container` is empty if it names none."""

    text: str
    container: str
    port: str | int


def read_port(value: str) -> PortRequest:
    """Read the annotation. Raises AnnotationError."""
    text = value.strip()
    if not text:
        raise wrong(KEY, shown(value), "it is empty", _STEP, reason=INVALID_PORT)
    container, colon, port = text.rpartition(":")
    if colon and not CONTAINER.fullmatch(container):
        rule = f"{shown(container)} before the colon is not the name of a container"
        raise wrong(KEY, shown(text), rule, _STEP, reason=INVALID_PORT)
    if NUMBER.fullmatch(port):
        number = int(port) if len(port) <= len(str(MAX_PORT)) else MAX_PORT + 1
        if not 1 <= number <= MAX_PORT:
            raise wrong(KEY, shown(text), "a port's number is 1 to 65535", _STEP, reason=INVALID_PORT)
        return PortRequest(text, container, number)
    if not NAME.fullmatch(port):
        rule = "a port's name has at most 15 lower-case letters, digits and hyphens, and a letter among them"
        raise wrong(KEY, shown(text), rule, _STEP, reason=INVALID_PORT)
    return PortRequest(text, container, port)
