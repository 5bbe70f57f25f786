"""One registration that a pod asks for, whichever annotation says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kube_registrar.declared import attributes, ports, references
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import field_of
from kube_registrar.declared.references import Reference
from kube_registrar.declared.templates import Template


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of an item are written, for messages: annotations, without the prefix, or members in one."""

    reference: str = references.KEY
    port: str = ports.KEY
    attributes: str = attributes.KEY

    def of(self, whose: str) -> "Places":
        """Return the same places of another object, such as `Service web`."""
        return Places(*(f"{field_of(place)} of {whose}" for place in (self.reference, self.port, self.attributes)))


@dataclass(frozen=True, slots=True)
class Item:
    """A registry service, and the port and attributes that are written for it alone; None and {}: none are."""

    reference: Reference
    port: PortRequest | None = None
    attributes: Mapping[str, Template] = field(default_factory=dict)
    places: Places = Places()
