"""The registry's own ways behind the port, beyond what the contract suite asks of every backend."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Conflict, NotFound, Refused, Retryable
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.model.specs import (
    CreationPolicy,
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    Route53Check,
    ServiceSpec,
)
from kube_registrar.registries.embedded import open_registry
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.registries.port import Found
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.contract.base import apply, deregister, register, set_health

NAMESPACE = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
SERVICE = ServiceRef(NAMESPACE, "flask-app")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def filled(folder: Path, clock: FakeClock) -> None:
    async with open_registry({"data": folder}, DEFAULT_REGISTRY, clock) as registry:
        await registry.ensure(NamespaceSpec(NAMESPACE), "me")
        await registry.ensure(ServiceSpec(SERVICE), "me")


@pytest.fixture
async def slow(tmp_path: Path, clock: FakeClock) -> AsyncIterator[EmbeddedRegistry]:
    """Give a registry in which each operation takes ten seconds, with a service that is there already."""
    await filled(tmp_path, clock)
    config = {"data": tmp_path, "simulate": "operation-delay=10s"}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        yield registry


class Reader:
    """Reads the outcomes of `apply` beside the test."""

    def __init__(self, registry: EmbeddedRegistry, *changes: Change) -> None:
        self.outcomes: list[Outcome] = []
        self._task = asyncio.ensure_future(self._read(registry, changes))

    async def _read(self, registry: EmbeddedRegistry, changes: Sequence[Change]) -> None:
        async for outcome in registry.apply(SERVICE, changes):
            self.outcomes.append(outcome)

    async def all(self, clock: FakeClock, seconds: float) -> list[Outcome]:
        """Let so much time pass and return the outcomes; the writer's thread is waited for."""
        await clock.advance(seconds)
        await asyncio.wait_for(self._task, 10)
        return self.outcomes

    def cancel(self) -> None:
        self._task.cancel()


async def accepted(registry: EmbeddedRegistry) -> None:
    """Wait until all that was submitted so far is stored: an own write stands behind it."""
    await registry.execute("TagResource", {"ResourceARN": (await registry.find(None))[0].arn, "Tags": []})


async def ids(registry: EmbeddedRegistry) -> set[str]:
    return {instance.id for instance in await registry.instances(SERVICE)}


async def test_an_outcome_comes_when_the_operation_has_ended(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    reader = Reader(slow, register("a"))
    await asyncio.sleep(0)
    await accepted(slow)
    await clock.advance(9)
    assert (reader.outcomes, await ids(slow)) == ([], set())
    assert await reader.all(clock, 1) == [Outcome(register("a"))]
    assert await ids(slow) == {"a"}


async def test_a_change_waits_for_the_one_before_it(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    """Whoever sent that: the port waits where the wire answers DuplicateRequest."""
    first = Reader(slow, register("a"))
    await asyncio.sleep(0)
    second, third = Reader(slow, register("a", {"stage": "dev"})), Reader(slow, deregister("a"))
    await asyncio.sleep(0)
    await accepted(slow)
    assert [outcome.error for outcome in await first.all(clock, 10)] == [None]
    await accepted(slow)
    assert (second.outcomes, third.outcomes) == ([], [])
    assert [outcome.error for outcome in await second.all(clock, 10)] == [None]
    [instance] = await slow.instances(SERVICE)
    assert instance.attributes["stage"] == "dev"
    await accepted(slow)
    assert [outcome.error for outcome in await third.all(clock, 10)] == [None]
    assert await ids(slow) == set()


async def test_a_reader_that_leaves_stops_nothing(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    reader = Reader(slow, register("a"), register("b"))
    await asyncio.sleep(0)
    await accepted(slow)
    reader.cancel()
    await clock.advance(10)
    await accepted(slow)
    assert await ids(slow) == {"a", "b"}


async def test_a_late_failure_may_be_tried_again(tmp_path: Path, clock: FakeClock) -> None:
    await filled(tmp_path, clock)
    config = {"data": tmp_path, "simulate": "late-failure=1"}
    async with open_registry(config, DEFAULT_REGISTRY, clock) as registry:
        outcomes = await apply(registry, SERVICE, register("a"), deregister("b"))
        errors = {name: outcome.error for name, outcome in outcomes.items()}
        assert set(errors) == {"a", "b"}
        assert isinstance(errors[register("a").instance_id], Retryable)
        assert "INTERNAL_FAILURE" in str(errors[register("a").instance_id])
        assert errors[deregister("b").instance_id] is None
        with pytest.raises(Retryable):
            await registry.ensure(NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "other")), "me")


async def test_two_that_ensure_the_same_at_once_get_the_same(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    spec = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "second"))
    waiting = [asyncio.ensure_future(slow.ensure(spec, creator)) for creator in ("me", "you")]
    await asyncio.sleep(0)
    await accepted(slow)
    await clock.advance(10)
    one, other = await asyncio.wait_for(asyncio.gather(*waiting), 10)
    assert one == other
    assert one.created_by == "me"


async def test_ensuring_what_is_updated_meanwhile_waits(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    first = asyncio.ensure_future(slow.ensure(NamespaceSpec(NAMESPACE, description="first"), "me"))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(slow.ensure(NamespaceSpec(NAMESPACE, description="second"), "me"))
    await asyncio.sleep(0)
    await accepted(slow)
    await clock.advance(10)
    found = await asyncio.wait_for(first, 10)
    assert isinstance(found.spec, NamespaceSpec)
    assert found.spec.description == "first"
    await accepted(slow)
    await clock.advance(10)
    found = await asyncio.wait_for(second, 10)
    assert isinstance(found.spec, NamespaceSpec)
    assert found.spec.description == "second"


async def test_removing_waits_until_it_is_gone(slow: EmbeddedRegistry, clock: FakeClock) -> None:
    await slow.remove(SERVICE)
    removing = [asyncio.ensure_future(slow.remove(NAMESPACE)) for _ in range(2)]
    await asyncio.sleep(0)
    await accepted(slow)
    assert len(await slow.find(None)) == 1
    assert not any(each.done() for each in removing)
    await clock.advance(10)
    await asyncio.wait_for(asyncio.gather(*removing), 10)
    assert list(await slow.find(None)) == []


async def test_a_service_that_is_removed_by_two_at_once_is_gone(slow: EmbeddedRegistry) -> None:
    await asyncio.gather(*(slow.remove(SERVICE) for _ in range(3)))
    assert list(await slow.find(NAMESPACE)) == []


async def test_a_bug_in_one_change_leaves_nothing_busy(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path, clock)
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        with monkeypatch.context() as patch:
            patch.setattr("kube_registrar.registries.embedded.storage.interned", lambda _: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                await apply(registry, SERVICE, register("a"))
        outcomes = await apply(registry, SERVICE, register("a"))
        assert [outcome.error for outcome in outcomes.values()] == [None]
        assert await ids(registry) == {"a"}


async def test_any_kind_of_text_may_be_an_attribute(tmp_path: Path, clock: FakeClock) -> None:
    """A member of a StrEnum is one too, and the engine gives such."""
    await filled(tmp_path, clock)
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        outcomes = await apply(registry, SERVICE, register("a", {"health": Health.HEALTHY}))
        assert [outcome.error for outcome in outcomes.values()] == [None]
        [instance] = await registry.instances(SERVICE)
        assert type(instance.attributes["health"]) is str


async def test_a_private_namespace_is_conflicting_in_another_vpc(tmp_path: Path, clock: FakeClock) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        spec = NamespaceSpec(NAMESPACE, NamespaceType.DNS_PRIVATE, vpc_id="vpc-1")
        made = await registry.ensure(spec, "me")
        with pytest.raises(Conflict, match=r"exists in VPC vpc-1, not vpc-2") as caught:
            await registry.ensure(NamespaceSpec(NAMESPACE, NamespaceType.DNS_PRIVATE, vpc_id="vpc-2"), "me")
        assert caught.value.found == made
        below = NamespaceRef(DEFAULT_REGISTRY, f"below.{NAMESPACE.name}")
        with pytest.raises(Refused, match="CANNOT_CREATE_HOSTED_ZONE"):
            await registry.ensure(NamespaceSpec(below, NamespaceType.DNS_PRIVATE, vpc_id="vpc-1"), "me")


async def test_what_it_cannot_do_is_refused_with_the_field(tmp_path: Path, clock: FakeClock) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        await registry.ensure(NamespaceSpec(NAMESPACE), "me")
        route53 = ServiceSpec(SERVICE, health_check=HealthCheckType.ROUTE53, route53=Route53Check("TCP", "/", 1))
        with pytest.raises(Refused) as caught:
            await registry.ensure(route53, "me")
        assert (caught.value.field, caught.value.rule) == (
            "HealthCheckConfig.ResourcePath",
            "TCP checks have no ResourcePath",
        )
        with pytest.raises(Refused) as caught:
            await registry.ensure(NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "arn:x")), "me")
        assert caught.value.field == "Name"
        with pytest.raises(NotFound, match="creation policy Adopt makes none"):
            await registry.ensure(ServiceSpec(SERVICE), "me", CreationPolicy.ADOPT)
        await registry.ensure(ServiceSpec(SERVICE, health_check=HealthCheckType.CUSTOM), "me")
        outcomes = await apply(registry, SERVICE, set_health("a", Health.UNKNOWN))
        [error] = [outcome.error for outcome in outcomes.values()]
        assert isinstance(error, Refused)
        assert error.rule == "HEALTHY or UNHEALTHY is allowed"


async def test_deregistering_from_a_service_that_is_gone_is_done(tmp_path: Path, clock: FakeClock) -> None:
    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        outcomes = await apply(registry, SERVICE, deregister("a"), register("b"))
        errors = {str(name): outcome.error for name, outcome in outcomes.items()}
        assert errors["a"] is None
        assert isinstance(errors["b"], NotFound)
        assert builders.origin("a") == deregister("a").origin


async def test_health_checks_are_made_kept_changed_and_deleted_as_they_are_asked_for(
    tmp_path: Path, clock: FakeClock
) -> None:
    def spec(check: Route53Check | None, ttl: int = 60) -> ServiceSpec:
        kind = HealthCheckType.ROUTE53 if check else HealthCheckType.NONE
        dns = DnsSettings((DnsRecord(RecordType.A, ttl),))
        return ServiceSpec(SERVICE, dns=dns, health_check=kind, route53=check)

    def found(there: Found) -> tuple[HealthCheckType, Route53Check | None]:
        assert isinstance(there.spec, ServiceSpec)
        return there.spec.health_check, there.spec.route53

    async with open_registry({"data": tmp_path}, DEFAULT_REGISTRY, clock) as registry:
        public = NamespaceSpec(replace(NAMESPACE, name="example.org"), NamespaceType.DNS_PUBLIC)
        await registry.ensure(public, "me")
        service = ServiceRef(public.ref, "web")
        for check, seen in (
            (Route53Check("HTTP"), Route53Check("HTTP", "/", 1)),
            (Route53Check("HTTP", "/", 1), Route53Check("HTTP", "/", 1)),
            (Route53Check("HTTP", "/up", 3), Route53Check("HTTP", "/up", 3)),
            (None, None),
            (Route53Check("TCP"), Route53Check("TCP")),
        ):
            wanted = replace(spec(check), ref=service)
            assert found(await registry.ensure(wanted, "me")) == (wanted.health_check, seen)
        await registry.ensure(replace(spec(Route53Check("TCP"), ttl=5), ref=service), "me")
        [listed] = await registry.find(public.ref)
        assert found(listed) == (HealthCheckType.ROUTE53, Route53Check("TCP"))
        with pytest.raises(Conflict, match="exists with health check Route53, not Custom"):
            await registry.ensure(replace(spec(None), ref=service, health_check=HealthCheckType.CUSTOM), "me")


async def test_without_quotas_there_are_no_bounds_that_the_engine_must_know(tmp_path: Path, clock: FakeClock) -> None:
    async with open_registry({"data": tmp_path, "quotas": "none"}, DEFAULT_REGISTRY, clock) as registry:
        can = registry.capabilities
        assert (can.max_instances, can.max_attributes, can.max_attribute_characters) == (None, None, None)
