"""The zones of any registry are a view that is kept: what changes is told, and an outage leaves what was known."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from kube_registrar.model.errors import Unreachable
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.model.specs import NamespaceType
from kube_registrar.model.zones import Zone
from kube_registrar.registries.port import Capabilities
from kube_registrar.runtime.tasks import running_beside
from kube_registrar.server.portal.zones import POLL_SECONDS, Zones
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import LIKE_CLOUD_MAP, FakeRegistry
from kube_registrar.testing.faults import Op

NO_DNS = replace(LIKE_CLOUD_MAP, record_types=frozenset(), namespace_types=frozenset({NamespaceType.HTTP}))
WATCHED = replace(NO_DNS, watches=True)
WEB = builders.service_ref("shop.example/web")
WEB_ID = str(WEB)


class Heard:
    """An audience that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []

    def namespace_changed(self, namespace_id: str) -> None:
        self.said.append(("namespace", namespace_id))

    def service_changed(self, service_id: str) -> None:
        self.said.append(("service", service_id))

    def instance_changed(self, service_id: str, instance_id: str) -> None:
        self.said.append(("instance", service_id, instance_id))


class Ground:
    def __init__(self, capabilities: Capabilities) -> None:
        self.clock = FakeClock()
        self.fake = FakeRegistry(clock=self.clock, capabilities=capabilities)
        self.zones = Zones(self.fake, self.clock)
        self.heard = Heard()
        self.zones.follow(self.heard)

    def filled(self) -> "Ground":
        self.fake.add(builders.namespace_spec("shop.example"))
        self.fake.add(builders.service_spec("shop.example/web"))
        self.fake.put(WEB, builders.instance("a"))
        return self

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        async with running_beside("zones", self.zones.run()):
            await self.clock.settle()
            yield

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.clock.run_until(holds, within=2 * POLL_SECONDS)

    def ids(self) -> set[str]:
        return {target.id for target in self.zones.targets(WEB_ID)}


async def test_a_registry_that_knows_no_dns_is_published_with_addresses_and_ports() -> None:
    ground = Ground(NO_DNS).filled()
    ground.fake.add(builders.namespace_spec("no domain!"))
    ground.fake.add(builders.namespace_spec("a..b"))
    async with ground.kept():
        assert ground.zones.zone("shop.example") == Zone("shop.example", "shop.example")
        assert list(ground.zones.zone_ids()) == ["shop.example", "no domain!"]
        service = ground.zones.service(WEB_ID)
        assert service is not None
        assert service.records == (("A", 5), ("AAAA", 5), ("SRV", 5))
        target = ground.zones.target(WEB_ID, "a")
        assert target is not None
        assert (target.ipv4, target.port, target.healthy) == ("10.0.0.1", 8080, True)
        assert ground.heard.said == [
            ("namespace", "shop.example"),
            ("namespace", "no domain!"),
            ("service", WEB_ID),
            ("instance", WEB_ID, "a"),
        ]


async def test_a_registry_that_knows_dns_is_published_as_it_says() -> None:
    ground = Ground(LIKE_CLOUD_MAP)
    ground.fake.add(builders.namespace_spec("http.example"))
    ground.fake.add(builders.service_spec("http.example/web"))
    ground.fake.add(builders.namespace_spec("shop.example", type=NamespaceType.DNS_PUBLIC, soa_ttl_seconds=7))
    ground.fake.add(builders.service_spec("shop.example/web", records="A", ttl_seconds=9))
    ground.fake.add(builders.service_spec("shop.example/by-api"))
    async with ground.kept():
        assert list(ground.zones.zone_ids()) == ["shop.example"]
        assert ground.zones.zone("shop.example") == Zone("shop.example", "shop.example", 7)
        assert list(ground.zones.service_ids()) == [WEB_ID]
        service = ground.zones.service(WEB_ID)
        assert service is not None
        assert service.records == (("A", 9),)


async def test_a_change_is_seen_with_the_next_poll_and_told_alone() -> None:
    ground = Ground(NO_DNS).filled()
    async with ground.kept():
        ground.heard.said.clear()
        ground.fake.put(WEB, builders.instance("b"))
        ground.fake.put(WEB, builders.instance("a", health=Health.UNHEALTHY))
        await ground.until(lambda: ground.ids() == {"a", "b"})
        assert sorted(ground.heard.said) == [("instance", WEB_ID, "a"), ("instance", WEB_ID, "b")]
        target = ground.zones.target(WEB_ID, "a")
        assert target is not None
        assert not target.healthy


async def test_a_registry_that_watches_is_seen_at_once_and_only_where_it_hints() -> None:
    ground = Ground(WATCHED).filled()
    async with ground.kept():
        ground.fake.calls.clear()
        began = ground.clock.monotonic()
        ground.fake.put(WEB, builders.instance("b"))
        await ground.clock.settle()
        assert ground.ids() == {"a", "b"}
        ground.fake.drop(WEB, InstanceId("a"))
        await ground.clock.settle()
        assert ground.ids() == {"b"}
        assert ground.clock.monotonic() == began
        assert ground.fake.asked(Op.FIND) == []
        new = ServiceRef(NamespaceRef(WEB.namespace.registry, "shop.example"), "new")
        ground.fake.add(builders.service_spec("shop.example/new"))
        ground.fake.put(new, builders.instance("c"))
        await ground.clock.settle()
        assert {target.id for target in ground.zones.targets(str(new))} == {"c"}


async def test_what_is_removed_goes_inside_first() -> None:
    ground = Ground(NO_DNS).filled()
    async with ground.kept():
        ground.heard.said.clear()
        ground.fake.drop(WEB, InstanceId("a"))
        await ground.fake.remove(WEB)
        await ground.fake.remove(WEB.namespace)
        await ground.until(lambda: not list(ground.zones.zone_ids()))
        assert ground.heard.said == [("service", WEB_ID), ("namespace", "shop.example")]
        assert ground.zones.service(WEB_ID) is None
        assert list(ground.zones.targets(WEB_ID)) == []


async def test_an_outage_leaves_what_was_known_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ground = Ground(NO_DNS).filled()
    async with ground.kept():
        ground.fake.faults.fail(Op.FIND, Unreachable("it is away"), times=None)
        await ground.clock.advance(3 * POLL_SECONDS)
        assert ground.ids() == {"a"}
        said = [each for each in caplog.messages if "goes on with what it knew last" in each]
        assert said == ["DNS goes on with what it knew last of registry default: it is away"]
        ground.fake.faults.heal()
        ground.fake.put(WEB, builders.instance("b"))
        await ground.until(lambda: ground.ids() == {"a", "b"})


async def test_a_registry_that_is_away_at_first_is_published_when_it_comes() -> None:
    ground = Ground(WATCHED).filled()
    ground.fake.faults.fail(Op.FIND, Unreachable("it is away"), times=1)
    async with ground.kept():
        assert list(ground.zones.zone_ids()) == []
        await ground.until(lambda: ground.ids() == {"a"})
