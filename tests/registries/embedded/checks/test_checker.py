"""When instances are checked, how many at once, and what comes of the results. Network and time are fakes."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.instances import Health, HealthFilter, Query
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.registries.embedded import opening
from kube_registrar.registries.embedded.checks.checker import CONCURRENT, Checker
from kube_registrar.registries.embedded.checks.endpoints import Endpoint
from kube_registrar.registries.embedded.checks.probing import NoVerdictError
from kube_registrar.registries.embedded.history import transitions
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.testing.clock import FakeClock

SERVICE = ServiceRef(NamespaceRef(DEFAULT_REGISTRY, "test-namespace"), "flask-app")
NAMES = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}
INTERVAL = 30.0
LONGEST = INTERVAL * 1.1


class Network:
    """What is found at each address, and what was asked for when; `seconds` is how long an answer takes."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sick: dict[str, str] = {}
        self.seconds = 0.0
        self.shortage = ""
        self.running = self.most = 0
        self.asked: list[tuple[float, Endpoint]] = []

    async def probe(self, endpoint: Endpoint) -> str:
        self.asked.append((self.clock.monotonic(), endpoint))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.seconds:
                await self.clock.sleep(self.seconds)
        finally:
            self.running -= 1
        if self.shortage:
            raise NoVerdictError(self.shortage)
        return self.sick.get(endpoint.address, "")

    def times(self, address: str) -> list[float]:
        return [when for when, endpoint in self.asked if endpoint.address == address]


class Place:
    """An open registry with a service whose instances are checked."""

    def __init__(self, registry: EmbeddedRegistry, clock: FakeClock) -> None:
        self.registry = registry
        self.clock = clock
        self.service = next(iter(registry._core.state.services), "")

    async def call(self, operation: str, **members: Any) -> Any:
        return await self.registry.execute(operation, members)

    async def make(self, **check: Any) -> None:
        await self.call("CreateHttpNamespace", Name="test-namespace")
        parent = (await self.call("ListNamespaces"))["Namespaces"][0]["Id"]
        config = {"Type": "HTTP", **check}
        made = await self.call("CreateService", Name="flask-app", NamespaceId=parent, HealthCheckConfig=config)
        self.service = made["Service"]["Id"]

    async def register(self, name: str, address: str, **attributes: str) -> None:
        wanted = {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": "80", **attributes}
        await self.call("RegisterInstance", ServiceId=self.service, InstanceId=name, Attributes=wanted)

    async def pass_(self, seconds: float) -> None:
        """Let time pass; what was found is written by a thread, so an own write stands behind each step."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            await self.clock.advance(min(left, 1.0))
            await self.call("TagResource", ResourceARN=self.arn, Tags=[])

    @property
    def arn(self) -> str:
        return f"arn:aws:servicediscovery:us-east-1:000000000000:service/{self.service}"

    async def statuses(self) -> dict[str, str]:
        found: dict[str, str] = (await self.call("GetInstancesHealthStatus", ServiceId=self.service))["Status"]
        return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def network(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Network:
    """Give the network that every registry of the test has."""
    network = Network(clock)
    monkeypatch.setattr(opening, "Checker", partial(Checker, probe=network.probe))
    return network


Opened = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock, network: Network) -> Opened:
    @asynccontextmanager
    async def opened(**options: object) -> AsyncIterator[Place]:
        config = {"data": tmp_path, "simulate": "seed=1", **options}
        async with opening.open_registry(config, DEFAULT_REGISTRY, clock) as registry:
            yield Place(registry, clock)

    return opened


async def fill(place: Place, count: int) -> None:
    await asyncio.gather(*(place.register(f"i-{number}", address(number)) for number in range(count)))


def address(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250 + 1}"


@pytest.mark.parametrize("comes", ["at once", "with a start"])
async def test_a_thousand_instances_are_checked_without_a_storm(opened: Opened, network: Network, comes: str) -> None:
    async with opened(checkIntervalSeconds=INTERVAL) as place:
        await place.make()
        await fill(place, 1000)
        if comes == "at once":
            await place.pass_(3 * INTERVAL)
    if comes == "with a start":
        async with opened(checkIntervalSeconds=INTERVAL) as place:
            await place.pass_(3 * INTERVAL)
    begun = network.clock.monotonic() - 3 * INTERVAL
    first = {address(number): network.times(address(number))[0] - begun for number in range(1000)}
    assert max(first.values()) <= INTERVAL
    in_a_second = Counter(int(when) for when, _ in network.asked)
    assert max(in_a_second.values()) < 100, "33 on average"
    drawn = set()
    for number in range(1000):
        times = network.times(address(number))
        pauses = [after - before for before, after in pairwise(times)]
        assert 2 <= len(times) <= 4
        assert all(INTERVAL * 0.9 <= pause <= LONGEST for pause in pauses)
        drawn |= set(pauses)
    assert len(drawn) > 1000, "each is drawn anew"


async def test_no_more_run_at_once_than_may_and_the_others_have_their_turn(opened: Opened, network: Network) -> None:
    network.seconds = 10.0
    async with opened() as place:
        await place.make()
        await fill(place, 1000)
        await place.pass_(INTERVAL)
        assert (network.most, network.running) == (CONCURRENT, CONCURRENT)
        await place.pass_(1000 / CONCURRENT * 10)
        assert network.most == CONCURRENT
        assert len({endpoint.address for _, endpoint in network.asked}) == 1000


async def test_a_status_changes_after_as_many_results_in_a_row_as_the_threshold(
    opened: Opened, network: Network
) -> None:
    async with opened() as place:
        await place.make(FailureThreshold=3)
        network.sick["10.0.0.1"] = "the status 503"
        await place.register("a", "10.0.0.1")
        await place.register("b", "10.0.0.2")
        seen = []
        for count in range(1, 4):
            while len(network.times("10.0.0.1")) < count:
                await place.pass_(1)
            seen.append((await place.statuses())["a"])
        assert seen == ["HEALTHY", "HEALTHY", "UNHEALTHY"]
        del network.sick["10.0.0.1"]
        for count in range(4, 6):
            while len(network.times("10.0.0.1")) < count:
                await place.pass_(1)
            assert (await place.statuses())["a"] == "UNHEALTHY"
        network.sick["10.0.0.1"] = "the status 503"
        while len(network.times("10.0.0.1")) < 6:
            await place.pass_(1)
        del network.sick["10.0.0.1"]
        for count in range(7, 9):
            while len(network.times("10.0.0.1")) < count:
                await place.pass_(1)
            assert (await place.statuses())["a"] == "UNHEALTHY", "the row was broken"
        await place.pass_(LONGEST)
        assert await place.statuses() == {"a": "HEALTHY", "b": "HEALTHY"}
        made = place.registry.checks_made()
        assert made["failed"] == 4
        assert sum(made.values()) == len(network.asked)


async def test_a_check_that_could_not_be_made_says_nothing_of_the_instance(
    opened: Opened, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither for it nor against it: a row of results goes on where it was."""
    async with opened() as place:
        await place.make(FailureThreshold=2)
        for number in (1, 2):
            await place.register(str(number), f"10.0.0.{number}")
        network.sick["10.0.0.1"] = "no connection"
        while not network.times("10.0.0.1"):
            await place.pass_(1)
        network.shortage = "Too many open files"
        await place.pass_(3 * LONGEST)
        assert await place.statuses() == {"1": "HEALTHY", "2": "HEALTHY"}
        undecided = place.registry.checks_made()["undecided"]
        assert undecided >= 4
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert 1 <= len(said) <= 2, "once a minute"
        assert said[0].startswith("health checks cannot be made (Too many open files), and the statuses stay")
        network.shortage = ""
        await place.pass_(LONGEST)
        assert await place.statuses() == {"1": "UNHEALTHY", "2": "HEALTHY"}
        assert place.registry.checks_made()["undecided"] == undecided


async def test_health_is_seen_wherever_it_is_asked_for(opened: Opened, network: Network) -> None:
    async with opened() as place:
        await place.make()
        network.sick["10.0.0.1"] = "no connection"
        await place.register("a", "10.0.0.1")
        await place.register("b", "10.0.0.2")
        revision = await place.call("DiscoverInstancesRevision", **NAMES)
        assert await place.statuses() == {"a": "HEALTHY", "b": "HEALTHY"}, "healthy until there is data"
        await place.pass_(INTERVAL)
        assert await place.statuses() == {"a": "UNHEALTHY", "b": "HEALTHY"}
        for health, ids in (("HEALTHY", ["b"]), ("UNHEALTHY", ["a"]), ("HEALTHY_OR_ELSE_ALL", ["b"])):
            found = (await place.call("DiscoverInstances", **NAMES, HealthStatus=health))["Instances"]
            assert [each["InstanceId"] for each in found] == ids
            port = await place.registry.discover(Query(SERVICE, health=HealthFilter(health)))
            assert [each.id for each in port] == ids
        listed = {each.id: each.health for each in await place.registry.instances(SERVICE)}
        assert listed == {"a": Health.UNHEALTHY, "b": Health.HEALTHY}
        assert await place.call("DiscoverInstancesRevision", **NAMES) == revision


async def test_changes_are_in_the_history_and_told(opened: Opened, network: Network, tmp_path: Path) -> None:
    told = []

    class Follower:
        def namespace_changed(self, namespace_id: str) -> None: ...

        def service_changed(self, service_id: str) -> None: ...

        def instance_changed(self, service_id: str, instance_id: str) -> None:
            told.append((service_id, instance_id))

    async with opened() as place:
        await place.make()
        network.sick["10.0.0.1"] = "the status 500"
        await place.register("a", "10.0.0.1")
        place.registry._core.state.followers.append(Follower())
        await place.pass_(2 * LONGEST)
        assert told == [(place.service, "a")], "once, though it was checked more than once"
        del network.sick["10.0.0.1"]
        await place.pass_(LONGEST)
        assert len(told) == 2
    first, second = transitions(tmp_path)
    assert (first.service, first.instance_id, first.health, first.reason) == (
        "test-namespace/flask-app",
        "a",
        "UNHEALTHY",
        "the status 500",
    )
    assert (second.health, second.reason) == ("HEALTHY", "the check succeeded")
    assert first.at < second.at


async def test_a_registration_begins_anew(opened: Opened, network: Network) -> None:
    async with opened() as place:
        await place.make(FailureThreshold=2)
        network.sick["10.0.0.1"] = "no connection"
        await place.register("a", "10.0.0.1")
        await place.pass_(2 * LONGEST)
        assert await place.statuses() == {"a": "UNHEALTHY"}
        await place.register("a", "10.0.0.1")
        assert await place.statuses() == {"a": "HEALTHY"}
        seen = len(network.asked)
        while len(network.asked) == seen:
            await place.pass_(1)
        assert await place.statuses() == {"a": "HEALTHY"}, "one result is no row of two"
        await place.pass_(LONGEST)
        assert await place.statuses() == {"a": "UNHEALTHY"}


async def test_what_was_registered_anew_is_not_what_was_checked(opened: Opened, network: Network) -> None:
    """The result of the check of an instance that is gone says nothing of its successor."""
    network.seconds = 5.0
    network.sick["10.0.0.1"] = "no connection"
    async with opened() as place:
        await place.make()
        await place.register("a", "10.0.0.1")
        while not network.running:
            await place.pass_(1)
        await place.register("a", "10.0.0.2")
        await place.pass_(6)
        assert network.running == 0 or network.asked[-1][1].address == "10.0.0.2"
        assert await place.statuses() == {"a": "HEALTHY"}


async def test_a_status_outlives_the_process_and_is_checked_on(opened: Opened, network: Network) -> None:
    network.sick["10.0.0.1"] = "no connection"
    async with opened() as place:
        await place.make()
        await place.register("a", "10.0.0.1")
        await place.pass_(INTERVAL)
    async with opened() as place:
        assert await place.statuses() == {"a": "UNHEALTHY"}
        del network.sick["10.0.0.1"]
        await place.pass_(INTERVAL)
        assert await place.statuses() == {"a": "HEALTHY"}


async def test_what_is_deregistered_is_not_checked_any_more(opened: Opened, network: Network) -> None:
    async with opened() as place:
        await place.make()
        await place.register("a", "10.0.0.1")
        await place.pass_(INTERVAL)
        await place.call("DeregisterInstance", ServiceId=place.service, InstanceId="a")
        seen = len(network.asked)
        await place.pass_(3 * INTERVAL)
        assert len(network.asked) == seen


async def test_a_check_that_is_deleted_and_added_again_knows_nothing(opened: Opened, network: Network) -> None:
    async with opened() as place:
        await place.call("CreatePublicDnsNamespace", Name="example.org")
        parent = (await place.call("ListNamespaces"))["Namespaces"][0]["Id"]
        dns = {"DnsRecords": [{"Type": "A", "TTL": 5}]}
        check = {"HealthCheckConfig": {"Type": "HTTPS", "ResourcePath": "up it is"}}
        made = await place.call("CreateService", Name="web", NamespaceId=parent, DnsConfig=dns, **check)
        place.service = made["Service"]["Id"]
        network.sick["10.0.0.1"] = "no connection"
        await place.register("a", "10.0.0.1", AWS_INSTANCE_PORT="443")
        await place.pass_(INTERVAL)
        assert await place.statuses() == {"a": "UNHEALTHY"}
        [asked] = {endpoint for _, endpoint in network.asked}
        assert (asked, asked.host) == (
            Endpoint("HTTPS", "10.0.0.1", 443, "/up%20it%20is", "web.example.org"),
            "web.example.org",
        )
        await place.call("UpdateService", Id=place.service, Service={"DnsConfig": dns})
        assert await place.statuses() == {"a": "UNKNOWN"}
        seen = len(network.asked)
        await place.pass_(2 * INTERVAL)
        assert len(network.asked) == seen
        await place.call("UpdateService", Id=place.service, Service={"DnsConfig": dns, **check})
        assert await place.statuses() == {"a": "HEALTHY"}
    async with opened() as place:
        assert await place.statuses() == {"a": "HEALTHY"}, "on the disk as well"
        await place.pass_(INTERVAL)
        assert await place.statuses() == {"a": "UNHEALTHY"}


async def test_what_may_not_be_checked_any_more_stays_as_it_is_and_is_said(
    opened: Opened, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(checkAddresses=["127.0.0.0/8"]) as place:
        await place.make()
        network.sick["127.0.0.1"] = "no connection"
        await place.register("a", "127.0.0.1")
        await place.pass_(INTERVAL)
    seen = len(network.asked)
    with caplog.at_level(logging.WARNING):
        async with opened() as place:
            await place.pass_(3 * INTERVAL)
            assert await place.statuses() == {"a": "UNHEALTHY"}
    assert len(network.asked) == seen
    assert caplog.messages == [
        (
            "instance a of test-namespace/flask-app is not checked: 127.0.0.1 is a loopback address, which is checked "
            "only where checkAddresses has a range of such addresses"
        )
    ]


async def test_the_address_of_a_dual_stack_instance_is_the_ipv4_one_and_a_mapped_one_is_ipv4(
    opened: Opened, network: Network
) -> None:
    async with opened() as place:
        await place.make()
        await place.register("a", "10.0.0.1", AWS_INSTANCE_IPV6="2001:db8::1")
        for name, ipv6 in (("b", "2001:db8::2"), ("c", "::ffff:10.0.0.3")):
            attributes = {"AWS_INSTANCE_IPV6": ipv6, "AWS_INSTANCE_PORT": "80"}
            await place.call("RegisterInstance", ServiceId=place.service, InstanceId=name, Attributes=attributes)
        await place.pass_(INTERVAL)
        assert {endpoint.host for _, endpoint in network.asked} == {"10.0.0.1", "[2001:db8::2]", "10.0.0.3"}


async def test_a_bug_in_one_check_leaves_the_others_and_itself_alive(
    opened: Opened, network: Network, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as place:
        await place.make()
        await place.register("a", "10.0.0.1")
        await place.register("b", "10.0.0.2")
        monkeypatch.delattr(network, "sick")
        await place.pass_(LONGEST)
        monkeypatch.setattr(network, "sick", {"10.0.0.1": "no connection"}, raising=False)
        await place.pass_(LONGEST)
        assert await place.statuses() == {"a": "UNHEALTHY", "b": "HEALTHY"}
    assert "a health check failed; this is a bug" in caplog.messages


async def test_registering_over_and_over_leaves_nothing_behind(opened: Opened, network: Network) -> None:
    async with opened() as place:
        await place.make()
        for number in range(500):
            await place.register("a", "10.0.0.1", number=str(number))
        checker = next(each for each in place.registry._core.state.followers if isinstance(each, Checker))
        assert len(checker._due) < 100
        await place.pass_(INTERVAL)
        assert 1 <= len(network.times("10.0.0.1")) <= 2
