"""Another cluster answers behind the same address: what it does not have, or has under other UIDs, removes nothing."""

import asyncio
import logging
from dataclasses import replace

import pytest

from kube_registrar.cluster.errors import ApiUnreachable
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import Uid
from kube_registrar.testing import builders
from tests.engine.harness import Ground

OTHER = Uid("another-cluster")
NAMES = [f"db-{number}" for number in range(30)]


async def _started(ground: Ground, pods: int = 30) -> None:
    for number, name in enumerate(NAMES[:pods]):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.0.{number + 1}",), workload="StatefulSet/db"))
    await ground.start()
    await ground.advance(30.0)


def _replace(ground: Ground) -> dict[tuple[str, str], Pod]:
    """Let other pods have all names, not ready yet; return those that had them."""
    before = {key: pod for key, pod in ground.cluster.pods.items() if isinstance(pod, Pod)}
    for key, pod in before.items():
        ground.cluster.pods[key] = replace(pod, uid=Uid(f"other-{pod.name}"), ready=False)
    return before


async def test_pods_of_the_same_names_in_another_cluster_remove_nothing(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    await _started(ground)
    ground.cluster.answers_as = OTHER
    before = _replace(ground)
    with caplog.at_level(logging.INFO, "kube_registrar.sync.identity"):
        ground.cluster.relist()
        await ground.advance(700.0)
        assert (len(ground.own()), ground.deregistered()) == (30, [])
        assert ground.engine.identity.other == OTHER
        ground.cluster.answers_as = builders.CLUSTER_UID
        for pod in before.values():
            ground.cluster.apply(pod)
        ground.cluster.lose("db-0")
        ground.cluster.relist()
        await ground.advance(60.0)
        assert len(ground.own()) == 29
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert caplog.messages[0] == (
        "cluster another-cluster answers at the address of the API server of this cluster, "
        f"{builders.CLUSTER_UID}. Nothing that it tells is acted upon, so nothing is removed for it. Correct the "
        "kubeconfig, the name or whatever leads there"
    )


async def test_a_few_pods_that_another_cluster_does_not_have_stay_until_ours_says_so(ground: Ground) -> None:
    await _started(ground, 6)
    ground.cluster.answers_as = OTHER
    for name in NAMES[:3]:
        ground.cluster.lose(name)
    ground.cluster.relist()
    await ground.advance(120.0)
    assert ground.names() == NAMES[:6]
    ground.cluster.answers_as = builders.CLUSTER_UID
    await ground.advance(60.0)
    assert ground.names() == NAMES[3:6]


async def test_while_nobody_says_which_cluster_answers_nothing_is_removed(ground: Ground) -> None:
    await _started(ground, 3)
    ground.cluster.identity_error = ApiUnreachable("GET /api/v1/namespaces/kube-system: no answer")
    ground.cluster.lose("db-0")
    ground.cluster.relist()
    await ground.advance(120.0)
    assert ground.names() == NAMES[:3]
    ground.cluster.identity_error = None
    await ground.advance(60.0)
    assert ground.names() == NAMES[1:3]


async def test_one_look_at_who_answers_serves_many_pods(ground: Ground) -> None:
    await _started(ground)
    _replace(ground)
    ground.cluster.identity_gate = asyncio.Event()
    ground.cluster.relist()
    await ground.advance(10.0)
    assert (len(ground.cluster.lookups), len(ground.own())) == (30, 30)
    assert ground.cluster.identities_asked == 1
    ground.cluster.identity_gate.set()
    await ground.advance(10.0)
    assert (len(ground.cluster.lookups), ground.own()) == (30, [])
    assert ground.cluster.identities_asked == 2


async def test_a_deletion_that_is_seen_asks_nobody(ground: Ground) -> None:
    await _started(ground, 3)
    ground.cluster.delete("db-0")
    await ground.settle()
    assert ground.names() == NAMES[1:3]
    assert (ground.cluster.lookups, ground.cluster.identities_asked) == ([], 0)
