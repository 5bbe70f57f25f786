"""Tells the pods that wait for a registry which does not answer: each once an outage, and not too many of them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from kube_registrar.model.instances import Registration
from kube_registrar.model.refs import RegistryName, Uid
from kube_registrar.sync.reporting import Reporter

MOST_TOLD = 100
"""So many pods are told of one outage; the others are counted in a log line at its end."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outage:
    """The pods that wait for one registry, as far as they were told or counted."""

    registry: RegistryName
    reporter: Reporter
    _told: set[Uid] = field(default_factory=set)
    _untold: set[Uid] = field(default_factory=set)

    def waits(self, registrations: Iterable[Registration], error: str) -> None:
        """Tell the pods of registrations that cannot be made now, unless they were told."""
        for registration in registrations:
            uid = registration.origin.uid
            if uid in self._told:
                continue
            if len(self._told) >= MOST_TOLD:
                self._untold.add(uid)
                continue
            self._told.add(uid)
            self.reporter.unavailable(registration.origin, self.registry, error)

    def over(self) -> None:
        """Note that the registry answers again."""
        if self._untold:
            number = len(self._untold)
            _log.info("registry %s: %d more pods waited for it without an event that says so", self.registry, number)
        self._told.clear()
        self._untold.clear()
