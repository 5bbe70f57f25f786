"""The contract of health: statuses that are set, and services without any."""

from collections.abc import Sequence
from functools import partial

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.errors import NotFound, Refused
from kube_registrar.model.instances import Health, HealthFilter, Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.testing.contract.base import Base, apply, by_id, must, register, set_health


class HealthContract(Base):
    """Custom health, where there is such a thing."""

    async def test_a_status_that_is_set_is_seen(self, registry: Registry, namespace: NamespaceRef) -> None:
        """By those who discover and by those who list."""
        service = await self.make_checked_service(registry, namespace)
        await must(registry, service, register("a"), register("b"))
        await self._shows(registry, service, healthy={"a", "b"}, unhealthy=set())
        await must(registry, service, set_health("a", Health.UNHEALTHY))
        await self._shows(registry, service, healthy={"b"}, unhealthy={"a"})
        await must(registry, service, set_health("a", Health.HEALTHY))
        await self._shows(registry, service, healthy={"a", "b"}, unhealthy=set())

    async def test_the_first_status_may_be_given(self, registry: Registry, namespace: NamespaceRef) -> None:
        """As an attribute, in Cloud Map's way."""
        service = await self.make_checked_service(registry, namespace)
        await must(registry, service, register("a", {INIT_HEALTH: "UNHEALTHY"}), register("b"))
        await self._shows(registry, service, healthy={"b"}, unhealthy={"a"})

    async def test_if_nothing_is_healthy_all_may_be_asked_for(
        self, registry: Registry, namespace: NamespaceRef
    ) -> None:
        """HEALTHY_OR_ELSE_ALL fails open."""
        service = await self.make_checked_service(registry, namespace)
        await must(registry, service, register("a", {INIT_HEALTH: "UNHEALTHY"}), register("b"))
        either = Query(service, health=HealthFilter.HEALTHY_OR_ELSE_ALL)
        assert set(by_id(await registry.discover(either))) == {"b"}
        await must(registry, service, set_health("b", Health.UNHEALTHY))
        await self._shows(registry, service, healthy=set(), unhealthy={"a", "b"})
        assert set(by_id(await registry.discover(either))) == {"a", "b"}

    async def test_a_status_needs_an_instance(self, registry: Registry, namespace: NamespaceRef) -> None:
        """NotFound, and its neighbour is set all the same."""
        service = await self.make_checked_service(registry, namespace)
        await must(registry, service, register("a"))
        outcomes = await apply(
            registry, service, set_health("none", Health.UNHEALTHY), set_health("a", Health.UNHEALTHY)
        )
        assert isinstance(outcomes[InstanceId("none")].error, NotFound)
        assert outcomes[InstanceId("a")].error is None

    async def test_a_status_needs_a_health_check(self, registry: Registry, service: ServiceRef) -> None:
        """Refused; the instance stays as it is, of unknown status, and is discovered under every filter."""
        await must(registry, service, register("a"))
        outcomes = await apply(registry, service, set_health("a", Health.UNHEALTHY))
        error = outcomes[InstanceId("a")].error
        assert isinstance(error, Refused)
        assert error.field
        assert error.rule
        assert [each.health for each in await registry.instances(service)] == [Health.UNKNOWN]
        for health in HealthFilter:
            [found] = await registry.discover(Query(service, health=health))
            assert (found.id, found.health) == ("a", Health.UNKNOWN)

    async def _shows(self, registry: Registry, service: ServiceRef, *, healthy: set[str], unhealthy: set[str]) -> None:
        for health, names in ((HealthFilter.HEALTHY, healthy), (HealthFilter.UNHEALTHY, unhealthy)):
            read = partial(registry.discover, Query(service, health=health))
            found = await self.eventually(read, partial(_are, names))
            assert {each.health for each in found} <= {Health(health)}
        both = {Health.HEALTHY: healthy, Health.UNHEALTHY: unhealthy}
        listed = await registry.instances(service)
        assert {status: {each.id for each in listed if each.health is status} for status in both} == both


def _are(names: set[str], found: Sequence[Instance]) -> bool:
    return {each.id for each in found} == names
