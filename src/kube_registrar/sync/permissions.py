"""What a registry does not let us do: told once in the log, and kept for a condition until it is let."""

import logging
from dataclasses import dataclass, field

from kube_registrar.model.errors import Forbidden, RegistryError
from kube_registrar.model.refs import RegistryName

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Permissions:
    """Of one registry, by what was asked of it: a request of the port, or a kind of change."""

    registry: RegistryName
    _missing: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> str:
        """What was not allowed when it was last tried, the first of it; empty when all that was tried is allowed."""
        return next(iter(self._missing.values()), "")

    def ended(self, asked: str, error: RegistryError | None) -> None:
        """Take in the end of a request. Other errors than Forbidden prove nothing."""
        if isinstance(error, Forbidden):
            if asked not in self._missing:
                # Kept as it is until it is let: a condition that names another instance each time says no more.
                self._missing[asked] = str(error)
                _log.warning("registry %s lacks a permission; it is tried again by itself: %s", self.registry, error)
        elif error is None and self._missing.pop(asked, ""):
            _log.info("registry %s allows %s again", self.registry, asked)
