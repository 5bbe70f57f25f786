"""The contract of `discover`: what a client of the registry would see."""

import pytest

from kube_registrar.model.errors import NotFound
from kube_registrar.model.instances import HealthFilter, Query
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.testing.contract.base import Base, attributes_of, by_id, deregister, must, register


class DiscoveryContract(Base):
    """Queries over instances that differ in their attributes."""

    @pytest.fixture
    async def stages(self, registry: Registry, service: ServiceRef) -> ServiceRef:
        """Give a service of four instances in two stages and versions."""
        await must(
            registry,
            service,
            register("a", {"stage": "dev", "version": "1"}),
            register("b", {"stage": "dev", "version": "2"}),
            register("c", {"stage": "prod", "version": "1"}),
            register("d"),
        )
        return service

    async def test_without_parameters_all_are_found(self, registry: Registry, stages: ServiceRef) -> None:
        """With their attributes."""
        found = by_id(await registry.discover(Query(stages)))
        assert set(found) == {"a", "b", "c", "d"}
        assert found["a"] == attributes_of(register("a", {"stage": "dev", "version": "1"}))

    async def test_parameters_are_all_asked_for(self, registry: Registry, stages: ServiceRef) -> None:
        """Keys and values, exactly."""
        for parameters, expected in (
            ({"stage": "dev"}, {"a", "b"}),
            ({"stage": "dev", "version": "1"}, {"a"}),
            ({"stage": "prod", "version": "2"}, set()),
            ({"stage": "de"}, set()),
            ({"stage": "DEV"}, set()),
            ({"unknown": "dev"}, set()),
            ({"AWS_INSTANCE_PORT": "8080"}, {"a", "b", "c", "d"}),
        ):
            assert set(by_id(await registry.discover(Query(stages, parameters)))) == expected, parameters

    async def test_optional_parameters_count_if_something_matches(self, registry: Registry, stages: ServiceRef) -> None:
        """Else they are as if not given."""
        for optional, expected in (({"version": "1"}, {"a"}), ({"version": "3"}, {"a", "b"})):
            query = Query(stages, {"stage": "dev"}, optional)
            assert set(by_id(await registry.discover(query))) == expected, optional

    async def test_no_more_come_than_are_asked_for(self, registry: Registry, stages: ServiceRef) -> None:
        """Some of those that match."""
        found = by_id(await registry.discover(Query(stages, {"stage": "dev"}, max_results=1)))
        assert len(found) == 1
        assert set(found) <= {"a", "b"}

    async def test_what_was_deregistered_is_not_found(self, registry: Registry, stages: ServiceRef) -> None:
        """As soon as the outcome is there."""
        await must(registry, stages, deregister("a"))
        assert set(by_id(await registry.discover(Query(stages, health=HealthFilter.ALL)))) == {"b", "c", "d"}

    async def test_a_service_that_is_not_there_is_not_found(self, registry: Registry, namespace: NamespaceRef) -> None:
        """Nor is a namespace."""
        nowhere = NamespaceRef(registry.name, f"not-{namespace.name}")
        for service in (ServiceRef(namespace, "nothing"), ServiceRef(nowhere, "nothing")):
            with pytest.raises(NotFound):
                await registry.discover(Query(service))
