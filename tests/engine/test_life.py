"""A pod's life: when its instance comes and when it goes."""

from typing import Any

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.model.records import BarePod
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground


async def test_a_ready_pod_is_registered_with_its_address_and_owner(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(builders.pod(annotations={"service": "test-namespace/flask-app", "attributes": "stage=dev"}))
    await ground.settle()
    [instance] = ground.own()
    expected = {
        keys.IPV4: "10.0.0.1",
        keys.PORT: "8080",
        keys.POD: "flask-app-0",
        keys.POD_UID: builders.uid_of("flask-app-0"),
        keys.CLUSTER_UID: builders.CLUSTER_UID,
        "stage": "dev",
    }
    assert {key: instance.attributes.get(key) for key in expected} == expected
    assert ground.reasons("flask-app-0") == ["Registered"]


async def test_a_pod_that_is_not_ready_is_registered_only_once_it_is(ground: Ground) -> None:
    await ground.start()
    ground.cluster.apply(builders.pod(ready=False))
    await ground.advance(60.0)
    assert ground.registry.asked(Op.REGISTER) == []
    ground.cluster.edit("flask-app-0", ready=True)
    await ground.settle()
    assert ground.names() == ["flask-app-0"]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ({"ready": False}, "the pod is not ready"),
        ({"terminating": True}, "the pod is terminating"),
        ({"phase": "Succeeded", "ready": False}, "the pod has finished"),
        ({"phase": "Failed", "ready": False}, "the pod has failed"),
        ({"phase": "Failed"}, "the pod has failed"),
        ({"annotations": {}}, "nothing asks for the pod any more"),
    ],
)
async def test_a_pod_that_serves_no_longer_is_deregistered_at_once(ground: Ground, end: Any, why: str) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.2",)))
    await ground.start()
    assert ground.names() == ["flask-app-0", "flask-app-1"]
    ground.cluster.edit("flask-app-0", **end)
    await ground.settle()
    assert ground.names() == ["flask-app-1"]
    assert ground.reasons("flask-app-0") == ["Registered", "Deregistered"]
    assert ground.notebook.events[-1].message.endswith(f": {why}")
    assert ground.cluster.lookups == []


async def test_a_deletion_that_was_seen_is_evidence_without_a_read(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.delete("flask-app-0")
    await ground.settle()
    assert ground.names() == []
    assert ground.cluster.lookups == []


async def test_a_pod_whose_annotations_are_all_removed_is_deregistered(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    ground.cluster.bare("flask-app-0")
    await ground.settle()
    assert ground.names() == []
    assert ground.cluster.lookups == []


async def test_a_pod_that_asks_again_is_registered_again(ground: Ground) -> None:
    pod = builders.pod()
    ground.cluster.apply(pod)
    await ground.start()
    ground.cluster.bare("flask-app-0")
    await ground.settle()
    ground.cluster.apply(pod)
    await ground.settle()
    assert ground.names() == ["flask-app-0"]


async def test_pods_without_annotations_are_neither_remembered_nor_asked_about(ground: Ground) -> None:
    await ground.start()
    for number in range(100):
        ground.cluster.apply(BarePod("default", f"bare-{number}", builders.uid_of(f"bare-{number}")))
    for number in range(100):
        ground.cluster.delete(f"bare-{number}")
    await ground.advance(60.0)
    assert ground.cluster.lookups == []
    assert ground.engine.wanted.pods == {}
    assert len(ground.engine._evidence._ends) == 0


async def test_a_new_address_replaces_the_old_one_in_the_same_instance(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    before = ground.instance("flask-app-0").id
    ground.cluster.edit("flask-app-0", ips=("10.0.0.9",))
    await ground.settle()
    assert (ground.instance("flask-app-0").id, ground.instance("flask-app-0").attributes[keys.IPV4]) == (
        before,
        "10.0.0.9",
    )
    assert ground.deregistered() == []


async def test_a_pod_may_ask_for_several_services(ground: Ground) -> None:
    annotations = {"service": "test-namespace/flask-app,test-namespace/other", "port": "http"}
    ground.cluster.apply(builders.pod(annotations=annotations))
    await ground.start()
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], ["flask-app-0"])
    ground.cluster.edit("flask-app-0", terminating=True)
    await ground.settle()
    assert (ground.names(FLASK), ground.names(OTHER)) == ([], [])


async def test_pods_of_the_same_name_in_two_kubernetes_namespaces_are_two_instances(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.cluster.apply(builders.pod(namespace="team", uid=builders.uid_of("team-0"), ips=("10.0.0.2",)))
    await ground.start()
    assert sorted(i.attributes[keys.NAMESPACE] for i in ground.own()) == ["default", "team"]


async def test_removed_keys_of_the_user_go_and_foreign_keys_stay(ground: Ground) -> None:
    service = "test-namespace/flask-app"
    ground.cluster.apply(builders.pod(annotations={"service": service, "attributes": "stage=dev,colour=red"}))
    await ground.start()
    instance = ground.instance("flask-app-0")
    ground.registry.put(FLASK, builders.instance(instance.id, {**instance.attributes, "weight": "5"}))
    await ground.restart()
    ground.cluster.annotate("flask-app-0", service=service, attributes="stage=prod")
    await ground.settle()
    attributes = ground.instance("flask-app-0").attributes
    assert (attributes["stage"], attributes["weight"], attributes[keys.USER_KEYS]) == ("prod", "5", "stage")
    assert "colour" not in attributes


async def test_foreign_keys_alone_are_no_reason_to_write(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    await ground.start()
    instance = ground.instance("flask-app-0")
    ground.registry.put(FLASK, builders.instance(instance.id, {**instance.attributes, "weight": "5"}))
    await ground.restart()
    await ground.advance(1_500.0)
    assert len(ground.registry.asked(Op.REGISTER)) == 1
    assert ground.instance("flask-app-0").attributes["weight"] == "5"


async def test_stopping_deregisters_nothing(ground: Ground) -> None:
    for number in range(5):
        ground.cluster.apply(builders.pod(f"flask-app-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    await ground.stop()
    await ground.advance(1_500.0)
    assert len(ground.names()) == 5
    assert ground.deregistered() == []


async def test_stopping_leaves_what_is_under_way_to_the_registry(ground: Ground) -> None:
    ground.cluster.apply(builders.pod())
    ground.registry.faults.delay(Op.REGISTER, 5.0)
    await ground.start()
    await ground.advance(1.0)
    await ground.stop()
    assert ground.names() == []
    await ground.advance(5.0)
    assert ground.names() == ["flask-app-0"]
