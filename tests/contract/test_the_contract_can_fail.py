"""Registries that break one rule each (peers have made these mistakes), and the test of the contract that notices."""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError
from kube_registrar.model.instances import Health, HealthFilter, Instance, Query
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.port import Found
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import RegistryContract
from kube_registrar.testing.contract.base import CREATOR
from kube_registrar.testing.fake import FakeRegistry


class OnePage(FakeRegistry):
    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        return (await super().instances(service))[:100]


class OnePageOfServices(FakeRegistry):
    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        return (await super().find(parent))[:100]


class ReadingRemoves(FakeRegistry):
    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        found = await super().instances(service)
        if not found:
            await self.remove(service)
        return found


class LookingMakes(FakeRegistry):
    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        try:
            return await super().instances(service)
        except NotFound:
            return ()


class GoneIsAnError(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._strictly(service, changes)

    async def _strictly(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        there = self.held(service)
        async for outcome in super().apply(service, changes):
            gone = isinstance(outcome.change, Deregister) and outcome.change.instance_id not in there
            yield replace(outcome, error=NotFound("gone")) if gone else outcome


class Merging(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._merged(service, changes)

    async def _merged(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        for change in changes:
            merged = change
            if isinstance(change, Register):
                before = self.held(service).get(change.instance_id)
                attributes = {**(before.attributes if before else {}), **change.instance.attributes}
                merged = replace(change, instance=replace(change.instance, attributes=attributes))
            async for outcome in super().apply(service, [merged]):
                yield replace(outcome, change=change)


class OneForAll(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._until_the_first_error(service, changes)

    async def _until_the_first_error(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        broken: RegistryError | None = None
        for change in changes:
            async for outcome in super().apply(service, [change] if broken is None else []):
                broken = outcome.error
                yield outcome
            if broken is not None:
                yield Outcome(change, broken)


class RaisingInApply(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._raising(service, changes)

    async def _raising(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        async for outcome in super().apply(service, changes):
            if outcome.error is not None:
                raise outcome.error
            yield outcome


class Forgetful(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return super().apply(service, changes[1:])


class Silent(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._without_reasons(service, changes)

    async def _without_reasons(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        async for outcome in super().apply(service, changes):
            yield replace(outcome, error=Refused("no")) if isinstance(outcome.error, Refused) else outcome


class Mangling(FakeRegistry):
    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        return self._mangled(service, changes)

    async def _mangled(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        for change in changes:
            cut = change
            if isinstance(change, Register):
                attributes = {
                    key.encode("ascii", "replace").decode(): value.encode("ascii", "replace").decode()[:1_024]
                    for key, value in change.instance.attributes.items()
                }
                cut = replace(change, instance=replace(change.instance, attributes=attributes))
            async for outcome in super().apply(service, [cut]):
                yield replace(outcome, change=change)


class Bossy(FakeRegistry):
    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        found = await super().ensure(spec, creator, policy)
        return await super().ensure(spec, found.created_by or creator, policy)


class Careless(FakeRegistry):
    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        try:
            return await super().ensure(spec, creator, policy)
        except (Conflict, NotFound):
            return await super().ensure(spec, creator)


class TakingTags(FakeRegistry):
    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        found = await super().ensure(spec, creator, policy)
        if found.created_by == creator:
            found = self._memory._found[spec.ref] = replace(found, spec=replace(found.spec, tags=dict(spec.tags)))
        return found


class BlindToOwners(FakeRegistry):
    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        found = await super().ensure(spec, creator, policy)
        return found if found.created_by == creator else await super().ensure(spec, CREATOR, policy)


class CutTokens(FakeRegistry):
    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        return await super().ensure(spec, creator[:64], policy)


class Emptying(FakeRegistry):
    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        if isinstance(ref, ServiceRef):
            for instance_id in self.held(ref) if ref in {f.spec.ref for f in await self.find(ref.namespace)} else ():
                self.drop(ref, instance_id)
        await super().remove(ref)


class AnyOfTheParameters(FakeRegistry):
    async def discover(self, query: Query) -> Sequence[Instance]:
        found = await super().discover(replace(query, parameters={}))
        return [
            each
            for each in found
            if not query.parameters or any(each.attributes.get(k) == v for k, v in query.parameters.items())
        ]


class OptionalIsNot(FakeRegistry):
    async def discover(self, query: Query) -> Sequence[Instance]:
        return await super().discover(replace(query, parameters={**query.parameters, **query.optional_parameters}))


class BlindToHealth(FakeRegistry):
    async def discover(self, query: Query) -> Sequence[Instance]:
        return await super().discover(replace(query, health=HealthFilter.ALL))


class Unfenced(FakeRegistry):
    def __init__(self, fence: Fence | None = None) -> None:
        super().__init__()


class AlwaysHealthy(FakeRegistry):
    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        return [replace(each, health=Health.HEALTHY) for each in await super().instances(service)]


NOTICED = [
    (OnePage, "test_all_instances_are_listed_beyond_one_page"),
    (OnePageOfServices, "test_services_are_found_beyond_one_page"),
    (ReadingRemoves, "test_reading_changes_nothing"),
    (LookingMakes, "test_what_is_not_there_is_not_found"),
    (GoneIsAnError, "test_deregistering_what_is_gone_is_done"),
    (Merging, "test_registering_again_replaces_all_attributes"),
    (OneForAll, "test_one_bad_change_hurts_no_other"),
    (RaisingInApply, "test_registering_in_a_service_that_is_not_there_is_not_found"),
    (Forgetful, "test_each_change_has_one_outcome"),
    (Silent, "test_one_bad_change_hurts_no_other"),
    (Mangling, "test_a_value_has_a_length"),
    (Bossy, "test_what_somebody_else_made_is_used_and_never_changed"),
    (Careless, "test_the_policy_create_refuses_what_somebody_else_made"),
    (Careless, "test_the_policy_adopt_makes_nothing"),
    (TakingTags, "test_tags_are_given_changed_and_never_taken"),
    (BlindToOwners, "test_tags_are_given_changed_and_never_taken"),
    (CutTokens, "test_creators_that_differ_late_are_told_apart"),
    (Emptying, "test_what_is_not_empty_stays"),
    (AnyOfTheParameters, "test_parameters_are_all_asked_for"),
    (OptionalIsNot, "test_optional_parameters_count_if_something_matches"),
    (BlindToHealth, "test_a_status_that_is_set_is_seen"),
    (AlwaysHealthy, "test_a_status_needs_a_health_check"),
    (Unfenced, "test_no_change_is_made_while_the_fence_is_closed"),
    (Unfenced, "test_nothing_is_made_or_removed_while_the_fence_is_closed"),
]


class Impatient(RegistryContract):
    """The contract, run by hand. It waits for no status: a fake sets it at once."""

    patience = 0.0

    async def run(self, name: str, registry: FakeRegistry, fence: Fence) -> None:
        """Run one test with the fixtures that it asks for."""
        honest = FakeRegistry.ensure
        spec = self.namespace_spec(registry, NamespaceType.HTTP)
        await honest(registry, spec, CREATOR)
        test: Callable[..., Any] = getattr(self, name)
        given: dict[str, Any] = {"registry": registry, "namespace": spec.ref, "fence": fence}
        asked = set(inspect.signature(test).parameters)
        if asked & {"service", "stages"}:
            given["service"] = await self.make_service(registry, spec.ref)
        if "stages" in asked:
            fill: Callable[..., Any] = inspect.unwrap(type(self).stages)
            given["stages"] = await getattr(fill, "__wrapped__", fill)(self, registry, given["service"])
        await test(**{key: value for key, value in given.items() if key in asked})


@pytest.mark.parametrize(("broken", "name"), NOTICED)
async def test_a_broken_rule_is_noticed(broken: type[FakeRegistry], name: str) -> None:
    fences = Fence(SystemClock()), Fence(SystemClock())
    await Impatient().run(name, FakeRegistry(fence=fences[0]), fences[0])
    with pytest.raises((AssertionError, RegistryError, pytest.fail.Exception)):
        await Impatient().run(name, broken(fence=fences[1]), fences[1])
