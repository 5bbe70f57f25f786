"""What somebody changes or removes in the registry is made again or repaired, and nothing is tried over and over."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kube_registrar.cluster.errors import ApiConflict
from kube_registrar.cluster.status import StatusAsRead
from kube_registrar.model.ownership import OWNER
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import CustomObject
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.operator import handlers
from kube_registrar.operator.keeping import TAGS_SECONDS, Keeper
from kube_registrar.registries.port import Found
from kube_registrar.testing.faults import Op
from tests.unit.operator.test_policies import NAMESPACE, SERVICE, Ground, namespace_object, service_object


@dataclass
class Cluster:
    """The objects as the API server has them."""

    ground: Ground
    things: dict[str, CustomObject] = field(default_factory=dict)
    conflicts: int = 0
    patches: int = 0

    async def apply(self, thing: CustomObject) -> None:
        """Take in an object, and let kopf's handler settle it."""
        self.put(thing)
        result = await handlers._ensured(self.ground.context, thing, 0)
        self.put(replace(thing, status={**thing.status, **result.status}))

    def put(self, thing: CustomObject) -> None:
        self.things[thing.kind] = thing
        self.ground.catalog.put_object(thing)

    async def read(self, kind: str, namespace: str, name: str) -> StatusAsRead:
        return StatusAsRead(self.things[kind].uid, "1", self.things[kind].status)

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        status: Mapping[str, object],
        *,
        resource_version: str | None = None,
    ) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ApiConflict("another one wrote it")
        self.patches += 1
        thing = self.things[kind]
        self.put(replace(thing, status={**thing.status, **status}))

    def condition(self, kind: str, type_: str) -> Mapping[str, Any]:
        conditions: Any = self.things[kind].status["conditions"]
        return next(each for each in conditions if each["type"] == type_)


@dataclass
class Kept:
    ground: Ground
    cluster: Cluster
    keeper: Keeper

    async def resync(self, *, rounds: int = 3) -> None:
        """Read the lists, as the engine does, and let the keeper look."""
        await self.ground.catalog.refresh(self.ground.registry)
        for _ in range(rounds):
            await self.keeper.round()

    def there(self, ref: object) -> Found:
        return self.ground.registry._memory._found[ref]  # type: ignore[index]

    def spoil(self, ref: object, **changes: Any) -> None:
        """Change settings as somebody else would."""
        found = self.there(ref)
        self.ground.registry._memory._found[ref] = replace(found, spec=replace(found.spec, **changes))  # type: ignore[index]

    def ensured(self) -> int:
        return len(self.ground.registry.asked(Op.ENSURE))

    def said(self, reason: str) -> list[str]:
        return [message for each, message in self.ground.notes.said if each == reason]


async def make(policy: Policy = Policy.SYNC, **spec: Any) -> Kept:
    ground = Ground(policy)
    cluster = Cluster(ground)
    if policy.makes:
        await cluster.apply(namespace_object(description="ours"))
        await cluster.apply(service_object(description="ours", **spec))
    return Kept(ground, cluster, Keeper(ground.context, cluster))


async def test_what_is_as_it_should_be_costs_nothing() -> None:
    kept = await make()
    before = kept.ensured()
    await kept.resync(rounds=10)
    assert (kept.ensured(), kept.cluster.patches) == (before, 0)


async def test_a_service_that_somebody_removed_is_made_again_at_the_next_list() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    await kept.resync()
    service = kept.cluster.things["RegistryService"]
    assert service.status["id"] == kept.there(SERVICE).id
    assert kept.cluster.condition("RegistryService", "Ready")["status"] == "True"
    assert kept.said("Repaired") == [
        "Registry service test-namespace/flask-app was not as this object says (it was gone), and is again"
    ]


async def test_a_namespace_that_somebody_removed_is_made_again_with_its_services() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    await kept.ground.registry.remove(NAMESPACE)
    await kept.resync()
    for _ in range(4):
        await kept.ground.clock.advance(2.0)
        await kept.keeper.round()
    assert kept.there(NAMESPACE).spec.description == "ours"
    assert kept.cluster.things["RegistryService"].status["id"] == kept.there(SERVICE).id


@pytest.mark.parametrize("ref", [NAMESPACE, SERVICE])
async def test_a_description_is_repaired_and_said(ref: object) -> None:
    kept = await make()
    kept.spoil(ref, description="theirs")
    await kept.resync()
    assert kept.there(ref).spec.description == "ours"
    [said] = kept.said("Repaired")
    assert "(spec.description was theirs), and is again" in said


async def test_nothing_is_repaired_that_belongs_to_another() -> None:
    kept = await make()
    kept.spoil(SERVICE, description="theirs", tags={OWNER: "RegistryService/default/another"})
    await kept.cluster.apply(service_object(description="ours"))
    owned = kept.cluster.condition("RegistryService", "SettingsOwned")
    assert (owned["status"], owned["reason"]) == ("False", "OwnedByAnother")
    assert "RegistryService default/another" in owned["message"]
    assert "kube-registrar/owner=RegistryService/default/flask-app" in owned["message"]
    kept.spoil(SERVICE, description="theirs again")
    before = kept.ensured()
    await kept.resync()
    assert kept.there(SERVICE).spec.description == "theirs again"
    assert kept.ensured() == before


async def test_what_the_registry_cannot_change_is_tried_once_for_each_change() -> None:
    kept = await make()
    kept.ground.registry._memory.ensure = lambda spec, creator, policy: kept.there(spec.ref)  # type: ignore[method-assign]
    kept.spoil(SERVICE, description="theirs")
    before = kept.ensured()
    for _ in range(5):
        await kept.resync()
    assert kept.ensured() == before + 1
    synced = kept.cluster.condition("RegistryService", "Synced")
    assert (synced["status"], synced["reason"]) == ("False", "CannotBeChanged")
    kept.spoil(SERVICE, description="another text")
    await kept.resync()
    assert kept.ensured() == before + 2
    assert kept.said("Repaired") == []


async def test_tags_are_looked_at_every_six_hours() -> None:
    kept = await make(tags={"team": "web"})
    await kept.resync()
    kept.spoil(SERVICE, tags={})
    await kept.resync()
    assert kept.there(SERVICE).spec.tags == {}
    await kept.ground.clock.advance(TAGS_SECONDS * 1.1)
    await kept.keeper.round()
    assert kept.there(SERVICE).spec.tags["team"] == "web"
    before = kept.ensured()
    await kept.keeper.round()
    assert kept.ensured() == before


async def test_what_somebody_else_made_anew_is_used_and_its_new_id_told() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    theirs = kept.ground.registry.add(ServiceSpec(SERVICE, description="theirs"), "somebody")
    await kept.resync()
    status = kept.cluster.things["RegistryService"].status
    assert (status["id"], status["created"]) == (theirs.id, False)
    assert kept.there(SERVICE).spec.description == "theirs"
    assert kept.cluster.condition("RegistryService", "SettingsOwned")["status"] == "False"


async def test_an_outage_is_outlasted() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    kept.ground.registry.faults.lose_request(Op.ENSURE)
    kept.ground.registry.faults.lose_reply(Op.ENSURE)
    await kept.resync(rounds=1)
    assert kept.cluster.condition("RegistryService", "Ready")["reason"] == "RegistryUnavailable"
    for _ in range(3):
        await kept.ground.clock.advance(5.0)
        await kept.keeper.round()
    assert kept.cluster.condition("RegistryService", "Ready")["status"] == "True"
    assert kept.cluster.things["RegistryService"].status["id"] == kept.there(SERVICE).id


async def test_a_status_that_another_one_wrote_meanwhile_is_written_later() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    kept.cluster.conflicts = 1
    await kept.resync()
    await kept.ground.clock.advance(30.0)
    await kept.keeper.round()
    assert kept.cluster.things["RegistryService"].status["id"] == kept.there(SERVICE).id


async def test_an_object_that_goes_or_changes_is_left_to_its_handlers() -> None:
    kept = await make()
    await kept.ground.registry.remove(SERVICE)
    service = kept.cluster.things["RegistryService"]
    for thing in (replace(service, terminating=True), replace(service, generation=2)):
        kept.cluster.put(thing)
        await kept.resync()
        assert SERVICE not in kept.ground.registry._memory._found


async def test_what_is_not_listed_yet_is_not_missing() -> None:
    kept = await make()
    kept.ground.catalog.forget(SERVICE)
    before = kept.ensured()
    await kept.keeper.round()
    assert kept.ensured() == before


@pytest.mark.parametrize("policy", [Policy.OBSERVE, Policy.CREATE_ONLY])
async def test_a_policy_keeps_from_repairing(policy: Policy) -> None:
    kept = await make()
    keeper = Keeper(kept.ground.under(policy), kept.cluster)
    kept.spoil(SERVICE, description="theirs")
    await kept.ground.catalog.refresh(kept.ground.registry)
    before = kept.ensured()
    await keeper.round()
    assert kept.ensured() == before
    assert isinstance(kept.there(NAMESPACE).spec, NamespaceSpec)
