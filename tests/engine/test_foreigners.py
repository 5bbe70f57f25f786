"""What is not ours is never touched: other clusters', other people's, and what only looks like ours."""

from collections.abc import AsyncIterator

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Conflict, Refused
from kube_registrar.model.refs import Uid
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground

TWIN = Uid(builders.CLUSTER_UID + "0")  # a prefix pair


@pytest.fixture
async def twin(ground: Ground) -> AsyncIterator[Ground]:
    """A second cluster on the same registry; its UID begins with that of the first."""
    twin = Ground(cluster_uid=TWIN, like=ground)
    yield twin
    await twin.stop()
    assert twin.violations == []


def foreigners() -> list[object]:
    """Return instances that are not this cluster's, whatever they carry."""
    uid = builders.CLUSTER_UID
    bare = builders.registration("theirs").instance.attributes
    return [
        builders.instance("i-0123456789", {"stage": "dev"}),
        builders.instance("no-attributes"),
        builders.registration("another", cluster_uid=TWIN).instance,
        builders.registration("prefix", cluster_uid=Uid(uid[:-1])).instance,
        builders.registration("upper", cluster_uid=Uid(uid.upper() + " ")).instance,
        builders.instance("no-cluster", {k: v for k, v in bare.items() if k != keys.CLUSTER_UID}),
        builders.instance("no-pod", {k: v for k, v in bare.items() if k != keys.POD_UID}),
    ]


async def test_foreign_instances_are_never_touched(ground: Ground) -> None:
    there = foreigners()
    for instance in there:
        ground.registry.put(FLASK, instance)  # type: ignore[arg-type]
    before = ground.registry.held(FLASK)
    ground.cluster.apply(builders.pod(ips=("10.0.0.1",)))  # the very address that they have
    await ground.start()
    ground.cluster.delete("flask-app-0")
    await ground.advance(1_500.0)
    assert ground.registry.held(FLASK) == before
    assert ground.cluster.lookups == []


async def test_an_id_of_ours_that_somebody_else_has_is_left_to_them_and_told_once(ground: Ground) -> None:
    ours = builders.registration("flask-app-0").instance.id
    ground.registry.put(FLASK, builders.instance(ours, {"by": "hand"}))
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    await ground.advance(900.0)
    assert ground.registry.held(FLASK)[ours].attributes["by"] == "hand"
    assert ground.names() == ["flask-app-1"]
    assert ground.reasons("flask-app-0") == ["RegistrationFailed"]
    ground.registry.drop(FLASK, ours)
    await ground.advance(61.0)
    assert ground.names() == ["flask-app-0", "flask-app-1"]


async def test_foreign_attributes_that_no_list_has_shown_yet_survive_our_writes(ground: Ground) -> None:
    service = "test-namespace/flask-app"
    ground.cluster.apply(builders.pod())
    await ground.start()
    for number, pause in enumerate((0.0, 0.1, 1.0, 5.0, 100.0)):
        await ground.advance(pause)
        instance = ground.instance("flask-app-0")
        added = {**instance.attributes, f"added-{number}": "yes"}
        ground.registry.put(FLASK, builders.instance(instance.id, added))
        ground.cluster.annotate("flask-app-0", service=service, attributes=f"stage=s{number}")
        await ground.settle()
        attributes = ground.instance("flask-app-0").attributes
        assert attributes["stage"] == f"s{number}"
        assert [key for key in attributes if key.startswith("added-")] == [f"added-{n}" for n in range(number + 1)]


async def test_what_was_written_while_a_list_was_under_way_is_looked_at_once_more(ground: Ground) -> None:
    service = "test-namespace/flask-app"
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 1.0)
    ground.registry.faults.delay(Op.INSTANCES, 2.0)
    await ground.advance(700.0 - ground.clock.monotonic() % 100)
    ground.cluster.annotate("flask-app-0", service=service, attributes="stage=s1")
    await ground.advance(10.0)
    before = ground.instance("flask-app-0")
    assert before.attributes["stage"] == "s1"
    ground.registry.put(FLASK, builders.instance(before.id, {**before.attributes, "weight": "5"}))
    ground.cluster.annotate("flask-app-0", service=service, attributes="stage=s2")
    await ground.advance(10.0)
    attributes = ground.instance("flask-app-0").attributes
    assert (attributes["stage"], attributes["weight"]) == ("s2", "5")


async def test_a_hundred_instances_that_change_together_cost_one_list(ground: Ground) -> None:
    pods = [f"flask-app-{number}" for number in range(100)]
    for number, name in enumerate(pods):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.0.{number}",)))
    await ground.start()
    await ground.advance(60.0)
    before = len(ground.registry.asked(Op.INSTANCES))
    for name in pods:
        ground.cluster.annotate(name, service="test-namespace/flask-app", attributes="stage=new")
    await ground.settle()
    assert {ground.instance(name).attributes["stage"] for name in pods} == {"new"}
    assert len(ground.registry.asked(Op.INSTANCES)) == before + 1


async def test_what_is_there_is_not_overwritten_while_nobody_can_look(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(60.0)
    instance = ground.instance("flask-app-0")
    ground.registry.put(FLASK, builders.instance(instance.id, {**instance.attributes, "weight": "5"}))
    ground.registry.faults.fail(Op.INSTANCES, Refused("no right to list"), times=3)
    ground.cluster.annotate("flask-app-0", service="test-namespace/flask-app", attributes="stage=new")
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.advance(0.5)
    assert ground.names() == ["flask-app-0", "flask-app-1"], "what is new waits for nobody"
    assert "stage" not in ground.instance("flask-app-0").attributes
    await ground.advance(60.0)
    attributes = ground.instance("flask-app-0").attributes
    assert (attributes["stage"], attributes["weight"]) == ("new", "5")


async def test_foreign_attributes_survive_every_write_of_ours(ground: Ground) -> None:
    service = "test-namespace/flask-app"
    ground.cluster.apply(builders.pod())
    await ground.start()
    instance = ground.instance("flask-app-0")
    ground.registry.put(FLASK, builders.instance(instance.id, {**instance.attributes, "weight": "5"}))
    await ground.advance(700.0)  # a resync has seen it
    for number in range(3):
        ground.cluster.annotate("flask-app-0", service=service, attributes=f"stage=s{number}")
        await ground.settle()
        attributes = ground.instance("flask-app-0").attributes
        assert (attributes["stage"], attributes["weight"]) == (f"s{number}", "5")


async def test_who_was_overtaken_looks_before_it_writes_again_and_tells_nobody(ground: Ground) -> None:
    """Also of what no list had shown: somebody else wrote it while ours was on its way."""
    await ground.start()
    await ground.advance(60.0)
    ours = builders.registration("flask-app-0").instance
    ground.registry.faults.delay(Op.REGISTER, 1.0)
    ground.registry.faults.fail(Op.REGISTER, Conflict("somebody else has written it meanwhile"), times=1)
    ground.cluster.apply(builders.pod())
    await ground.advance(0.5)
    ground.registry.put(FLASK, builders.instance(ours.id, {**ours.attributes, keys.IPV4: "10.9.9.9", "weight": "5"}))
    await ground.advance(3.0)
    attributes = ground.instance("flask-app-0").attributes
    assert (attributes[keys.IPV4], attributes.get("weight")) == ("10.0.0.1", "5")
    assert ground.reasons("flask-app-0") == ["Registered"]


async def test_who_is_overtaken_again_and_again_says_so(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Conflict("somebody else has written it meanwhile"), times=4)
    ground.cluster.apply(builders.pod())
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.reasons("flask-app-0")[0] == "RegistrationFailed"


async def test_what_a_foreign_writer_removed_or_spoiled_is_repaired_by_a_resync(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    gone, spoiled = ground.instance("flask-app-0"), ground.instance("flask-app-1")
    ground.registry.drop(FLASK, gone.id)
    ground.registry.put(FLASK, builders.instance(spoiled.id, {**spoiled.attributes, keys.IPV4: "10.9.9.9"}))
    await ground.advance(730.0)
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    assert ground.instance("flask-app-1").attributes[keys.IPV4] == "10.0.0.2"


async def test_a_copy_of_an_own_instance_under_another_id_goes(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.put(FLASK, builders.instance("copy", ground.instance("flask-app-0").attributes))
    await ground.restart()
    await ground.advance(5.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.deregistered() == ["copy"]


async def test_two_clusters_share_a_service_and_never_touch_each_other(ground: Ground, twin: Ground) -> None:
    for cluster in (ground, twin):
        for number in range(3):  # the same names, UIDs and addresses
            cluster.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
        await cluster.start()
    await ground.advance(700.0)
    assert ground.names() == twin.names() == ["web-0", "web-1", "web-2"]
    assert len(ground.registry.held(FLASK)) == 6
    ground.cluster.delete("web-0")
    twin.cluster.lose("web-1")
    twin.cluster.relist()
    await ground.restart()
    await ground.advance(700.0)
    assert ground.names() == ["web-1", "web-2"]
    assert twin.names() == ["web-0", "web-2"]
    writes = [effect.attributes is not None for effect in ground.registry.history]
    assert (writes.count(True), writes.count(False)) == (6, 2)


async def test_a_cluster_that_is_gone_leaves_its_instances_to_others_untouched(ground: Ground, twin: Ground) -> None:
    twin.cluster.apply(builders.pod("web-0"))
    await twin.start()
    await twin.stop()
    ground.cluster.apply(builders.pod("web-0"))
    await ground.start()
    await ground.advance(1_500.0)
    assert twin.names() == ["web-0"]
    assert ground.registry.asked(Op.DEREGISTER) == []
