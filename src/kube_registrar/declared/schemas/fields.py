"""The words and limits of one field."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in CEL, and what is said where it does not hold.

    `message_expression`: CEL of what is said in its place, where it comes to a text that is not empty.
    """

    rule: str
    message: str
    message_expression: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """What `kubectl explain` says of a field, its limits as OpenAPI has them, and its rules."""

    description: str = ""
    limits: Mapping[str, object] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


Fields = Mapping[str, Field]
"""By path: `dns.records[].type`; `tags{}` are the values of a map; an empty path is the spec itself."""
