"""What was last known of each instance, by a number that rises with every write: a revision, or an index.

Whoever asks for a register has planned it on what was listed. If somebody else has written the instance since, the
register would replace what its author never saw; so it ends as a Conflict, and is planned anew on a new list.
"""

from collections.abc import Mapping

from kube_registrar.model.errors import Conflict
from kube_registrar.model.refs import InstanceId, ServiceRef


class Versions:
    """The numbers of the instances of services that were listed in full; 0: such an instance was not there."""

    def __init__(self) -> None:
        self._known: dict[ServiceRef, dict[InstanceId, int]] = {}

    def listed(self, service: ServiceRef, versions: Mapping[InstanceId, int], as_of: int) -> None:
        """Take in a whole list, as it was at this number. What we wrote since is newer."""
        before = self._known.get(service, {})
        since = {instance: version for instance, version in before.items() if version > as_of}
        self._known[service] = {**versions, **since}

    def wrote(self, service: ServiceRef, instance: InstanceId, version: int) -> None:
        """Note a write of our own; 0: it is gone. Of a service that was never listed nothing is noted."""
        known = self._known.get(service)
        if known is None:
            return
        if version:
            known[instance] = version
        else:
            known.pop(instance, None)

    def is_listed(self, service: ServiceRef) -> bool:
        """Whether the service was listed in full."""
        return service in self._known

    def of(self, service: ServiceRef, instance: InstanceId) -> int:
        """Return the number of an instance of a service that was listed."""
        return self._known.get(service, {}).get(instance, 0)

    def forget(self, service: ServiceRef) -> None:
        """Forget a service: it is gone, or another one."""
        self._known.pop(service, None)


def overtaken(about: str, found: object = None) -> Conflict:
    """Return the error of a register that somebody else was quicker than. `found`: what shows it."""
    return Conflict(f"{about}: somebody else has changed it meanwhile. It is looked at anew", found=found)
