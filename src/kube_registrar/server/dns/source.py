"""What DNS needs of a registry. Whoever follows is told what changed, and looks then: so it knows nothing stale."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from kube_registrar.model.zones import PublishedService, Target, Zone


class Audience(Protocol):
    """Who is told of a change once it is visible, in the event loop. Nothing that it does may fail or wait."""

    def namespace_changed(self, namespace_id: str) -> None:
        """A registry namespace was made, changed or removed."""

    def service_changed(self, service_id: str) -> None:
        """A registry service was made, changed or removed."""

    def instance_changed(self, service_id: str, instance_id: str) -> None:
        """An instance was registered, changed or deregistered, or its health is another one."""


class ZoneSource(Protocol):
    """The zones of a registry as they are now. Ids are the registry's own; what is not published in DNS is None."""

    def zone_ids(self) -> Iterable[str]:
        """Return all zones, the oldest first."""
        ...

    def service_ids(self) -> Iterable[str]:
        """Return all services that have DNS records."""
        ...

    def zone(self, zone_id: str) -> Zone | None:
        """Return a zone."""

    def service(self, service_id: str) -> PublishedService | None:
        """Return a service that has DNS records."""

    def targets(self, service_id: str) -> Iterable[Target]:
        """Return the instances of a service."""
        ...

    def target(self, service_id: str, instance_id: str) -> Target | None:
        """Return an instance."""

    def follow(self, audience: Audience) -> None:
        """Tell `audience` of every change from now on."""


@runtime_checkable
class Publisher(Protocol):
    """A registry that has zones."""

    @property
    def zones(self) -> ZoneSource:
        """Its zones."""
        ...
