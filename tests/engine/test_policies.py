"""Policies: what each of them lets through, said once, and an engine that does not spin on the rest."""

from dataclasses import replace

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import DEFAULT_REGISTRY, ServiceRef
from kube_registrar.sync.observed import ObservedService
from kube_registrar.sync.reconcile import RegistrySync
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import EDGE, FLASK, Ground

WRITES = {Op.ENSURE, Op.REMOVE, Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH}


def under(ground: Ground, policy: Policy) -> Ground:
    ground.policies[DEFAULT_REGISTRY] = policy
    return ground


async def registered_before(ground: Ground, *names: str) -> None:
    """Have these pods registered by an engine under sync, which has stopped then; forget what it asked and said."""
    policies, ground.policies = ground.policies, {}
    for number, name in enumerate(names):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.1.{number + 1}",)))
    await ground.start()
    await ground.stop()
    assert ground.names() == sorted(names)
    ground.registry.calls.clear()
    ground.registry.history.clear()
    ground.notebook.events.clear()
    ground.policies = policies


def writes(ground: Ground) -> list[Op]:
    return [call.op for call in ground.registry.calls if call.op in WRITES]


async def test_observe_writes_nothing_while_pods_come_change_and_go(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "stays", "lost", "deleted", "unready", "moves", "changes")
    ground.cluster.lose("lost")
    await ground.start()
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    ground.cluster.delete("deleted")
    ground.cluster.edit("unready", ready=False)
    ground.cluster.annotate("moves", service="test-namespace/other", port="http")
    ground.cluster.annotate("changes", service="test-namespace/flask-app", port="http", attributes="stage=dev")
    ground.cluster.apply(builders.pod("passing", ips=("10.0.2.2",)))
    await ground.advance(1.0)
    ground.cluster.delete("passing")
    ground.cluster.relist()
    await ground.advance(1300.0)  # two resyncs
    assert ground.registry.history == []
    assert writes(ground) == []
    assert ground.names() == ["changes", "deleted", "lost", "moves", "stays", "unready"]
    assert ground.notebook.counted == [("default", "register", "ok")] * 6  # of the engine before


async def test_what_observe_withholds_is_said_and_counted_once(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "deleted", "changes")
    await ground.start()
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    ground.cluster.delete("deleted")
    ground.cluster.annotate("changes", service="test-namespace/flask-app", port="http", attributes="stage=dev")
    await ground.advance(1.0)
    ground.cluster.relist()
    await ground.advance(1300.0)
    assert sorted(ground.notebook.held_back) == [
        ("default", "deregister", "observe"),
        ("default", "register", "observe"),
        ("default", "register", "observe"),
    ]
    said = {event.object: event for event in ground.notebook.events}
    assert len(ground.notebook.events) == len(said) == 3
    assert {event.reason for event in said.values()} == {"Withheld"}
    instance_id = next(i.id for i in ground.own() if i.attributes[keys.POD] == "deleted")
    assert said["deleted"].message == (
        f"Withheld the deregistration of {instance_id} in {FLASK}: the policy of registry 'default' is observe. "
        "It is done once the policy allows it"
    )


async def test_another_wish_for_the_same_instance_is_said_anew(ground: Ground) -> None:
    under(ground, Policy.OBSERVE).cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.annotate("flask-app-0", service="test-namespace/flask-app", port="http", attributes="stage=dev")
    await ground.advance(5.0)
    assert ground.notebook.held_back == [("default", "register", "observe")] * 2
    ground.cluster.delete("flask-app-0")
    ground.cluster.apply(builders.pod())
    await ground.advance(5.0)
    assert len(ground.notebook.held_back) == 3


async def test_the_engine_does_not_spin_on_what_is_withheld(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "declined", "lost", "changes")
    # A pod that no watch tells of, and that does not ask for it any more: known by a direct read alone.
    ground.cluster.hidden.add(("default", "declined"))
    ground.cluster.edit("declined", ready=False)
    ground.cluster.lose("lost")
    ground.cluster.edit("changes", annotations={"service": "test-namespace/flask-app", "port": "9090"})
    await ground.start()
    await ground.advance(5.0)
    assert len(ground.notebook.held_back) == 3  # the old instance of the pod that moves waits for its new one
    assert ground.engine.is_quiet
    lookups, calls = len(ground.cluster.lookups), len(ground.registry.calls)
    planned: list[ServiceRef] = []
    plan = RegistrySync._plan

    def noted(sync: RegistrySync, state: ObservedService) -> None:
        planned.append(state.service)
        plan(sync, state)

    monkeypatch.setattr(RegistrySync, "_plan", noted)
    await ground.advance(400.0)
    assert planned == []
    assert (len(ground.cluster.lookups) - lookups, len(ground.registry.calls) - calls) == (0, 0)
    assert len(ground.notebook.held_back) == 3


async def test_a_withheld_removal_is_not_said_again_while_its_evidence_is_asked_for_again(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "declined")
    ground.cluster.hidden.add(("default", "declined"))
    ground.cluster.edit("declined", ready=False)
    await ground.start()
    await ground.advance(1.0)
    assert ground.notebook.held_back == [("default", "deregister", "observe")]
    await ground.advance(60.0)  # what the direct read said counts no longer
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))  # a plan asks again
    await ground.advance(5.0)
    assert len(ground.cluster.lookups) >= 2
    assert sorted(ground.notebook.held_back) == [
        ("default", "deregister", "observe"),
        ("default", "register", "observe"),
    ]


async def test_sync_after_observe_does_all_that_was_withheld(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "deleted", "stays")
    await ground.start()
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    ground.cluster.delete("deleted")
    await ground.advance(5.0)
    assert ground.names() == ["deleted", "stays"]
    under(ground, Policy.SYNC)
    await ground.restart()
    await ground.advance(5.0)
    assert ground.names() == ["new", "stays"]


async def test_upsert_only_makes_and_changes_and_removes_nothing(ground: Ground) -> None:
    await registered_before(under(ground, Policy.UPSERT_ONLY), "deleted", "changes")
    await ground.start()
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    ground.cluster.annotate("changes", service="test-namespace/flask-app", port="http", attributes="stage=dev")
    ground.cluster.delete("deleted")
    await ground.advance(700.0)
    assert ground.names() == ["changes", "deleted", "new"]
    assert ground.instance("changes").attributes["stage"] == "dev"
    assert sorted(writes(ground)) == [Op.REGISTER, Op.REGISTER]
    assert ground.notebook.held_back == [("default", "deregister", "upsert-only")]


async def test_a_reused_address_is_registered_though_its_old_instance_has_to_stay(ground: Ground) -> None:
    await registered_before(under(ground, Policy.UPSERT_ONLY), "old")
    await ground.start()
    ground.cluster.delete("old")
    ground.cluster.apply(builders.pod("new", ips=("10.0.1.1",)))
    await ground.advance(5.0)
    assert ground.names() == ["new", "old"]


async def test_create_only_makes_what_is_missing_and_touches_nothing_that_is_there(ground: Ground) -> None:
    await registered_before(under(ground, Policy.CREATE_ONLY), "deleted", "changes", "dropped")
    before = ground.instance("changes")
    ground.registry.drop(FLASK, ground.instance("dropped").id)
    await ground.start()
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    ground.cluster.annotate("changes", service="test-namespace/flask-app", port="http", attributes="stage=dev")
    ground.cluster.delete("deleted")
    await ground.advance(700.0)
    assert ground.names() == ["changes", "deleted", "dropped", "new"]
    assert ground.instance("changes") == before
    assert sorted(writes(ground)) == [Op.REGISTER, Op.REGISTER]
    assert sorted(ground.notebook.held_back) == [
        ("default", "deregister", "create-only"),
        ("default", "register", "create-only"),
    ]


@pytest.mark.parametrize("policy", [Policy.UPSERT_ONLY, Policy.CREATE_ONLY])
async def test_what_fails_is_tried_again_under_a_policy_that_lets_it(ground: Ground, policy: Policy) -> None:
    under(ground, policy).cluster.apply(builders.pod())
    ground.registry.faults.lose_request(Op.REGISTER)
    await ground.start()
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.notebook.held_back == []


async def test_a_policy_is_that_of_its_registry_alone(two_registries: Ground) -> None:
    ground = two_registries
    ground.policies[EDGE] = Policy.OBSERVE
    edge = builders.service_ref("test-namespace/flask-app", EDGE)
    both = "test-namespace/flask-app,edge:test-namespace/flask-app"
    ground.cluster.apply(builders.pod(annotations={"service": both, "port": "http"}))
    await ground.start()
    await ground.advance(5.0)
    assert (ground.names(FLASK), ground.names(edge)) == (["flask-app-0"], [])
    assert ground.notebook.held_back == [("edge", "register", "observe")]


async def test_a_pod_does_not_leave_a_registry_for_one_that_is_only_observed(two_registries: Ground) -> None:
    ground = two_registries
    ground.policies[EDGE] = Policy.OBSERVE
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.annotate("flask-app-0", service="edge:test-namespace/flask-app", port="http")
    await ground.advance(700.0)
    assert ground.names(FLASK) == ["flask-app-0"]


async def test_figures_count_what_stays_for_a_policy_as_held(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "deleted", "stays")
    await ground.start()
    ground.cluster.delete("deleted")
    ground.cluster.apply(builders.pod("new", ips=("10.0.2.1",)))
    await ground.advance(5.0)
    counts = ground.engine.counts(FLASK)
    assert (counts.wanted, counts.registered, counts.held) == (2, 1, 1)


async def test_somebody_elses_instance_under_an_id_of_ours_is_no_withheld_change(ground: Ground) -> None:
    await registered_before(under(ground, Policy.OBSERVE), "flask-app-0")
    ours = ground.instance("flask-app-0")
    ground.registry.put(FLASK, replace(ours, attributes={keys.IPV4: "10.9.9.9"}))
    await ground.start()
    await ground.advance(5.0)
    assert ground.notebook.held_back == []
    assert ground.reasons("flask-app-0") == ["RegistrationFailed"]
