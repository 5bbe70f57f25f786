"""What becomes of our own kinds where a policy keeps the operator from making, changing or removing things."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kube_registrar.declared.references import LocalReference
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import CustomObject, KubeNamespace
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ObjectRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.operator import handlers, lifecycle
from kube_registrar.operator.context import Context
from kube_registrar.operator.verdicts import LATER_SECONDS, Verdict
from kube_registrar.operator.withholding import Withholding
from kube_registrar.registries.port import Found
from kube_registrar.sources.resolving import Unresolved, resolve
from kube_registrar.sources.world import World
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.reporting import EventType
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op

NAMESPACE = NamespaceRef(DEFAULT_REGISTRY, "test-namespace")
SERVICE = ServiceRef(NAMESPACE, "flask-app")
NOT_THERE = (
    "Withheld the creation of Registry namespace test-namespace: the policy of registry 'default' is observe. "
    "It is done once the policy allows it"
)


def namespace_object(**spec: Any) -> CustomObject:
    fields = {"type": "HTTP", "allowedNamespaces": {"from": "All"}, **spec}
    return CustomObject("RegistryNamespace", "", "test-namespace", Uid("ns"), 1, fields)


def service_object(**spec: Any) -> CustomObject:
    fields = {"namespaceRef": {"name": "test-namespace"}, **spec}
    return CustomObject("RegistryService", "default", "flask-app", Uid("svc"), 1, fields)


@dataclass(slots=True)
class Notes:
    said: list[tuple[str, str]] = field(default_factory=list)
    held_back: list[tuple[str, str, str]] = field(default_factory=list)

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        self.said.append((reason, message))

    def changed(self, registry: RegistryName, action: str, result: str) -> None:
        raise AssertionError("no instance is changed here")

    def withheld(self, registry: RegistryName, action: str, policy: Policy) -> None:
        self.held_back.append((registry, action, policy))

    def blocked(self, registry: RegistryName, guard: str) -> None:
        raise AssertionError("no instance is held here")


class ForgetfulRegistry(FakeRegistry):
    """Its lists do not tell who made a thing, as Cloud Map's do not."""

    async def find(self, parent: NamespaceRef | None) -> list[Found]:
        return [replace(found, created_by=None) for found in await super().find(parent)]


class Ground:
    def __init__(self, policy: Policy, registry: type[FakeRegistry] = FakeRegistry) -> None:
        self.clock, self.notes = FakeClock(), Notes()
        self.registry = registry(clock=self.clock)
        self.catalog = Catalog(World(builders.CLUSTER_UID, "test"))
        self.catalog.put_kube_namespace(KubeNamespace("default", Uid("kube-default")))
        self.catalog.put_object(namespace_object())
        self.catalog.put_object(service_object())
        self.context = self.under(policy)

    def under(self, policy: Policy) -> Context:
        self.context = Context(
            registries={DEFAULT_REGISTRY: self.registry},
            catalog=self.catalog,
            recorder=self.notes,
            clock=self.clock,
            cluster_uid=builders.CLUSTER_UID,
            default_registry=DEFAULT_REGISTRY,
            main=asyncio.get_event_loop(),
            withholding=Withholding({DEFAULT_REGISTRY: policy}, self.notes),
        )
        return self.context

    async def ensure(self, thing: CustomObject, attempt: int = 0) -> Verdict:
        look_after = lifecycle.ensure_namespace if thing.kind == "RegistryNamespace" else lifecycle.ensure_service
        return await look_after(self.context, thing, attempt)

    def made_by(self, thing: CustomObject) -> str:
        return self.context.creator(thing.kind, thing.namespace, thing.name)

    def have(self, spec: NamespaceSpec | ServiceSpec, creator: str | None = None) -> Found:
        found = self.registry.add(spec, creator)
        self.catalog.learn(found)
        return found

    def specs(self) -> dict[str, str]:
        memory: Mapping[Any, Found] = self.registry._memory._found
        return {str(ref): found.spec.description for ref, found in memory.items()}

    def writes(self) -> list[Op]:
        return [call.op for call in self.registry.calls if call.op not in {Op.FIND, Op.INSTANCES}]


async def test_observe_makes_no_namespace_and_says_so_in_the_condition() -> None:
    ground = Ground(Policy.OBSERVE)
    verdict = await ground.ensure(namespace_object())
    assert (verdict.ready, verdict.problem.reason, verdict.problem.message) == (False, "Withheld", NOT_THERE)
    assert verdict.retry_after == LATER_SECONDS
    assert (ground.writes(), ground.specs()) == ([], {})


async def test_observe_makes_no_service_either() -> None:
    ground = Ground(Policy.OBSERVE)
    ground.have(builders.namespace_spec())
    verdict = await ground.ensure(service_object())
    assert (verdict.ready, verdict.problem.reason) == (False, "Withheld")
    assert "Registry service test-namespace/flask-app" in verdict.problem.message
    assert (ground.writes(), list(ground.specs())) == ([], [str(NAMESPACE)])


async def test_what_is_missing_is_counted_once_a_generation_and_not_listed_at_every_retry() -> None:
    ground = Ground(Policy.OBSERVE)
    for attempt in range(5):
        assert (await ground.ensure(namespace_object(), attempt)).problem.reason == "Withheld"
    assert ground.notes.held_back == [("default", "create", "observe")]
    assert len(ground.registry.calls) == 1
    await ground.ensure(replace(namespace_object(), generation=2), 5)
    assert ground.notes.held_back == [("default", "create", "observe")] * 2


async def test_what_somebody_else_makes_later_is_found() -> None:
    ground = Ground(Policy.OBSERVE)
    await ground.ensure(namespace_object())
    ground.registry.add(builders.namespace_spec())
    await ground.catalog.refresh(ground.registry)
    verdict = await ground.ensure(namespace_object(), 1)
    assert (verdict.ready, verdict.problem.reason, verdict.created) == (True, "Adopted", False)


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY])
async def test_what_is_there_is_used_as_it_is_and_its_withheld_update_is_counted_once(policy: Policy) -> None:
    ground = Ground(policy)
    ground.have(builders.namespace_spec(description="before"), ground.made_by(namespace_object()))
    for attempt in (0, 0):
        verdict = await ground.ensure(namespace_object(description="after"), attempt)
        assert (verdict.ready, verdict.created) == (True, True)
        assert verdict.synced is not None
        assert verdict.synced.reason == "SettingsDiffer"
    assert (ground.writes(), ground.specs()) == ([], {str(NAMESPACE): "before"})
    assert ground.notes.held_back == [("default", "update", policy)]


async def test_what_somebody_else_made_would_not_be_updated_so_nothing_is_withheld() -> None:
    ground = Ground(Policy.OBSERVE)
    ground.have(builders.namespace_spec(description="theirs"), "somebody")
    verdict = await ground.ensure(namespace_object(description="ours"))
    assert (verdict.ready, verdict.created, verdict.synced is None) == (True, False, False)
    assert ground.notes.held_back == []


async def test_upsert_only_updates_what_is_there() -> None:
    ground = Ground(Policy.UPSERT_ONLY)
    ground.have(builders.namespace_spec(description="before"), ground.made_by(namespace_object()))
    verdict = await ground.ensure(namespace_object(description="after"))
    assert (verdict.ready, verdict.synced) == (True, None)
    assert ground.specs() == {str(NAMESPACE): "after"}
    assert ground.notes.held_back == []


@pytest.mark.parametrize("policy", [Policy.UPSERT_ONLY, Policy.CREATE_ONLY])
async def test_what_is_missing_is_made_where_the_policy_lets_it(policy: Policy) -> None:
    ground = Ground(policy)
    for thing in (namespace_object(), service_object()):
        verdict = await ground.ensure(thing)
        assert (verdict.ready, verdict.problem.reason, verdict.created) == (True, "Created", True)
    assert list(ground.specs()) == [str(NAMESPACE), str(SERVICE)]


async def test_create_only_makes_nothing_for_an_object_that_may_only_adopt() -> None:
    ground = Ground(Policy.CREATE_ONLY)
    verdict = await ground.ensure(namespace_object(creationPolicy="Adopt"))
    assert not verdict.ready
    assert ground.specs() == {}


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY])
async def test_what_cannot_be_used_is_a_conflict_as_it_is_under_sync(policy: Policy) -> None:
    ground = Ground(policy)
    spec = builders.namespace_spec(type=NamespaceType.DNS_PRIVATE, vpc_id="vpc-1")
    ground.have(spec)
    verdict = await ground.ensure(namespace_object())
    assert (verdict.ready, verdict.problem.reason) == (False, "Conflicting")
    assert "is of type DNSPrivate, not HTTP" in verdict.problem.message


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY])
async def test_a_service_with_other_records_is_a_conflict(policy: Policy) -> None:
    ground = Ground(policy)
    ground.catalog.put_object(namespace_object(type="DNSPrivate", vpcID="vpc-0123456789abcdef0"))
    ground.have(builders.namespace_spec(type=NamespaceType.DNS_PRIVATE, vpc_id="vpc-0123456789abcdef0"))
    ground.have(builders.service_spec(records="A"))
    verdict = await ground.ensure(service_object())
    assert (verdict.ready, verdict.problem.reason) == (False, "Conflicting")
    assert "has the records A, not none" in verdict.problem.message


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY])
async def test_what_has_to_be_made_and_was_made_by_somebody_else_is_a_conflict(policy: Policy) -> None:
    ground = Ground(policy)
    ground.have(builders.namespace_spec(), "somebody")
    verdict = await ground.ensure(namespace_object(creationPolicy="Create"))
    assert (verdict.ready, verdict.problem.reason) == (False, "Conflicting")


async def test_where_lists_do_not_tell_the_creator_the_status_of_the_object_does() -> None:
    ground = Ground(Policy.OBSERVE, ForgetfulRegistry)
    found = ground.have(builders.namespace_spec(), ground.made_by(namespace_object()))
    thing = replace(namespace_object(creationPolicy="Create"), status={"created": True, "id": found.id})
    verdict = await ground.ensure(thing)
    assert (verdict.ready, verdict.created) == (True, True)
    other = replace(thing, status={"created": True, "id": "ns-of-another-life"})
    assert (await ground.ensure(other)).problem.reason == "Conflicting"


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY, Policy.UPSERT_ONLY])
async def test_a_removal_is_withheld_and_the_object_may_go(policy: Policy) -> None:
    ground = Ground(policy)
    ground.have(builders.namespace_spec(), ground.made_by(namespace_object()))
    result = await handlers._removed(ground.context, namespace_object(), "2023-11-14T22:13:20Z")
    assert result.retry_after is None
    assert (ground.writes(), list(ground.specs())) == ([], [str(NAMESPACE)])
    assert ground.notes.held_back == [("default", "remove", policy)]
    assert ground.notes.said == [
        (
            "Retained",
            f"Registry namespace test-namespace stays in registry 'default': the policy of that registry is {policy}",
        )
    ]


async def test_sync_removes_it() -> None:
    ground = Ground(Policy.SYNC)
    ground.have(builders.namespace_spec(), ground.made_by(namespace_object()))
    await handlers._removed(ground.context, namespace_object(), "2023-11-14T22:13:20Z")
    assert (ground.specs(), [reason for reason, _ in ground.notes.said]) == ({}, ["Removed"])
    assert ground.notes.held_back == []


async def test_what_is_withheld_refuses_no_pods_once_it_is_there() -> None:
    ground = Ground(Policy.OBSERVE)
    ground.have(builders.namespace_spec())
    await handlers._ensured(ground.context, service_object(), 0)
    assert ground.notes.said[0][0] == "Withheld"
    world = ground.catalog.world
    with pytest.raises(Unresolved, match="has not been read yet"):
        resolve(LocalReference("flask-app"), "default", world)
    ground.have(builders.service_spec())
    assert resolve(LocalReference("flask-app"), "default", world).service.ref == builders.service_ref()
