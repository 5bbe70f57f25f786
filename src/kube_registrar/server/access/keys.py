"""Access keys: who may ask, for what, and in which registry namespaces."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a key may do: each includes the one before it."""

    READ = "read"
    """Discover, Get and List."""
    WRITE = "write"
    """Instances: register, deregister, set their custom health."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key. `namespaces`: the names of the registry namespaces that it is limited to; None: it is not.

    The secret is in no text that is made of it.
    """

    id: str
    secret: str = field(repr=False)
    role: Role
    namespaces: frozenset[str] | None = None


class KeyRing:
    """The keys of now, by id. `replace` takes others at once: what is asked next is judged by these."""

    def __init__(self, keys: Iterable[AccessKey]) -> None:
        self.keys: Mapping[str, AccessKey] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[AccessKey]) -> None:
        """Use these instead."""
        self.keys = MappingProxyType({key.id: key for key in keys})
