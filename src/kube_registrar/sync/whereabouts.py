"""Which registry services hold instances of a pod: an index, so that a pod that goes is looked for nowhere else."""

from collections import Counter
from collections.abc import Iterable

from kube_registrar.model.refs import ServiceRef, Uid


class Whereabouts:
    """Counts the instances of each pod in each registry service of one registry."""

    def __init__(self) -> None:
        self.present: Counter[ServiceRef] = Counter()
        """How many instances each service holds."""
        self._counts: dict[Uid, dict[ServiceRef, int]] = {}

    def of(self, origin: Uid) -> frozenset[ServiceRef]:
        """Return the services that hold instances of a pod."""
        return frozenset(self._counts.get(origin, ()))

    def replace(self, service: ServiceRef, gone: Iterable[Uid], there: Iterable[Uid]) -> None:
        """Count one instance less for each UID in `gone`, and one more for each in `there`."""
        for origin in there:
            self.present[service] += 1
            counts = self._counts.setdefault(origin, {})
            counts[service] = counts.get(service, 0) + 1
        for origin in gone:
            self.present[service] -= 1
            counts = self._counts[origin]
            counts[service] -= 1
            if not counts[service]:
                del counts[service]
            if not counts:
                del self._counts[origin]
