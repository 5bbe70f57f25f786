"""Which registry services hold instances of a pod: an index, so that a pod that goes is looked for nowhere else."""

from collections import Counter
from collections.abc import Iterable

from kube_registrar.model.refs import ServiceRef, Uid


class Whereabouts:
    """Counts the instances of each pod in each registry service of one registry."""

    def __init__(self) -> None:
        self.present: Counter[ServiceRef] = Counter()
        """How many instances each service holds."""
        self._of: dict[Uid, tuple[ServiceRef, ...]] = {}
        """The service of each instance of a pod. Nearly all have one: a counter each would be four times as large."""

    def of(self, origin: Uid) -> frozenset[ServiceRef]:
        """Return the services that hold instances of a pod."""
        return frozenset(self._of.get(origin, ()))

    def replace(self, service: ServiceRef, gone: Iterable[Uid], there: Iterable[Uid]) -> None:
        """Count one instance less for each UID in `gone`, and one more for each in `there`."""
        for origin in there:
            self.present[service] += 1
            self._of[origin] = (*self._of.get(origin, ()), service)
        for origin in gone:
            self.present[service] -= 1
            left = list(self._of[origin])
            left.remove(service)
            if left:
                self._of[origin] = tuple(left)
            else:
                del self._of[origin]
