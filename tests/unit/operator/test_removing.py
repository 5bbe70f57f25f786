"""What becomes of what our kinds made when they go: removed, or said to stay, and never left without a word."""

from dataclasses import replace

from kube_registrar.cluster.errors import ApiElsewhere
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import RegistryName
from kube_registrar.operator import handlers
from kube_registrar.registries.port import Found
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.unit.operator.test_policies import NAMESPACE, SERVICE, Ground, namespace_object, service_object

SINCE = "2023-11-14T22:13:20Z"


def of(thing: CustomObject, found: Found, registry: str = "default") -> CustomObject:
    """Return the object as it is when it goes: with the status of what it made."""
    return replace(thing, status={"created": True, "id": found.id, "registry": registry}, terminating=True)


def made(ground: Ground) -> tuple[CustomObject, CustomObject]:
    """Have a namespace and a service made by their objects; return these as they go."""
    parent = ground.have(builders.namespace_spec(), ground.made_by(namespace_object()))
    child = ground.have(builders.service_spec(), ground.made_by(service_object()))
    return of(namespace_object(), parent), of(service_object(), child)


async def test_a_service_whose_namespace_object_went_first_is_found_by_its_id_and_removed() -> None:
    ground = Ground(Policy.SYNC)
    namespace, service = made(ground)
    ground.registry.add(builders.namespace_spec("beside"), "somebody")
    ground.catalog.drop_object(namespace)
    result = await handlers._removed(ground.context, service, SINCE)
    assert result.retry_after is None
    assert sorted(ground.specs()) == ["default:beside", str(NAMESPACE)]
    assert [reason for reason, _ in ground.notes.said] == ["Removed"]


async def test_a_namespace_whose_spec_cannot_be_read_any_more_is_found_by_its_id() -> None:
    ground = Ground(Policy.SYNC)
    found = ground.have(builders.namespace_spec(), ground.made_by(namespace_object()))
    broken = of(namespace_object(type="NoSuch"), found)
    ground.catalog.put_object(broken)
    await handlers._removed(ground.context, broken, SINCE)
    assert ground.specs() == {}


async def test_a_policy_withholds_what_was_found_by_its_id_too() -> None:
    ground = Ground(Policy.UPSERT_ONLY)
    namespace, service = made(ground)
    ground.catalog.drop_object(namespace)
    await handlers._removed(ground.context, service, SINCE)
    assert str(SERVICE) in ground.specs()
    assert [reason for reason, _ in ground.notes.said] == ["Retained"]


async def test_while_the_registry_cannot_tell_where_it_is_the_object_waits_and_then_says_that_it_stays() -> None:
    ground = Ground(Policy.SYNC)
    namespace, service = made(ground)
    ground.catalog.drop_object(namespace)
    ground.registry.faults.fail(Op.FIND, Unreachable("away"), times=2)
    since = "2100-01-01T00:00:00Z"  # just now, as the clock of this test goes
    assert (await handlers._removed(ground.context, service, since)).retry_after is not None
    assert (await handlers._removed(ground.context, service, "1970-01-01T00:00:00Z")).retry_after is None
    assert ground.notes.said[-1] == (
        "Retained",
        "What RegistryService flask-app made stays in registry 'default': it could not be removed within 600 s (away)",
    )


async def test_what_is_gone_needs_no_word() -> None:
    ground = Ground(Policy.SYNC)
    namespace, service = made(ground)
    ground.catalog.drop_object(namespace)
    await ground.registry.remove(SERVICE)
    assert (await handlers._removed(ground.context, service, SINCE)).retry_after is None
    assert ground.notes.said == []


async def test_what_is_in_a_registry_that_is_not_configured_any_more_stays_and_says_so() -> None:
    ground = Ground(Policy.SYNC)
    ground.catalog.put_object(namespace_object(registry="edge"))
    thing = replace(namespace_object(registry="edge"), status={"created": True, "id": "ns-1", "registry": "edge"})
    assert (await handlers._removed(ground.context, thing, SINCE)).retry_after is None
    ground.catalog.drop_object(namespace_object())
    service = replace(service_object(), status={"created": True, "id": "srv-1", "registry": RegistryName("edge")})
    assert (await handlers._removed(ground.context, service, SINCE)).retry_after is None
    assert ground.notes.said == [
        ("Retained", f"{what} stays in registry 'edge': that registry is not configured any more")
        for what in ("What RegistryNamespace test-namespace made", "What RegistryService flask-app made")
    ]


async def test_what_nobody_can_name_stays_and_says_so() -> None:
    ground = Ground(Policy.SYNC)
    ground.catalog.drop_object(namespace_object())
    await handlers._removed(ground.context, service_object(), SINCE)
    assert [reason for reason, _ in ground.notes.said] == ["Retained"]


async def test_nothing_is_removed_for_an_object_of_another_cluster_that_has_the_same_name() -> None:
    ground = Ground(Policy.SYNC)
    _, service = made(ground)

    async def vouch() -> None:
        raise ApiElsewhere("another cluster answers")

    result = await handlers._removed(replace(ground.context, vouch=vouch), service, SINCE)
    assert result.retry_after is not None
    assert result.message.endswith("is not removed: another cluster answers")
    assert str(SERVICE) in ground.specs()
    assert (result.status, ground.notes.said) == ({}, [])
