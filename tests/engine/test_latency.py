"""How long pods waited for their registrations, and what somebody else changed: counted where it was so, only there."""

from dataclasses import replace

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Retryable, Unreachable
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground


async def test_it_is_counted_from_ready_to_confirmed(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 2.0)
    ground.cluster.apply(builders.pod("web", ready=False))
    await ground.advance(60.0)
    ground.cluster.edit("web", ready=True)
    await ground.advance(5.0)
    assert ground.notebook.latencies == [2.0]


async def test_failures_and_lost_replies_on_the_way_are_part_of_it(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Retryable("busy", after=10.0))
    ground.cluster.apply(builders.pod("web"))
    await ground.advance(15.0)
    ground.registry.faults.lose_reply(Op.REGISTER)
    ground.cluster.apply(builders.pod("lost", ips=("10.0.0.2",)))
    await ground.advance(15.0)
    assert ground.names() == ["lost", "web"]
    assert [seconds >= expected for seconds, expected in zip(ground.notebook.latencies, (10.0, 0.0), strict=True)] == [
        True,
        True,
    ]


async def test_what_was_registered_before_a_restart_was_not_waited_for(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web"))
    await ground.start()
    assert ground.notebook.latencies == [0.0]
    await ground.restart()
    await ground.advance(700.0)
    assert ground.notebook.latencies == [0.0]
    assert ground.engine._latency._since == {}


async def test_a_repair_of_what_somebody_else_did_is_drift_and_no_registration(ground: Ground) -> None:
    for number in range(3):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    registered = len(ground.notebook.latencies)
    gone, spoiled = ground.instance("web-0"), ground.instance("web-1")
    ground.registry.drop(FLASK, gone.id)
    ground.registry.put(FLASK, replace(spoiled, attributes={**spoiled.attributes, keys.IPV4: "10.9.9.9"}))
    await ground.advance(750.0)
    assert ground.names() == ["web-0", "web-1", "web-2"]
    assert ground.instance("web-1") == spoiled
    assert ground.notebook.drift == {"default": 2}
    assert len(ground.notebook.latencies) == registered
    await ground.advance(1_500.0)
    assert ground.notebook.drift == {"default": 2}


async def test_our_own_writes_are_no_drift_whatever_becomes_of_them(ground: Ground) -> None:
    await ground.start()
    for number in range(4):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.settle()
    ground.registry.faults.lose_reply(Op.DEREGISTER)
    ground.cluster.delete("web-0")
    ground.registry.faults.straggle(Op.DEREGISTER, 20.0)
    ground.cluster.delete("web-1")
    await ground.advance(60.0)
    ground.registry.faults.fail(Op.REGISTER, Unreachable("lost", doubtful=True))
    ground.cluster.annotate("web-2", service="test-namespace/flask-app", attributes="stage=dev")
    await ground.advance(700.0)
    assert ground.names() == ["web-2", "web-3"]
    assert ground.notebook.drift == {}


async def test_a_pod_that_goes_before_it_is_registered_is_forgotten(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Retryable("busy", after=100.0), times=None)
    ground.cluster.apply(builders.pod("web"))
    await ground.settle()
    ground.cluster.delete("web")
    await ground.advance(200.0)
    assert ground.notebook.latencies == []
    assert ground.engine._latency._since == {}


async def test_a_pod_that_flaps_while_it_leaves_waited_until_it_was_back(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web"))
    await ground.start()
    ground.registry.faults.delay(Op.DEREGISTER, 5.0)
    ground.cluster.edit("web", ready=False)
    await ground.advance(1.0)
    ground.cluster.edit("web", ready=True)
    await ground.advance(10.0)
    assert ground.notebook.latencies == [0.0, 4.0]


async def test_plans_and_their_waits_are_measured(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web"))
    await ground.start()
    assert ground.notebook.results["service", "ok"] >= 2
    assert ground.notebook.results["service", "error"] == 0
    assert set(ground.notebook.waits) == {0.0}
