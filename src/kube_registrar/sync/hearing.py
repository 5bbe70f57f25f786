"""Which kinds have been told in full: nothing is done before all of them are, for an empty cache is no evidence."""

import asyncio
from collections.abc import Set as AbstractSet

KINDS = frozenset({"Namespace", "RegistryNamespace", "RegistryService", "Service", "EndpointSlice", "Pod"})
"""The kinds that must have been read in full before anything is done."""


class Hearing:
    """Hears of every kind that is complete."""

    def __init__(self) -> None:
        self.all = asyncio.Event()
        """Set once every kind of KINDS is."""
        self._heard: set[str] = set()
        self._waiting: list[tuple[AbstractSet[str], asyncio.Event]] = []

    @property
    def missing(self) -> frozenset[str]:
        """The kinds that have not been told in full yet."""
        return KINDS - self._heard

    def synced(self, kind: str) -> bool:
        """Note that everything of a kind has been told once; return whether that was the last one missing."""
        self._heard.add(kind)
        for waiting in [one for one in self._waiting if one[0] <= self._heard]:
            waiting[1].set()
            self._waiting.remove(waiting)
        was_missing = not self.all.is_set()
        if not self.missing:
            self.all.set()
        return was_missing and self.all.is_set()

    async def of(self, kinds: AbstractSet[str]) -> None:
        """Return once all of these kinds have been told in full."""
        if not kinds <= self._heard:
            event = asyncio.Event()
            self._waiting.append((kinds, event))
            await event.wait()
