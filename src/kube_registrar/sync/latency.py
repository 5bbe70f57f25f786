"""How long pods wait for their registrations: from the moment one is wanted until the registry has confirmed it.

What is found registered already was not waited for, and a repair of what somebody else changed is no registration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from kube_registrar.model.instances import Registration
from kube_registrar.model.refs import InstanceId, RegistryName, ServiceRef
from kube_registrar.sources.wishes import Wish

Key = tuple[ServiceRef, InstanceId]


@dataclass(slots=True)
class Latency:
    """The registrations that are wanted and not confirmed yet, and since when (monotonic seconds)."""

    monotonic: Callable[[], float]
    observe: Callable[[RegistryName, float], None]
    _since: dict[ServiceRef, dict[InstanceId, float]] = field(default_factory=dict)

    def wished(self, before: Wish | None, after: Wish | None) -> None:
        """Take in that a pod wants something else than before; None: there is no such pod."""
        was, now = _keys(before), _keys(after)
        for service, instance_id in was - now:
            self._forget(service, instance_id)
        for service, instance_id in now - was:
            self._since.setdefault(service, {})[instance_id] = self.monotonic()

    def confirmed(self, service: ServiceRef, instance_id: InstanceId) -> None:
        """Take in that a registration of ours was confirmed."""
        since = self._forget(service, instance_id)
        if since is not None:
            self.observe(service.namespace.registry, self.monotonic() - since)

    def planned(self, service: ServiceRef, is_there: Callable[[InstanceId], bool]) -> None:
        """Take in a plan: what is there, and is not on its way out, was there before it was asked for."""
        for instance_id in [each for each in self._since.get(service, ()) if is_there(each)]:
            self._forget(service, instance_id)

    def _forget(self, service: ServiceRef, instance_id: InstanceId) -> float | None:
        waiting = self._since.get(service)
        if waiting is None:
            return None
        since = waiting.pop(instance_id, None)
        if not waiting:
            del self._since[service]
        return since


def _keys(wish: Wish | None) -> frozenset[Key]:
    registrations: tuple[Registration, ...] = tuple(wish.registrations) if wish else ()
    return frozenset((each.service, each.instance.id) for each in registrations if not each.optional)
