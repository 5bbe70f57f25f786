"""Leading, standing by and leading again in one process: what is kept warm, and what is looked at anew."""

import asyncio

import pytest

from kube_registrar.model.changes import Register
from kube_registrar.model.errors import Unreachable
from kube_registrar.runtime.fence import WRITE_SECONDS
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground

WRITES = (Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH, Op.ENSURE, Op.REMOVE)


@pytest.fixture
def others(ground: Ground) -> Ground:
    """A cluster whose registry another replica may have written to before."""
    ground.straggler_seconds = WRITE_SECONDS
    return ground


def writes(ground: Ground) -> int:
    return sum(1 for call in ground.registry.calls if call.op in WRITES)


async def test_a_standby_keeps_its_wishes_and_asks_no_registry(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("wrong", annotations={"service": "nowhere/web"}))
    await ground.start(leads=False)
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    ground.cluster.delete("flask-app-0")
    await ground.advance(3_600.0)
    assert ground.registry.calls == []
    assert ground.notebook.events == []
    assert {pod.name for pod in ground.engine.wanted.pods.values()} == {"wrong", "flask-app-1"}
    assert len(ground.engine.wanted.wishes) == 2
    assert ground.engine.missing_kinds == frozenset()
    assert ground.engine.queue_depth == 0
    assert ground.engine.is_quiet


async def test_a_new_leader_reads_a_service_in_full_before_it_writes_there(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start(leads=False)
    ground.lead()
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    about_flask = [call.op for call in ground.registry.calls if call.about == FLASK]
    assert about_flask == [Op.INSTANCES, Op.REGISTER]
    assert len(ground.registry.asked(Op.INSTANCES, OTHER)) == 1  # also where nobody wants anything
    assert ground.reasons("flask-app-0") == ["Registered"]


async def test_problems_are_told_by_the_one_who_leads(ground: Ground) -> None:
    ground.cluster.apply(builders.pod(annotations={"service": "nowhere/web"}))
    await ground.start(leads=False)
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == []
    ground.lead()
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == ["UnknownNamespace"]
    await ground.stand_by()
    ground.cluster.annotate("flask-app-0", service="elsewhere/web")
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == ["UnknownNamespace"]
    ground.lead()
    await ground.advance(60.0)
    assert ground.reasons("flask-app-0") == ["UnknownNamespace", "UnknownNamespace"]


async def test_nothing_is_sent_after_leadership_is_lost(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(builders.pod())
    await ground.settle()
    await ground.stand_by()
    before = len(ground.registry.calls)
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    ground.cluster.edit("flask-app-0", ready=False)
    await ground.advance(3_600.0)
    assert len(ground.registry.calls) == before
    assert ground.names() == ["flask-app-0"]


async def test_what_others_did_meanwhile_is_seen_by_the_next_lead(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    await ground.stand_by()
    ground.cluster.edit("flask-app-1", ready=False)
    for name in ground.names():
        ground.registry.drop(FLASK, ground.instance(name).id)  # another leader moved them away, and back no more
    await ground.advance(60.0)
    ground.lead()
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    assert ground.deregistered() == []


async def test_a_pod_that_went_while_another_led_is_deregistered_on_what_the_standby_saw(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.stand_by()
    ground.cluster.delete("flask-app-0")
    await ground.advance(60.0)
    ground.lead()
    await ground.advance(5.0)
    assert ground.names() == []
    assert ground.cluster.lookups == []


async def test_questions_that_were_open_when_leadership_was_lost_are_asked_again(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.stop()
    ground.cluster.lose("flask-app-0")
    ground.cluster.lookup_gate = asyncio.Event()
    await ground.start()
    assert len(ground.cluster.lookups) == 1
    await ground.stand_by()
    ground.cluster.lookup_gate = None
    ground.lead()
    await ground.advance(5.0)
    assert len(ground.cluster.lookups) == 2
    assert ground.names() == []


async def test_every_service_is_read_once_more_when_stragglers_must_have_landed(others: Ground) -> None:
    others.cluster.apply(builders.pod())
    await others.start()
    began = others.clock.monotonic()
    await others.advance(60.0)
    for service in (FLASK, OTHER):
        moments = [call.at - began for call in others.registry.asked(Op.INSTANCES, service)]
        assert moments == [0.0, WRITE_SECONDS]
    assert len(others.registry.asked(Op.REGISTER)) == 1


async def test_without_anybody_else_they_are_not(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    await ground.advance(60.0)
    assert len(ground.registry.asked(Op.INSTANCES, FLASK)) == 1


async def test_a_straggler_of_the_old_leader_is_repaired(others: Ground) -> None:
    others.cluster.apply(builders.pod(annotations={"service": "test-namespace/flask-app", "attributes": "v=1"}))
    await others.start()
    old = others.instance("flask-app-0")
    others.cluster.annotate("flask-app-0", service="test-namespace/flask-app", attributes="v=2")
    await others.advance(60.0)
    await others.stand_by()
    others.lead()
    await others.advance(3.0)
    # What was on the socket lands after the first list of the new leader: a register as of old, for one.
    others.registry.put(FLASK, old)
    assert others.instance("flask-app-0").attributes["v"] == "1"
    await others.advance(1.5)
    assert others.instance("flask-app-0").attributes["v"] == "2"


async def test_a_straggler_that_deregistered_a_live_pod_is_repaired(others: Ground) -> None:
    others.cluster.apply(builders.pod())
    await others.start(leads=False)
    others.lead()
    await others.settle()
    others.registry.drop(FLASK, others.instance("flask-app-0").id)
    await others.advance(WRITE_SECONDS + 0.5)
    assert others.names() == ["flask-app-0"]


async def test_the_second_look_comes_once_a_lead(others: Ground) -> None:
    others.cluster.apply(builders.pod())
    await others.start()
    await others.advance(60.0)
    await others.stand_by()
    await others.advance(60.0)
    assert len(others.registry.asked(Op.INSTANCES, FLASK)) == 2
    others.lead()
    await others.advance(60.0)
    assert len(others.registry.asked(Op.INSTANCES, FLASK)) == 4


async def test_what_the_fence_refused_is_no_event(ground: Ground) -> None:
    await ground.start()
    ground.fence.close()
    ground.cluster.apply(builders.pod())
    await ground.advance(1.0)
    assert writes(ground) == 0
    await ground.stand_by()
    assert ground.reasons("flask-app-0") == []
    ground.fence.open_until(ground.clock.monotonic() + 3_600.0)
    ground.lead()
    await ground.settle()
    assert ground.names() == ["flask-app-0"]
    assert ground.reasons("flask-app-0") == ["Registered"]


async def test_a_write_on_its_way_when_leadership_was_lost_is_looked_at_by_the_next(others: Ground) -> None:
    await others.start()
    others.registry.faults.delay(Op.REGISTER, 3.0)
    others.cluster.apply(builders.pod())
    await others.settle()
    assert isinstance(others.registry.asked(Op.REGISTER)[0].change, Register)
    await others.stand_by()
    others.cluster.edit("flask-app-0", ready=False)
    others.lead()
    await others.advance(1.0)
    assert others.names() == []
    await others.advance(WRITE_SECONDS)
    assert others.names() == []
    assert others.deregistered() != []


async def test_the_first_look_is_waited_for_but_not_longer_than_asked(ground: Ground) -> None:
    ground.registry.faults.delay(Op.INSTANCES, 10.0)
    await ground.start(leads=False)
    patient = asyncio.create_task(ground.engine.first_look(60.0))
    ground.lead()
    hasty = asyncio.create_task(ground.engine.first_look(3.0))
    await ground.advance(2.0)
    assert not hasty.done()
    await ground.advance(2.0)
    assert hasty.done()
    await ground.advance(5.0)
    assert not patient.done()
    await ground.advance(2.0)
    assert patient.done()


async def test_a_registry_that_cannot_be_read_has_been_looked_at(ground: Ground) -> None:
    ground.registry.faults.fail(Op.FIND, Unreachable("no connection"), times=None)
    await ground.start()
    waiting = asyncio.create_task(ground.engine.first_look(60.0))
    await ground.advance(2.0)
    assert waiting.done()
