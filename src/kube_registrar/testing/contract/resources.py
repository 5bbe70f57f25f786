"""The contract of registry namespaces and registry services: find, ensure, remove."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kube_registrar.model.errors import Conflict, NotFound, Unreachable
from kube_registrar.model.instances import Query
from kube_registrar.model.ownership import CLUSTER_UID, OWNER
from kube_registrar.model.refs import NamespaceRef, ServiceRef
from kube_registrar.model.specs import (
    CreationPolicy,
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
    RoutingPolicy,
    ServiceSpec,
)
from kube_registrar.registries.port import Found, Registry
from kube_registrar.testing.contract.base import CREATOR, Base, deregister, listed, must, register, service_spec

OTHER = "somebody/else"


class ResourcesContract(Base):
    """Registry namespaces and registry services."""

    async def test_a_namespace_that_was_made_is_found(self, registry: Registry) -> None:
        """Under its name, with its type and id, as often as it is looked for."""
        for kind in sorted(registry.capabilities.namespace_types):
            spec = self.namespace_spec(registry, kind, description="made by the contract")
            made = await registry.ensure(spec, CREATOR)
            found = await _find(registry, spec)
            for each in (made, found):
                assert isinstance(each.spec, NamespaceSpec)
                assert (each.spec.ref, each.spec.type) == (spec.ref, kind)
                assert each.spec.description == "made by the contract"
            assert made.id
            assert made.id == found.id

    async def test_a_service_that_was_made_is_found_in_its_namespace(
        self, registry: Registry, namespace: NamespaceRef
    ) -> None:
        """And in no other."""
        other = self.namespace_spec(registry, await _type_of(registry, namespace))
        await registry.ensure(other, CREATOR)
        spec = service_spec(namespace, description="made by the contract")
        made = await registry.ensure(spec, CREATOR)
        found = await _find(registry, spec)
        assert made.id == found.id != ""
        assert (made.spec, found.spec) == (spec, spec)
        assert list(await registry.find(other.ref)) == []

    async def test_a_service_keeps_its_records(self, registry: Registry) -> None:
        """Types and times to live, as they were asked for."""
        namespace = await self.dns_namespace(registry)
        for kinds in ({RecordType.A}, {RecordType.SRV}, {RecordType.A, RecordType.AAAA}):
            if kinds <= registry.capabilities.record_types:
                spec = service_spec(namespace, records=",".join(sorted(kinds)), ttl_seconds=17)
                await registry.ensure(spec, CREATOR)
                found = (await _find(registry, spec)).spec
                assert isinstance(found, ServiceSpec)
                assert found.dns is not None
                assert {(record.type, record.ttl_seconds) for record in found.dns.records} == {
                    (kind, 17) for kind in kinds
                }

    async def test_ensuring_again_gives_the_same_thing(self, registry: Registry, namespace: NamespaceRef) -> None:
        """The same creator may ask as often as it likes, under every policy."""
        spec = service_spec(namespace)
        first = await registry.ensure(spec, CREATOR)
        for policy in CreationPolicy:
            assert (await registry.ensure(spec, CREATOR, policy)).id == first.id
        outer = await _find_namespace(registry, namespace)
        assert isinstance(outer.spec, NamespaceSpec)
        for policy in CreationPolicy:
            again = await registry.ensure(replace(outer.spec, vpc_id=self._vpc(outer)), CREATOR, policy)
            assert again.id == outer.id

    async def test_many_who_ensure_at_once_get_one_thing(self, registry: Registry, namespace: NamespaceRef) -> None:
        """Adoption is free of races."""
        spec = service_spec(namespace)
        found = await asyncio.gather(*(registry.ensure(spec, CREATOR) for _ in range(5)))
        assert len({each.id for each in found}) == 1
        assert [each.spec.ref for each in await registry.find(namespace)] == [spec.ref]

    async def test_what_is_not_there_is_not_found(self, registry: Registry, namespace: NamespaceRef) -> None:
        """And looking for it does not make it."""
        nowhere = NamespaceRef(registry.name, f"not-{namespace.name}")
        with pytest.raises(NotFound):
            await registry.find(nowhere)
        with pytest.raises(NotFound):
            await registry.ensure(service_spec(nowhere), CREATOR)
        with pytest.raises(NotFound):
            await registry.instances(ServiceRef(namespace, "nothing"))
        with pytest.raises(NotFound):
            await registry.instances(ServiceRef(nowhere, "nothing"))
        assert nowhere not in {each.spec.ref for each in await registry.find(None)}
        assert list(await registry.find(namespace)) == []

    async def test_the_policy_adopt_makes_nothing(self, registry: Registry, namespace: NamespaceRef) -> None:
        """NotFound, for namespaces and services."""
        absent = self.namespace_spec(registry, await _type_of(registry, namespace))
        with pytest.raises(NotFound):
            await registry.ensure(absent, CREATOR, CreationPolicy.ADOPT)
        with pytest.raises(NotFound):
            await registry.ensure(service_spec(namespace), CREATOR, CreationPolicy.ADOPT)
        assert absent.ref not in {each.spec.ref for each in await registry.find(None)}
        assert list(await registry.find(namespace)) == []

    async def test_the_policy_create_refuses_what_somebody_else_made(
        self, registry: Registry, namespace: NamespaceRef
    ) -> None:
        """Conflict, for namespaces and services."""
        theirs = self.namespace_spec(registry, await _type_of(registry, namespace))
        await registry.ensure(theirs, OTHER)
        with pytest.raises(Conflict):
            await registry.ensure(theirs, CREATOR, CreationPolicy.CREATE)
        spec = service_spec(namespace)
        await registry.ensure(spec, OTHER)
        with pytest.raises(Conflict):
            await registry.ensure(spec, CREATOR, CreationPolicy.CREATE)

    async def test_what_somebody_else_made_is_used_and_never_changed(self, registry: Registry) -> None:
        """Whatever settings are asked for."""
        namespace = await self.dns_namespace(registry)
        theirs = service_spec(namespace, records="A", ttl_seconds=17, description="theirs")
        made = await registry.ensure(theirs, OTHER)
        ours = replace(theirs, description="ours", dns=_with_ttl(theirs, 99))
        for policy in (CreationPolicy.CREATE_OR_ADOPT, CreationPolicy.ADOPT):
            adopted = await registry.ensure(ours, CREATOR, policy)
            assert adopted.id == made.id
            assert adopted.spec == theirs
        assert (await _find(registry, theirs)).spec == theirs

    async def test_somebody_elses_health_check_and_routing_are_used_as_they_are(self, registry: Registry) -> None:
        """Both are fixed at creation, and neither keeps an instance out: only its owner has to be told."""
        if not registry.capabilities.custom_health:
            pytest.skip("this registry has no custom health")
        namespace = await self.dns_namespace(registry)
        theirs = service_spec(namespace, records="A", custom_health=True)
        made = await registry.ensure(theirs, OTHER)
        assert theirs.dns is not None
        ours = replace(
            theirs, health_check=HealthCheckType.NONE, dns=replace(theirs.dns, routing=RoutingPolicy.WEIGHTED)
        )
        adopted = await registry.ensure(ours, CREATOR, CreationPolicy.ADOPT)
        assert (adopted.id, adopted.spec) == (made.id, theirs)

    async def test_another_type_is_a_conflict(self, registry: Registry) -> None:
        """Whoever made it."""
        if not {NamespaceType.DNS_PRIVATE, NamespaceType.HTTP} <= registry.capabilities.namespace_types:
            pytest.skip("this registry has one type of namespace")
        spec = self.namespace_spec(registry, NamespaceType.DNS_PRIVATE)
        await registry.ensure(spec, CREATOR)
        for creator in (CREATOR, OTHER):
            with pytest.raises(Conflict):
                await registry.ensure(replace(spec, type=NamespaceType.HTTP, vpc_id=""), creator)

    async def test_other_records_are_a_conflict(self, registry: Registry) -> None:
        """Whoever made the service; its records stay."""
        namespace = await self.dns_namespace(registry)
        spec = service_spec(namespace, records="A")
        await registry.ensure(spec, CREATOR)
        srv = DnsSettings((DnsRecord(RecordType.SRV),))
        for creator in (CREATOR, OTHER):
            with pytest.raises(Conflict):
                await registry.ensure(replace(spec, dns=srv), creator)
        assert (await _find(registry, spec)).spec == spec

    async def test_its_creator_may_change_time_to_live_and_description(self, registry: Registry) -> None:
        """One of them leaves the other alone."""
        namespace = await self.dns_namespace(registry)
        spec = service_spec(namespace, records="A", ttl_seconds=17, description="first")
        made = await registry.ensure(spec, CREATOR)
        for wish in (
            replace(spec, dns=_with_ttl(spec, 99)),
            replace(spec, dns=_with_ttl(spec, 99), description="second"),
            replace(spec, description="third"),
        ):
            ensured = await registry.ensure(wish, CREATOR)
            assert (ensured.id, ensured.spec) == (made.id, wish)
            assert (await _find(registry, spec)).spec == wish

    async def test_its_creator_may_change_when_resolvers_ask_again(self, registry: Registry) -> None:
        """The SOA's time to live, which is the namespace's only setting beside its description."""
        types = registry.capabilities.namespace_types - {NamespaceType.HTTP}
        if not types:
            pytest.skip("this registry has no DNS")
        for kind in sorted(types):
            spec = self.namespace_spec(registry, kind, soa_ttl_seconds=60, description="first")
            made = await registry.ensure(spec, CREATOR)
            for wish in (replace(spec, soa_ttl_seconds=17), replace(spec, soa_ttl_seconds=17, description="second")):
                ensured = await registry.ensure(wish, CREATOR)
                assert (ensured.id, _settings(ensured)) == (made.id, (wish.description, 17))
                assert _settings(await _find(registry, spec)) == (wish.description, 17)

    async def test_tags_are_given_changed_and_never_taken(self, registry: Registry, namespace: NamespaceRef) -> None:
        """By whose they are. Tags that are not asked for may be anybody's."""
        if not registry.capabilities.tags:
            pytest.skip("this registry has no tags")
        outer = self.namespace_spec(registry, await _type_of(registry, namespace))
        for spec in (outer, service_spec(namespace)):
            first = await registry.ensure(replace(spec, tags={"team": "web", "stage": "dev"}), CREATOR)
            assert first.spec.tags == {"team": "web", "stage": "dev"}
            for _ in range(2):
                second = await registry.ensure(replace(spec, tags={"stage": "prod", "more": ""}), CREATOR)
                assert second.spec.tags == {"team": "web", "stage": "prod", "more": ""}
            theirs = await registry.ensure(replace(spec, tags={"team": "other"}), OTHER)
            assert (theirs.id, theirs.spec.tags) == (first.id, second.spec.tags)

    async def test_the_owner_is_whom_the_tags_name(self, registry: Registry) -> None:
        """Settings are handed over by tags, whoever made the thing; the creator then is as any other."""
        if not registry.capabilities.tags:
            pytest.skip("this registry has no tags")
        namespace = await self.dns_namespace(registry)
        ours, theirs = _owned_by("ours"), _owned_by("theirs")
        spec = service_spec(namespace, records="A", description="first", tags=theirs)
        made = await registry.ensure(spec, CREATOR)
        for creator in (CREATOR, OTHER):
            found = await registry.ensure(replace(spec, description="not ours", tags=ours), creator)
            assert (found.id, found.spec.description, found.spec.tags) == (made.id, "first", theirs)
        owned = await registry.ensure(replace(spec, description="second"), OTHER)
        assert (owned.id, owned.spec.description, owned.spec.tags) == (made.id, "second", theirs)
        assert owned.created_by != OTHER

    async def test_a_namespace_may_be_named_by_its_arn(self, registry: Registry, namespace: NamespaceRef) -> None:
        """It is used under its name as any other, and none is made."""
        made = await _find_namespace(registry, namespace)
        if not made.arn:
            pytest.skip("this registry has no ARNs: the next test is for such")
        assert isinstance(made.spec, NamespaceSpec)
        wish = replace(made.spec, arn=made.arn, vpc_id=self._vpc(made))
        used = await registry.ensure(wish, OTHER)
        assert (used.spec.ref, used.arn) == (namespace, made.arn)
        service = await self.make_service(registry, namespace)
        await must(registry, service, register("a"))
        assert set(await listed(registry, service)) == {"a"}
        assert [each.id for each in await registry.discover(Query(service))] == ["a"]
        assert [each.spec.ref for each in await registry.find(namespace)] == [service]
        assert len([each for each in await registry.find(None) if each.spec.ref == namespace]) == 1
        await must(registry, service, deregister("a"))
        await registry.remove(service)
        with pytest.raises(NotFound):
            await registry.ensure(replace(wish, arn=f"{made.arn}x"), OTHER)

    async def test_an_arn_that_nothing_has_makes_nothing(self, registry: Registry, namespace: NamespaceRef) -> None:
        """And uses nothing of that name either: it is another one. So it is where a registry has no ARNs at all."""
        arn = "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-nothing0has0this"
        there = await _find_namespace(registry, namespace)
        assert isinstance(there.spec, NamespaceSpec)
        absent = self.namespace_spec(registry, there.spec.type)
        for spec in (absent, replace(there.spec, vpc_id=self._vpc(there))):
            for policy in CreationPolicy:
                with pytest.raises(NotFound):
                    await registry.ensure(replace(spec, arn=arn), CREATOR, policy)
        assert absent.ref not in {each.spec.ref for each in await registry.find(None)}
        assert (await _find_namespace(registry, namespace)).spec == there.spec

    async def test_creators_that_differ_late_are_told_apart(self, registry: Registry, namespace: NamespaceRef) -> None:
        """A token may be longer than the registry keeps."""
        spec, stem = service_spec(namespace), "kube-registrar/" + "x" * 100
        made = await registry.ensure(spec, f"{stem}/a", CreationPolicy.CREATE)
        assert (await registry.ensure(spec, f"{stem}/a", CreationPolicy.CREATE)).id == made.id
        with pytest.raises(Conflict):
            await registry.ensure(spec, f"{stem}/b", CreationPolicy.CREATE)

    async def test_what_is_empty_is_removed_and_what_is_gone_is_done(
        self, registry: Registry, namespace: NamespaceRef, service: ServiceRef
    ) -> None:
        """Removing is idempotent, at both levels."""
        for _ in range(2):
            await registry.remove(service)
        assert list(await registry.find(namespace)) == []
        for _ in range(2):
            await registry.remove(namespace)
        assert namespace not in {each.spec.ref for each in await registry.find(None)}
        await registry.remove(service)

    async def test_what_is_not_empty_stays(
        self, registry: Registry, namespace: NamespaceRef, service: ServiceRef
    ) -> None:
        """Conflict, and nothing is lost."""
        await must(registry, service, register("a"))
        with pytest.raises(Conflict):
            await registry.remove(service)
        with pytest.raises(Conflict):
            await registry.remove(namespace)
        assert set(await listed(registry, service)) == {"a"}

    async def test_what_is_made_again_under_its_name_is_new(
        self, registry: Registry, namespace: NamespaceRef, service: ServiceRef
    ) -> None:
        """Whatever a backend remembers of the one before."""
        spec = service_spec(namespace, service.name)
        await must(registry, service, register("a"))
        await _empty(registry, service)
        await registry.remove(service)
        with pytest.raises(NotFound):
            await registry.instances(service)
        await registry.ensure(spec, CREATOR)
        assert await listed(registry, service) == {}
        await must(registry, service, register("b"))
        assert set(await listed(registry, service)) == {"b"}

    async def test_reading_changes_nothing(
        self, registry: Registry, namespace: NamespaceRef, service: ServiceRef
    ) -> None:
        """An empty service stays, too."""
        await must(registry, service, register("a"))
        empty = await self.make_service(registry, namespace)
        before = sorted(each.id for each in await registry.find(namespace))
        for _ in range(2):
            assert list(await registry.instances(empty)) == []
            assert set(await listed(registry, service)) == {"a"}
            assert sorted(each.id for each in await registry.find(namespace)) == before

    async def test_services_are_found_beyond_one_page(self, registry: Registry, namespace: NamespaceRef) -> None:
        """An answer is whole or an error."""
        specs = [service_spec(namespace, f"web-{number}") for number in range(105)]
        await asyncio.gather(*(_ensured(registry, spec) for spec in specs))
        found = await registry.find(namespace)
        assert sorted(each.spec.ref for each in found) == sorted(spec.ref for spec in specs)

    def _vpc(self, found: Found) -> str:
        assert isinstance(found.spec, NamespaceSpec)
        return self.vpc_id if found.spec.type is NamespaceType.DNS_PRIVATE else ""


async def _ensured(registry: Registry, spec: ServiceSpec) -> None:
    """Make a service of very many: one whose answer was late is asked for once more, and found."""
    try:
        await registry.ensure(spec, CREATOR)
    except Unreachable:
        await registry.ensure(spec, CREATOR)


async def _find(registry: Registry, spec: NamespaceSpec | ServiceSpec) -> Found:
    parent = spec.ref.namespace if isinstance(spec, ServiceSpec) else None
    return _only(await registry.find(parent), spec.ref)


async def _find_namespace(registry: Registry, ref: NamespaceRef) -> Found:
    return _only(await registry.find(None), ref)


def _only(found: Sequence[Found], ref: NamespaceRef | ServiceRef) -> Found:
    matching = [each for each in found if each.spec.ref == ref]
    assert len(matching) == 1
    return matching[0]


async def _type_of(registry: Registry, ref: NamespaceRef) -> NamespaceType:
    spec = (await _find_namespace(registry, ref)).spec
    assert isinstance(spec, NamespaceSpec)
    return spec.type


def _with_ttl(spec: ServiceSpec, ttl_seconds: int) -> DnsSettings:
    assert spec.dns is not None
    return replace(spec.dns, records=tuple(replace(record, ttl_seconds=ttl_seconds) for record in spec.dns.records))


async def _empty(registry: Registry, service: ServiceRef) -> None:
    await must(registry, service, *(deregister(name) for name in await listed(registry, service)))


def _settings(found: Found) -> tuple[str, int | None]:
    assert isinstance(found.spec, NamespaceSpec)
    return found.spec.description, found.spec.soa_ttl_seconds


def _owned_by(who: str) -> dict[str, str]:
    return {OWNER: f"RegistryService/default/{who}", CLUSTER_UID: "00000000-0000-0000-0000-000000000000"}
