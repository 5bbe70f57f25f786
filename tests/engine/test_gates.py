"""The readiness gate: it opens once a pod is registered, never before, and never closes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.cluster.errors import ApiConflict, ApiError, ApiForbidden, ApiThrottled, ApiUnreachable
from kube_registrar.model.errors import NotFound, Refused, Unreachable
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import Endpoint, KubeService, Pod, ServicePort, Slice
from kube_registrar.model.refs import DEFAULT_REGISTRY, Uid
from kube_registrar.sync.gates import AGAIN_SECONDS, GRACE_SECONDS
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import EDGE, FLASK, OTHER, Ground, registry_service

EDGE_FLASK = builders.service_ref("test-namespace/flask-app", EDGE)


def gated(name: str = "web", **overrides: Any) -> Pod:
    """Return a pod that lists the gate and whose containers are ready."""
    return builders.pod(name, **({"gated": True} | overrides))


async def test_a_gate_opens_once_the_registration_is_confirmed_and_not_before(ground: Ground) -> None:
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    ground.cluster.apply(gated())
    await ground.start()
    await ground.advance(4.9)
    assert ground.cluster.opened == []
    await ground.advance(0.2)
    [(name, reason, message)] = ground.cluster.opened
    assert (name, reason) == ("web", "Registered")
    assert message == f"Registered as {ground.instance('web').id} in {FLASK}"


async def test_it_is_opened_in_the_moment_of_the_confirmation(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(gated())
    await ground.settle()  # no time passes
    assert ground.cluster.reason_of_gate("web") == "Registered"


async def test_a_pod_whose_containers_are_not_ready_waits(ground: Ground) -> None:
    ground.cluster.apply(gated(ready=False))
    await ground.start()
    await ground.advance(60.0)
    assert ground.cluster.gate_attempts == []
    ground.cluster.edit("web", ready=True)
    await ground.settle()
    assert ground.cluster.reason_of_gate("web") == "Registered"


async def test_a_gate_waits_for_every_registry(two_registries: Ground) -> None:
    ground = two_registries
    ground.registries[EDGE].faults.fail(Op.REGISTER, Unreachable("down"), times=5)
    both = {"service": "test-namespace/flask-app,edge:test-namespace/flask-app", "port": "http"}
    ground.cluster.apply(gated(annotations=both))
    await ground.start()
    assert ground.names() == ["web"]
    assert ground.cluster.opened == []
    await ground.advance(60.0)
    assert ground.cluster.reason_of_gate("web") == "Registered"
    assert all(str(service) in ground.cluster.opened[0][2] for service in (FLASK, EDGE_FLASK))


async def test_an_outage_of_the_registry_closes_no_gate_and_new_pods_wait_for_its_end(ground: Ground) -> None:
    for number in range(5):
        ground.cluster.apply(gated(f"web-{number}", ips=(f"10.0.1.{number + 1}",)))
    await ground.start()
    assert len(ground.cluster.opened) == 5
    for op in (Op.FIND, Op.INSTANCES, Op.REGISTER, Op.DEREGISTER):
        ground.registry.faults.fail(op, Unreachable("down"), times=100_000)
    ground.cluster.apply(gated("new", ips=("10.0.2.1",)))
    await ground.advance(600.0)
    assert len(ground.cluster.gate_attempts) == 5
    assert [ground.cluster.pods["default", f"web-{number}"].gate for number in range(5)] == ["True"] * 5  # type: ignore[union-attr]
    ground.registry.faults.heal()
    await ground.advance(60.0)
    assert ground.cluster.reason_of_gate("new") == "Registered"
    assert len(ground.cluster.gate_attempts) == 6


async def test_a_pod_that_waits_while_the_registry_was_never_read_is_not_taken_for_one_that_wants_nothing(
    ground: Ground,
) -> None:
    for op in (Op.FIND, Op.INSTANCES):
        ground.registry.faults.fail(op, Unreachable("down"), times=100_000)
    ground.cluster.apply(gated())
    await ground.start()
    await ground.advance(600.0)
    assert ground.cluster.gate_attempts == []
    ground.registry.faults.heal()
    await ground.advance(60.0)
    assert ground.cluster.reason_of_gate("web") == "Registered"


async def test_another_gate_that_is_closed_keeps_neither_registration_nor_ours_back(ground: Ground) -> None:
    # `ready` of a gated pod is its ContainersReady: whatever another gate says is not in it (test_projection).
    ground.cluster.apply(gated(ready=True))
    await ground.start()
    assert ground.names() == ["web"]
    assert ground.cluster.reason_of_gate("web") == "Registered"


@pytest.mark.parametrize("annotations", [{}, {"service": "test-namespace/flask-app", "register": "false"}])
async def test_a_pod_that_wants_nothing_is_let_through_once_that_is_certain(
    ground: Ground, annotations: dict[str, str]
) -> None:
    await ground.start()
    ground.cluster.apply(gated(annotations=annotations))
    await ground.advance(GRACE_SECONDS - 0.1)
    assert ground.cluster.opened == []
    await ground.advance(0.2)
    assert ground.cluster.reason_of_gate("web") == "NothingToRegister"
    assert ground.names() == []


async def test_what_asks_for_a_pod_a_moment_after_it_is_waited_for(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(gated(annotations={}, labels={"app": "web"}))
    await ground.advance(GRACE_SECONDS / 2)
    plain = registry_service("flask-app")
    selects = {**plain.spec, "selector": {"matchLabels": {"app": "web"}}}
    ground.engine.intake.object_applied(replace(plain, spec=selects))
    await ground.advance(0.1)
    assert ground.cluster.reason_of_gate("web") == "Registered"
    await ground.advance(60.0)
    assert len(ground.cluster.opened) == 1


async def test_a_gated_pod_behind_an_annotated_service_waits_for_its_endpoint(ground: Ground) -> None:
    await ground.start()
    annotations = {"service": "test-namespace/flask-app", "port": "http"}
    service = KubeService(
        "default", "web", Uid("svc"), annotations, selector={"app": "web"}, ports=(ServicePort("http", 80),)
    )
    ground.engine.intake.service_applied(service)
    pod = gated(annotations={}, labels={"app": "web"})
    ground.cluster.apply(pod)
    await ground.advance(600.0)
    assert ground.cluster.gate_attempts == []  # its selector matches, and its first endpoint is not there yet
    # Kubernetes calls the endpoint of a pod with a closed gate not ready, and that must not matter.
    endpoint = Endpoint(pod.ips, ready=False, serving=False, pod=pod.name, pod_uid=pod.uid)
    ground.engine.intake.slice_applied(Slice("default", "web-1", Uid("slice"), "web", (endpoint,), (("http", 8080),)))
    await ground.settle()
    assert ground.names() == ["web"]
    assert ground.cluster.reason_of_gate("web") == "Registered"


async def test_a_pod_that_the_registry_refuses_stays_closed_and_is_told(ground: Ground) -> None:
    ground.registry.faults.fail(Op.REGISTER, Refused("too many attributes"), times=100_000)
    ground.cluster.apply(gated())
    await ground.start()
    await ground.advance(600.0)
    assert ground.cluster.gate_attempts == []
    assert "RegistrationFailed" in ground.reasons("web")


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({"service": "test-namespace/nowhere"}, "UnknownService"),
        ({"service": "test-namespace/flask-app", "port": "nonsense"}, "InvalidPort"),
        ({"service": "test-namespace/flask-app,nowhere/flask-app"}, "UnknownNamespace"),
    ],
)
async def test_a_pod_that_asks_for_what_cannot_be_stays_closed_until_that_is_corrected(
    ground: Ground, annotations: dict[str, str], reason: str
) -> None:
    ground.cluster.apply(gated(annotations=annotations))
    await ground.start()
    await ground.advance(600.0)
    assert ground.cluster.gate_attempts == []
    assert reason in ground.reasons("web")
    ground.cluster.annotate("web", service="test-namespace/flask-app", port="http")
    await ground.settle()
    assert ground.cluster.reason_of_gate("web") == "Registered"


async def test_somebody_elses_instance_under_the_pods_id_keeps_the_gate_closed(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web"))
    await ground.start()
    instance = ground.instance("web")
    await ground.stop()
    ground.registry.put(FLASK, builders.instance(instance.id))
    ground.cluster.edit("web", gated=True)
    for policy in (Policy.SYNC, Policy.CREATE_ONLY):
        ground.policies[DEFAULT_REGISTRY] = policy
        await ground.start()
        await ground.advance(60.0)
        assert ground.cluster.gate_attempts == []
        await ground.stop()


async def test_under_observe_nothing_blocks_a_rollout_and_nothing_is_written(ground: Ground) -> None:
    ground.policies[DEFAULT_REGISTRY] = Policy.OBSERVE
    ground.cluster.apply(gated())
    ground.cluster.apply(gated("lost", annotations={"service": "test-namespace/not-made-yet"}))
    ground.cluster.apply(gated("wrong", annotations={"service": "test-namespace/flask-app", "port": "nonsense"}))
    await ground.start()
    await ground.advance(5.0)
    assert ground.cluster.reason_of_gate("web") == "Withheld"
    messages = {name: message for name, _, message in ground.cluster.opened}
    assert "policy of registry 'default' is observe" in messages["web"]
    assert ground.cluster.reason_of_gate("lost") == "Withheld"
    assert ground.cluster.reason_of_gate("wrong") == ""  # it is the author's to correct, whatever the policy
    assert ground.names() == []


async def test_under_observe_an_outage_of_the_registry_blocks_no_rollout_either(ground: Ground) -> None:
    ground.policies[DEFAULT_REGISTRY] = Policy.OBSERVE
    ground.registry.faults.fail(Op.FIND, Unreachable("down"), times=100_000)
    ground.cluster.apply(gated())
    await ground.start()
    await ground.advance(60.0)
    assert ground.cluster.reason_of_gate("web") == "Withheld"


async def test_a_registry_that_is_observed_does_not_let_a_pod_pass_that_another_one_refuses(
    two_registries: Ground,
) -> None:
    ground = two_registries
    ground.policies[EDGE] = Policy.OBSERVE
    ground.registry.faults.fail(Op.REGISTER, Refused("no"), times=10)
    both = {"service": "test-namespace/flask-app,edge:test-namespace/flask-app", "port": "http"}
    ground.cluster.apply(gated(annotations=both))
    await ground.start()
    assert ground.cluster.gate_attempts == []
    await ground.advance(300.0)
    assert ground.cluster.reason_of_gate("web") == "Withheld"
    assert ground.names() == ["web"]


async def test_under_create_only_an_instance_that_may_not_be_changed_does_not_block(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("web"))
    await ground.start()
    await ground.stop()
    ground.policies[DEFAULT_REGISTRY] = Policy.CREATE_ONLY
    ground.cluster.edit("web", gated=True, ips=("10.0.0.9",))
    await ground.start()
    await ground.advance(5.0)
    assert ground.cluster.reason_of_gate("web") == "Withheld"


async def test_a_restart_with_open_gates_writes_none_of_them(ground: Ground) -> None:
    for number in range(3):
        ground.cluster.apply(gated(f"web-{number}", ips=(f"10.0.1.{number + 1}",)))
    await ground.start()
    ground.cluster.gate_attempts.clear()
    await ground.restart()
    await ground.advance(1_300.0)
    assert ground.cluster.gate_attempts == []


async def test_a_pod_that_was_registered_before_a_restart_is_opened_after_it(ground: Ground) -> None:
    ground.cluster.gate_errors["web"] = [ApiUnreachable("down")] * 100
    ground.cluster.apply(gated())
    await ground.start()
    await ground.stop()
    assert (ground.names(), ground.cluster.opened) == (["web"], [])
    del ground.cluster.gate_errors["web"]
    await ground.start()
    assert ground.cluster.reason_of_gate("web") == "Registered"
    assert len(ground.registry.asked(Op.REGISTER)) == 1


async def test_an_open_gate_stays_open_through_all_that_happens_to_the_registration(ground: Ground) -> None:
    ground.cluster.apply(gated())
    await ground.start()
    ground.registry.drop(FLASK, ground.instance("web").id)  # drift
    ground.registry.faults.fail(Op.REGISTER, Refused("quota"), times=3)
    await ground.restart()
    ground.cluster.annotate("web", service="test-namespace/nowhere")
    await ground.advance(60.0)
    ground.cluster.annotate("web", service="test-namespace/other", port="http")
    await ground.advance(60.0)
    ground.cluster.edit("web", ready=False)
    await ground.advance(60.0)
    assert ground.cluster.pods["default", "web"].gate == "True"  # type: ignore[union-attr]
    assert len(ground.cluster.gate_attempts) == 1


async def test_a_pod_that_becomes_ready_again_while_its_deregistration_is_under_way_waits_for_its_new_one(
    ground: Ground,
) -> None:
    ground.cluster.gate_errors["web"] = [ApiThrottled("busy", after=10.0)]
    ground.cluster.apply(gated())
    await ground.start()
    assert ground.names() == ["web"]
    ground.registry.faults.delay(Op.DEREGISTER, 60.0)
    ground.cluster.edit("web", ready=False)
    await ground.advance(5.0)
    ground.cluster.edit("web", ready=True)
    await ground.advance(50.0)
    assert ground.names() == ["web"]  # the old one, on its way out
    assert ground.cluster.opened == []
    await ground.advance(10.0)
    assert ground.names() == ["web"]
    assert ground.cluster.reason_of_gate("web") == "Registered"


FAILURES: list[Callable[[], Exception]] = [
    lambda: ApiConflict("it changed", status=409),
    lambda: ApiForbidden("pods/status is forbidden", status=403),
    lambda: ApiError("internal error", status=500),
    lambda: ApiThrottled("slowly", after=3.0),
    lambda: ApiUnreachable("timed out"),
    lambda: RuntimeError("a mistake"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure()).__name__)
async def test_whatever_goes_wrong_with_one_gate_it_is_tried_again_and_delays_no_other(
    ground: Ground, failure: Callable[[], Exception]
) -> None:
    ground.cluster.gate_errors["web"] = [failure() for _ in range(3)]
    ground.cluster.apply(gated())
    ground.cluster.apply(gated("other", ips=("10.0.2.1",)))
    await ground.start()
    assert ground.cluster.reason_of_gate("other") == "Registered"
    assert ground.cluster.opened != []
    await ground.advance(600.0)
    assert ground.cluster.reason_of_gate("web") == "Registered"
    assert ground.cluster.gate_attempts.count("web") == 4


async def test_a_missing_right_is_told_once_in_the_log_and_on_each_pod(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    for name, number in (("web-0", 0), ("web-1", 1)):
        ground.cluster.gate_errors[name] = [ApiForbidden("pods/status is forbidden", status=403) for _ in range(1000)]
        ground.cluster.apply(gated(name, ips=(f"10.0.1.{number + 1}",)))
    await ground.start()
    await ground.advance(3_600.0)
    said = [record.getMessage() for record in caplog.records if "patch pods/status" in record.getMessage()]
    assert len(said) == 1
    assert "\n" not in said[0]
    for name in ("web-0", "web-1"):
        assert ground.reasons(name) == ["Registered", "GateNotOpened"]
    assert 10 < len(ground.cluster.gate_attempts) < 100  # slowly
    ground.cluster.gate_errors.clear()
    await ground.advance(300.0)
    assert {name for name, _, _ in ground.cluster.opened} == {"web-0", "web-1"}


async def test_a_failure_that_goes_on_is_told_on_the_pod_once(ground: Ground) -> None:
    ground.cluster.gate_errors["web"] = [ApiError("an admission webhook says no", status=500) for _ in range(50)]
    ground.cluster.apply(gated())
    await ground.start()
    assert ground.reasons("web") == ["Registered"]
    await ground.advance(600.0)
    assert ground.reasons("web") == ["Registered", "GateNotOpened"]
    assert ground.notebook.events[-1].message == (
        "The readiness gate kube-registrar.dev/registered could not be opened: an admission webhook says no. "
        "It is tried again by itself"
    )


async def test_a_pod_that_was_replaced_under_its_name_is_not_opened_in_place_of_the_old_one(ground: Ground) -> None:
    await ground.start()
    ground.cluster.hidden.add(("default", "web"))
    old = gated()
    ground.cluster.apply(gated(uid=Uid("new"), ready=False))
    ground.engine.pod_applied(old)  # the watch is late: this one is gone already
    await ground.advance(5.0)
    assert ground.names() == ["web"]
    assert ground.cluster.gate_attempts != []
    assert ground.cluster.opened == []
    assert ground.reasons("web") == ["Registered"]
    ground.engine.pod_deleted(old, seen=True)
    attempts = len(ground.cluster.gate_attempts)
    await ground.advance(600.0)
    assert len(ground.cluster.gate_attempts) == attempts


async def test_a_gate_that_was_opened_is_not_written_again_before_the_watch_has_told_of_it(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(gated())
    ground.cluster.hidden.add(("default", "web"))
    await ground.settle()
    stale = gated(labels={"seen": "late"})  # an older version than the one that was written
    for _ in range(5):
        ground.engine.pod_applied(stale)
        await ground.advance(1.0)
    assert len(ground.cluster.gate_attempts) == 1
    await ground.advance(AGAIN_SECONDS)  # if nobody tells of it, it was lost
    assert len(ground.cluster.gate_attempts) == 2


async def test_who_stands_by_opens_no_gate_and_does_so_once_it_leads(ground: Ground) -> None:
    await ground.start()
    await ground.stand_by()
    ground.cluster.apply(gated())
    ground.cluster.apply(gated("plain", annotations={}))
    await ground.advance(60.0)
    assert ground.cluster.gate_attempts == []
    ground.lead()
    await ground.advance(GRACE_SECONDS + 0.1)
    assert ground.cluster.reason_of_gate("web") == "Registered"
    assert ground.cluster.reason_of_gate("plain") == "NothingToRegister"


async def test_a_pod_that_ends_while_it_waits_is_left_alone(ground: Ground) -> None:
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    ground.cluster.apply(gated())
    await ground.start()
    ground.cluster.edit("web", terminating=True)
    await ground.advance(60.0)
    assert ground.cluster.gate_attempts == []
    assert ground.names() == []


async def test_a_registry_service_that_goes_while_a_pod_waits_keeps_it_waiting(ground: Ground) -> None:
    ground.registry.faults.fail(Op.REGISTER, NotFound("no such service"), times=3)
    ground.cluster.apply(gated(annotations={"service": "test-namespace/other", "port": "http"}))
    await ground.start()
    assert ground.cluster.opened == []
    await ground.advance(120.0)
    assert ground.names(OTHER) == ["web"]
    assert ground.cluster.reason_of_gate("web") == "Registered"
