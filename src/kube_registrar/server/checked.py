"""What metrics need of a registry that checks health by itself."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Checked(Protocol):
    """A registry that counts its health checks."""

    def checks_made(self) -> Mapping[str, int]:
        """Return how many ended how: `passed`, `failed` and `undecided`."""
        ...
