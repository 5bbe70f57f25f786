"""Which changes in etcd are our own: a watch tells them like anybody's, and nobody need look again for them."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kube_registrar.model.refs import ServiceRef

_MOST: Final = 10_000
"""So many revisions of ours are remembered: far more than a watch is behind."""


class Tracks:
    """Remembers the revisions that our writes made, and which services are being written."""

    def __init__(self) -> None:
        self._made: OrderedDict[int, None] = OrderedDict()
        self._writing: dict[ServiceRef, set[asyncio.Event]] = {}

    @contextmanager
    def writing(self, service: ServiceRef) -> Iterator[None]:
        """Say that a write of this service is under way: its revision is not known before its answer."""
        ended = asyncio.Event()
        self._writing.setdefault(service, set()).add(ended)
        try:
            yield
        finally:
            ended.set()
            self._writing[service].discard(ended)
            if not self._writing[service]:
                del self._writing[service]

    def made(self, revision: int) -> None:
        """Remember a revision as ours."""
        self._made[revision] = None
        if len(self._made) > _MOST:
            self._made.popitem(last=False)

    async def is_own(self, service: ServiceRef, revision: int) -> bool:
        """Whether we made this revision; waits for what is under way just now, which may have."""
        for ended in tuple(self._writing.get(service, ())):
            if revision in self._made:
                break
            await ended.wait()
        return revision in self._made
