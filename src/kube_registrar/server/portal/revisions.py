"""The revision of a registry service: a number that rises when an instance comes, goes or changes its attributes.

No registry's port tells one, so it is said of what was read: a list that differs from the one before has a new number.
Numbers begin with the time, so they rise over restarts too. What nobody asked for the revision of has none, which is 0:
whoever compares it with a later one discovers once more than needed, and never once too few.

Source: DiscoverInstances in the API reference. Health does not change a revision.
"""

from collections.abc import Sequence

from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.runtime.clock import Clock

UNKNOWN = 0
_MOST = 10_000
"""Services of which one is remembered."""


class Revisions:
    """The number of each service that was asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._known: dict[ServiceRef, tuple[int, int]] = {}

    def known(self, service: ServiceRef) -> int:
        """Return the number that was told last. What is discovered after this call is at least as new."""
        return self._known.get(service, (0, UNKNOWN))[1]

    def of(self, service: ServiceRef, instances: Sequence[Instance]) -> int:
        """Return the number of what was read."""
        content = hash(frozenset((each.id, frozenset(each.attributes.items())) for each in instances))
        before, number = self._known.get(service, (0, UNKNOWN))
        if number != UNKNOWN and before == content:
            return number
        if len(self._known) >= _MOST:
            self._known.clear()
        self._last = max(self._last + 1, int(self._clock.time() * 1000))
        self._known[service] = (content, self._last)
        return self._last
