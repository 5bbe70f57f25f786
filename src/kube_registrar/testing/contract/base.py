"""What the parts of the contract share: fresh names, changes, and waiting for a condition."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pytest

from kube_registrar.model.attributes import INIT_HEALTH
from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import Conflict, Retryable, Unreachable
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.port import Registry
from kube_registrar.testing import builders

T = TypeVar("T")

CREATOR = "kube-registrar/contract"
"""The token of whoever makes things in these tests."""

_FILLINGS = 5
_DNS_TYPES = frozenset({NamespaceType.DNS_PRIVATE, NamespaceType.DNS_PUBLIC})


class Base:
    """Subclasses of the suite give the fixture `registry`: an open registry, and with transactions `second`."""

    vpc_id: ClassVar[str] = "vpc-00000000"
    """A VPC for private DNS namespaces, where a registry has them."""
    zone: ClassVar[str] = "example.com"
    """A domain in which DNS namespaces may be made."""
    patience: ClassVar[float] = 60.0
    """Seconds to wait at most until a status that was set is seen."""

    @pytest.fixture
    async def registry(self) -> Registry:
        """Give an open registry."""
        raise NotImplementedError("subclasses of the contract define the fixture `registry`")

    @pytest.fixture
    async def second(self, registry: Registry) -> Registry:
        """Open the same registry once more, as another process does."""
        if not registry.capabilities.transactions:
            pytest.skip("this registry guards no write by what was read")
        raise NotImplementedError("a registry with transactions is opened twice: define the fixture `second`")

    @pytest.fixture
    async def namespace(self, registry: Registry) -> NamespaceRef:
        """Make a registry namespace without DNS if there are such, else with."""
        types = registry.capabilities.namespace_types
        kind = NamespaceType.HTTP if NamespaceType.HTTP in types else min(types)
        spec = self.namespace_spec(registry, kind)
        await registry.ensure(spec, CREATOR)
        return spec.ref

    @pytest.fixture
    async def service(self, registry: Registry, namespace: NamespaceRef) -> ServiceRef:
        """Make a registry service without records or health check."""
        return await self.make_service(registry, namespace)

    def namespace_spec(self, registry: Registry, kind: NamespaceType, **overrides: Any) -> NamespaceSpec:
        """Return a namespace of that type under a fresh name."""
        suffix = secrets.token_hex(4)
        name = f"contract-{suffix}.{self.zone}" if kind in _DNS_TYPES else f"contract-{suffix}"
        vpc_id = self.vpc_id if kind is NamespaceType.DNS_PRIVATE else ""
        return NamespaceSpec(NamespaceRef(registry.name, name), **{"type": kind, "vpc_id": vpc_id, **overrides})

    async def dns_namespace(self, registry: Registry) -> NamespaceRef:
        """Make a namespace with DNS; the test is skipped where there are none."""
        types = registry.capabilities.namespace_types & _DNS_TYPES
        if not types:
            pytest.skip("this registry has no DNS")
        spec = self.namespace_spec(registry, min(types))
        await registry.ensure(spec, CREATOR)
        return spec.ref

    async def make_service(self, registry: Registry, namespace: NamespaceRef, **overrides: Any) -> ServiceRef:
        """Make a registry service under a fresh name; `overrides` as for `builders.service_spec`."""
        spec = service_spec(namespace, **overrides)
        await registry.ensure(spec, CREATOR)
        return spec.ref

    async def make_checked_service(self, registry: Registry, namespace: NamespaceRef) -> ServiceRef:
        """Make a registry service with custom health; the test is skipped where there is no such thing."""
        if not registry.capabilities.custom_health:
            pytest.skip("this registry has no custom health")
        return await self.make_service(registry, namespace, health_check=HealthCheckType.CUSTOM)

    async def eventually(self, read: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
        """Read until the answer is right and return it; AssertionError with the last answer when patience ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.patience
        while not holds(answer := await read()):
            if loop.time() > end:
                raise AssertionError(f"after {self.patience} seconds the answer still is {answer!r}")
            await asyncio.sleep(0.02)
        return answer


def service_spec(namespace: NamespaceRef, name: str = "", **overrides: Any) -> ServiceSpec:
    """Return a registry service of that namespace, under a fresh name unless one is given."""
    ref = ServiceRef(namespace, name or f"web-{secrets.token_hex(4)}")
    return replace(builders.service_spec(**overrides), ref=ref)


def register(name: str, attributes: Mapping[str, str] | None = None) -> Register:
    """Return the registration of a fresh-made instance at 10.0.0.1:8080 with these attributes beside."""
    return Register(builders.instance(name, attributes), builders.origin(name))


def deregister(name: str) -> Deregister:
    """Return the deregistration of that instance."""
    return Deregister(InstanceId(name), builders.origin(name), "the contract asks for it")


def set_health(name: str, health: Health) -> SetHealth:
    """Return the change of an instance's status."""
    return SetHealth(InstanceId(name), builders.origin(name), health)


async def apply(registry: Registry, service: ServiceRef, *changes: Change) -> Mapping[InstanceId, Outcome]:
    """Apply the changes and return the outcomes by instance, having checked that there is one for each."""
    outcomes = [outcome async for outcome in registry.apply(service, changes)]
    assert sorted(each.change.instance_id for each in outcomes) == sorted(each.instance_id for each in changes)
    assert all(outcome.change in changes for outcome in outcomes)
    return {outcome.change.instance_id: outcome for outcome in outcomes}


async def fill(registry: Registry, service: ServiceRef, changes: Sequence[Change]) -> None:
    """Make very many changes, as a user of the registry does: what is doubtful or came too early is asked for again.

    A registry that is made to answer a thousand at once on a busy machine may be late with some.
    """
    left = list(changes)
    for _ in range(_FILLINGS):
        failed = {name: each for name, each in (await apply(registry, service, *left)).items() if each.error}
        left = [each.change for each in failed.values() if isinstance(each.error, Unreachable | Retryable | Conflict)]
        assert len(left) == len(failed), [each.error for each in failed.values()]
        if not left:
            return
        if any(isinstance(each.error, Conflict) for each in failed.values()):
            await registry.instances(service)
    raise AssertionError(f"{len(left)} changes had no clear outcome, asked for {_FILLINGS} times")


async def must(registry: Registry, service: ServiceRef, *changes: Change) -> None:
    """Apply the changes; every one must be confirmed."""
    outcomes = await apply(registry, service, *changes)
    assert {name: outcome.error for name, outcome in outcomes.items() if outcome.error} == {}


async def must_in_the_end(registry: Registry, service: ServiceRef, *changes: Change) -> None:
    """Apply the changes; where somebody was first, look, as the registry's user does, and ask again."""
    outcomes = await apply(registry, service, *changes)
    overtaken = [each.change for each in outcomes.values() if isinstance(each.error, Conflict)]
    assert [each.error for each in outcomes.values() if each.error and each.change not in overtaken] == []
    if overtaken:
        await registry.instances(service)
        await must(registry, service, *overtaken)


async def listed(registry: Registry, service: ServiceRef) -> Mapping[str, Mapping[str, str]]:
    """Return the attributes of all instances by id, less the first health status, which registries may keep or not."""
    return by_id(await registry.instances(service))


def by_id(instances: Sequence[Instance]) -> Mapping[str, Mapping[str, str]]:
    """Return the attributes of these instances by id, having checked that no id comes twice."""
    found = {
        str(each.id): {key: value for key, value in each.attributes.items() if key != INIT_HEALTH} for each in instances
    }
    assert len(found) == len(instances)
    return found


def attributes_of(change: Register) -> Mapping[str, str]:
    """Return the attributes that a registration writes."""
    return dict(change.instance.attributes)
