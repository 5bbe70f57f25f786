"""What a registry allows of one instance, as far as what is wanted must know it before anything is sent."""

from dataclasses import dataclass

from kube_registrar.model.specs import NamespaceType, RecordType


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one registry; None: no limit. `sync` makes it of the registry's capabilities, field by field.

    The defaults are AWS Cloud Map's (RegisterInstance, and its quotas).
    """

    max_attributes: int | None = 30
    """Custom attributes (all but `AWS_*`) of one instance, ours included."""
    max_attribute_characters: int | None = 5_000
    """Keys and values of all attributes of one instance together, `AWS_*` included."""
    max_attribute_value: int | None = 1_024
    """Characters in one attribute value."""
    namespace_types: frozenset[NamespaceType] = frozenset(NamespaceType)
    record_types: frozenset[RecordType] = frozenset(RecordType)
    custom_health: bool = True
