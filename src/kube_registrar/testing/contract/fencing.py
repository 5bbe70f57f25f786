"""The contract of writes while another replica may lead."""

import pytest

from kube_registrar.model.errors import NotLeading
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract.base import (
    CREATOR,
    Base,
    apply,
    deregister,
    listed,
    must,
    register,
    service_spec,
    set_health,
)


class FencingContract(Base):
    """Writes ask the fence, and reads do not. Skipped where the subclass gives no fixture `fence`."""

    @pytest.fixture
    async def fence(self) -> Fence | None:
        """Give the fence that `registry` was opened with."""
        return None

    async def test_no_change_is_made_while_the_fence_is_closed(
        self, registry: Registry, service: ServiceRef, fence: Fence | None
    ) -> None:
        """It was not sent, and the outcome says so: nobody need look whether it was made."""
        moved = _given(fence)
        await must(registry, service, register("stays"))
        moved.close()
        changes = (register("comes"), deregister("stays"), set_health("stays-too", Health.HEALTHY))
        outcomes = await apply(registry, service, *changes)
        assert {type(outcome.error) for outcome in outcomes.values()} == {NotLeading}
        assert set(await listed(registry, service)) == {"stays"}

    async def test_nothing_is_made_or_removed_while_the_fence_is_closed(
        self, registry: Registry, service: ServiceRef, namespace: NamespaceRef, fence: Fence | None
    ) -> None:
        """Namespaces and services are written like instances."""
        moved = _given(fence)
        moved.close()
        with pytest.raises(NotLeading):
            await registry.ensure(service_spec(namespace), CREATOR)
        with pytest.raises(NotLeading):
            await registry.remove(service)
        assert [found.spec.ref for found in await registry.find(namespace)] == [service]

    async def test_what_was_refused_is_made_when_the_fence_is_open_again(
        self, registry: Registry, service: ServiceRef, fence: Fence | None
    ) -> None:
        """Leadership may come back in one process."""
        moved = _given(fence)
        moved.close()
        await apply(registry, service, register("comes"))
        moved.open_until(float("inf"))
        await must(registry, service, register("comes"))
        assert set(await listed(registry, service)) == {"comes"}


def _given(fence: Fence | None) -> Fence:
    if fence is None:
        pytest.skip("this registry was opened without a fence: give the fixture `fence`")
    return fence
