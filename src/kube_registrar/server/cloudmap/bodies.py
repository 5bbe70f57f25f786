"""How much of bodies that are not whole may be there at once, over all connections.

Nobody has verified them yet: a signature covers the body, so whoever knows the id of a key, which is no secret, may
send one. What comes whole, with its head, takes no room for longer than its answer takes.
"""

from typing import Final

MOST: Final = 64 * 1024 * 1024
"""Octets: an eighth of the memory that the chart allows."""


class Bodies:
    """Counts the octets of one server's bodies that are not whole."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.held = 0

    def take(self, octets: int) -> bool:
        """Count octets that have come; False, and nothing is counted, where they are too many."""
        if self.held + octets > self._most:
            return False
        self.held += octets
        return True

    def give_back(self, octets: int) -> None:
        """Count octets no more: their body is whole, or nobody's."""
        self.held -= octets
