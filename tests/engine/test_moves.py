"""Moves: a new registration is confirmed before the old one goes; a reused address is left before it is taken."""

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused, Unreachable
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import EDGE, FLASK, OTHER, Ground

FLASK_TEXT, OTHER_TEXT = "test-namespace/flask-app", "test-namespace/other"


def effects(ground: Ground) -> list[tuple[str, bool]]:
    """Return (service, came?) of every write that took effect."""
    return [(effect.service.name, effect.attributes is not None) for effect in ground.registry.history]


async def test_a_pod_that_moves_is_in_its_new_service_before_it_leaves_the_old_one(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    ground.cluster.annotate("flask-app-0", service=OTHER_TEXT)
    await ground.advance(4.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], [])
    await ground.advance(2.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], ["flask-app-0"])
    assert effects(ground) == [("flask-app", True), ("other", True), ("flask-app", False)]


async def test_a_pod_that_changes_its_port_has_the_new_instance_before_the_old_one_goes(ground: Ground) -> None:
    ground.cluster.apply(builders.pod(annotations={"service": FLASK_TEXT, "port": "8080"}))
    await ground.start()
    ground.cluster.annotate("flask-app-0", service=FLASK_TEXT, port="9090")
    await ground.advance(1.0)
    assert ground.instance("flask-app-0").attributes[keys.PORT] == "9090"
    assert effects(ground) == [("flask-app", True), ("flask-app", True), ("flask-app", False)]


async def test_a_move_whose_target_refuses_leaves_the_old_instance(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Refused("full", field="instances", rule="at most 1"), times=None)
    ground.cluster.annotate("flask-app-0", service=OTHER_TEXT)
    await ground.advance(600.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], [])
    ground.registry.faults.heal()
    await ground.advance(31.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], ["flask-app-0"])


async def test_a_move_that_is_taken_back_changes_nothing(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Refused("full"), times=None)
    ground.cluster.annotate("flask-app-0", service=OTHER_TEXT)
    await ground.advance(60.0)
    ground.cluster.annotate("flask-app-0", service=FLASK_TEXT)
    ground.registry.faults.heal()
    await ground.advance(60.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], [])
    assert len(ground.registry.history) == 1


async def test_a_pod_that_ends_while_it_moves_leaves_both_places(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    ground.cluster.annotate("flask-app-0", service=OTHER_TEXT)
    await ground.advance(1.0)
    ground.cluster.edit("flask-app-0", terminating=True)
    await ground.settle()
    assert ground.names(FLASK) == []
    await ground.advance(5.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], [])
    assert effects(ground)[-2:] == [("other", True), ("other", False)]


@pytest.mark.parametrize("lost", ["lose_reply", "straggle"])
async def test_a_move_whose_confirmation_is_lost_ends_once_a_list_shows_it(ground: Ground, lost: str) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    if lost == "lose_reply":
        ground.registry.faults.lose_reply(Op.REGISTER)
    else:
        ground.registry.faults.straggle(Op.REGISTER, 20.0)
        ground.registry.faults.fail(Op.REGISTER, Refused("not twice"), times=None)
    ground.cluster.annotate("flask-app-0", service=OTHER_TEXT)
    await ground.advance(60.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], ["flask-app-0"])


async def test_a_move_within_a_registry_waits_for_no_other_registry(two_registries: Ground) -> None:
    ground = two_registries
    edge = f"edge:{FLASK_TEXT}"
    ground.cluster.apply(builders.pod(annotations={"service": f"{FLASK_TEXT},{edge}"}))
    await ground.start()
    ground.registries[EDGE].faults.fail(Op.REGISTER, Unreachable("down"), times=None)
    ground.cluster.annotate("flask-app-0", service=f"{OTHER_TEXT},{edge}", attributes="stage=dev")
    await ground.advance(10.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], ["flask-app-0"])
    assert ground.names(builders.service_ref(FLASK_TEXT, EDGE)) == ["flask-app-0"]


async def test_a_move_to_another_registry_waits_for_that_one(two_registries: Ground) -> None:
    ground = two_registries
    there = builders.service_ref(FLASK_TEXT, EDGE)
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.registries[EDGE].faults.delay(Op.REGISTER, 30.0)
    ground.cluster.annotate("flask-app-0", service=f"edge:{FLASK_TEXT}")
    await ground.advance(29.0)
    assert (ground.names(FLASK), ground.names(there)) == (["flask-app-0"], [])
    await ground.advance(2.0)
    assert (ground.names(FLASK), ground.names(there)) == ([], ["flask-app-0"])


async def test_the_old_holder_of_an_address_goes_before_the_new_one_comes(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("old"))
    await ground.start()
    ground.registry.faults.delay(Op.DEREGISTER, 5.0)
    ground.cluster.delete("old")
    ground.cluster.apply(builders.pod("new"))
    await ground.advance(4.0)
    assert ground.names() == ["old"]
    await ground.advance(1.5)
    assert ground.names() == ["new"]
    assert effects(ground) == [("flask-app", True), ("flask-app", False), ("flask-app", True)]


async def test_an_address_with_a_new_holder_is_evidence_that_the_old_one_is_gone(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("old"))
    await ground.start()
    ground.cluster.lose("old")
    ground.cluster.relist()
    ground.cluster.lookup_error = RuntimeError("500")
    await ground.advance(60.0)
    assert ground.names() == ["old"]
    ground.cluster.apply(builders.pod("new"))
    await ground.advance(1.0)
    assert ground.names() == ["new"]
    assert ground.notebook.events[-2].message.endswith("its address belongs to another live pod")


async def test_the_same_address_on_another_port_belongs_to_another_pod_on_the_node(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("one", annotations={"service": FLASK_TEXT, "port": "8080"}))
    ground.cluster.apply(builders.pod("two", annotations={"service": FLASK_TEXT, "port": "9090"}))
    await ground.start()
    assert ground.names() == ["one", "two"]
    ground.cluster.annotate("one", service="///")
    await ground.advance(60.0)
    assert ground.names() == ["one", "two"]


async def test_an_address_that_is_being_left_delays_nobody_with_another(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("old"))
    await ground.start()
    ground.registry.faults.delay(Op.DEREGISTER, 60.0)
    ground.cluster.delete("old")
    ground.cluster.apply(builders.pod("new"))
    ground.cluster.apply(builders.pod("other", ips=("10.0.0.2",)))
    await ground.settle()
    assert ground.names() == ["old", "other"]
