"""What of the state is published in DNS: namespaces with DNS, services with records, and their instances."""

from collections.abc import Iterator

from kube_registrar.model.zones import PublishedService, Target, Zone
from kube_registrar.registries.embedded import rendering
from kube_registrar.registries.embedded.state import HTTP, Follower, Instance, Service, State


class Publishing:
    """The state as zones. What is not published is None."""

    def __init__(self, state: State) -> None:
        self._state = state

    def zone_ids(self) -> list[str]:
        """Return all zones, the oldest first."""
        return [identifier for identifier in self._state.namespaces if self.zone(identifier)]

    def service_ids(self) -> list[str]:
        """Return all services that have DNS records."""
        return [identifier for identifier in self._state.services if self.service(identifier)]

    def zone(self, zone_id: str) -> Zone | None:
        """Return a zone."""
        namespace = self._state.namespaces.get(zone_id)
        if namespace is None or namespace.record.type == HTTP:
            return None
        return Zone(zone_id, namespace.record.name, namespace.record.soa_ttl)

    def service(self, service_id: str) -> PublishedService | None:
        """Return a service that has DNS records."""
        service = self._state.services.get(service_id)
        if service is None or not service.record.records:
            return None
        record = service.record
        return PublishedService(
            service_id, record.namespace_id, record.name, record.records, record.routing == "WEIGHTED"
        )

    def targets(self, service_id: str) -> Iterator[Target]:
        """Return the instances of a service."""
        service = self._state.services[service_id]
        return (_target(service, instance) for instance in service.instances.values())

    def target(self, service_id: str, instance_id: str) -> Target | None:
        """Return an instance."""
        service = self._state.services[service_id]
        instance = service.instances.get(instance_id)
        return None if instance is None else _target(service, instance)

    def follow(self, audience: Follower) -> None:
        """Tell `audience` of every change from now on."""
        self._state.followers.append(audience)


def _target(service: Service, instance: Instance) -> Target:
    """Whatever has no health check counts as healthy. An alias has no address that this registry knows."""
    attributes = instance.attributes
    return Target(
        id=instance.id,
        ipv4=attributes.get("AWS_INSTANCE_IPV4", ""),
        ipv6=attributes.get("AWS_INSTANCE_IPV6", ""),
        cname=attributes.get("AWS_INSTANCE_CNAME", ""),
        port=int(attributes.get("AWS_INSTANCE_PORT", 0)),
        healthy=rendering.health(service, instance) != "UNHEALTHY",
    )
