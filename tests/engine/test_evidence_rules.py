"""Nothing is deregistered without positive evidence about that very pod."""

import asyncio
from collections.abc import Sequence

import pytest

from kube_registrar.model.records import BarePod, Node
from kube_registrar.model.refs import Uid
from kube_registrar.sync.engine import KINDS
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground


async def missed(ground: Ground, *names: str) -> None:
    """Register these pods, and have a relist lack them while nobody saw them go."""
    for number, name in enumerate(names):
        ground.cluster.apply(builders.pod(name, ips=(f"10.0.0.{number}",)))
    await ground.start()
    assert ground.names() == sorted(names)
    for name in names:
        ground.cluster.lose(name)


@pytest.mark.parametrize("missing", sorted(KINDS))
async def test_nothing_is_done_before_every_kind_is_synced(ground: Ground, missing: str) -> None:
    lost = [builders.registration("gone", FLASK), builders.registration("gone", OTHER)]
    for registration in lost:
        ground.registry.put(registration.service, registration.instance)
    ground.cluster.apply(builders.pod())
    await ground.start(synced=KINDS - {missing})
    await ground.advance(1_500.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["gone"], ["gone"])
    assert ground.registry.calls == []
    assert ground.cluster.lookups == []
    assert ground.engine.missing_kinds == {missing}
    ground.engine.synced(missing)
    await ground.advance(1.0)
    assert (ground.names(FLASK), ground.names(OTHER)) == (["flask-app-0"], [])


@pytest.mark.parametrize(
    "error", [PermissionError("403 Forbidden"), TimeoutError(), ConnectionResetError(), RuntimeError("500")]
)
async def test_an_error_of_the_api_server_is_no_evidence(ground: Ground, error: Exception) -> None:
    await missed(ground, "flask-app-0")
    ground.cluster.lookup_error = error
    ground.cluster.relist()
    await ground.advance(1_500.0)
    assert ground.names() == ["flask-app-0"]
    assert 40 <= len(ground.cluster.lookups) <= 60  # asked again, and not all the time
    ground.cluster.lookup_error = None
    await ground.advance(60.0)
    assert ground.names() == []


async def test_a_relist_that_lacks_a_pod_counts_once_the_api_server_says_not_found(ground: Ground) -> None:
    await missed(ground, "flask-app-0", "flask-app-1")
    ground.cluster.apply(builders.pod("flask-app-1", ips=("10.0.0.1",)))
    ground.cluster.relist()
    await ground.advance(2.0)
    assert ground.names() == ["flask-app-1"]
    assert ground.cluster.lookups == [("default", "flask-app-0")]
    assert ground.notebook.events[-1].message.endswith("the pod no longer exists")


async def test_a_pod_that_a_direct_read_shows_alive_and_asking_stays(ground: Ground) -> None:
    pod = builders.pod()
    await missed(ground, "flask-app-0")
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = pod  # it lives, and no watch tells of it
    await ground.advance(36_000.0)
    assert ground.names() == ["flask-app-0"]
    assert 50 <= len(ground.cluster.lookups) <= 70  # ever less: every ten minutes in the end
    ground.cluster.pods["default", "flask-app-0"] = builders.pod(terminating=True)
    await ground.advance(600.0)
    assert ground.names() == []


async def test_a_pod_that_a_direct_read_shows_with_nonsense_stays(ground: Ground) -> None:
    await missed(ground, "flask-app-0")
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = builders.pod(annotations={"service": "///"})
    await ground.advance(600.0)
    assert ground.names() == ["flask-app-0"]


@pytest.mark.parametrize(
    "shown",
    [
        builders.pod(ready=False),
        builders.pod(terminating=True),
        builders.pod(phase="Failed"),
        builders.pod(uid=Uid("another")),
        BarePod("default", "flask-app-0", builders.uid_of("flask-app-0")),
        BarePod("default", "flask-app-0", builders.uid_of("flask-app-0"), terminating=True),
        BarePod("default", "flask-app-0", builders.uid_of("flask-app-0"), phase="Succeeded"),
    ],
)
async def test_what_a_direct_read_shows_is_evidence(ground: Ground, shown: object) -> None:
    await missed(ground, "flask-app-0")
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = shown  # type: ignore[assignment]
    await ground.advance(1.0)
    assert ground.names() == []


async def test_an_answer_that_waited_is_asked_for_anew_before_an_instance_goes(ground: Ground) -> None:
    """The brake waits a second where a node is unreachable; in that second the node and its pod are back."""
    await missed(ground, "flask-app-0")
    ground.cluster.apply_node(Node("node-1", Uid("uid-node-1"), reachable=False))
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = builders.pod(ready=False, node="node-1")
    await ground.settle()
    assert ground.cluster.lookups == [("default", "flask-app-0")]
    ground.cluster.pods["default", "flask-app-0"] = builders.pod(node="node-1")
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]
    assert ground.deregistered() == []


async def test_a_pod_that_a_later_list_holds_again_is_kept(ground: Ground) -> None:
    pod = builders.pod()
    await missed(ground, "flask-app-0")
    ground.cluster.lookup_gate = asyncio.Event()
    ground.cluster.relist()
    await ground.settle()
    ground.cluster.apply(pod)
    ground.cluster.lookup_gate.set()  # the answer to a question of before: not found
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]


async def test_an_answer_of_before_a_pod_changed_counts_no_more(ground: Ground) -> None:
    """It was bare when it was asked about; since then it asked for something, and was lost again."""
    pod = builders.pod()
    await missed(ground, "flask-app-0")
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = BarePod(pod.namespace, pod.name, pod.uid)
    ground.cluster.lookup_gate = asyncio.Event()
    await ground.settle()
    ground.cluster.apply(pod)
    ground.cluster.lose("flask-app-0")
    ground.cluster.relist()
    ground.cluster.pods["default", "flask-app-0"] = pod
    await ground.settle()
    ground.cluster.lookup_gate.set()
    await ground.advance(60.0)
    assert ground.names() == ["flask-app-0"]


async def test_an_api_server_that_hangs_delays_nothing_else(ground: Ground) -> None:
    await missed(ground, *[f"lost-{number}" for number in range(40)])
    ground.cluster.lookup_gate = asyncio.Event()
    ground.cluster.relist()
    await ground.settle()
    ground.cluster.apply(builders.pod("new", ips=("10.0.1.1",)))
    await ground.settle()
    assert "new" in ground.names()
    ground.cluster.edit("new", terminating=True)
    await ground.settle()
    assert "new" not in ground.names()
    ground.cluster.lookup_gate.set()
    await ground.advance(70.0)  # so many at once are held until a second list lacks them too
    assert ground.names() == []


async def test_a_second_question_that_hangs_costs_no_plans(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await missed(ground, "flask-app-0")
    ground.cluster.lookup_error = RuntimeError("500")
    ground.cluster.relist()
    await ground.advance(10.0)
    ground.cluster.lookup_gate = asyncio.Event()
    plans: list[object] = []
    monkeypatch.setattr(ground.engine._reporter, "planned", lambda *_: plans.append(_))
    await ground.advance(100.0)
    assert len(ground.cluster.lookups) == 2
    assert len(plans) <= 2


async def test_no_more_is_remembered_of_pods_than_is_good(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_registrar.sync.evidence.REMEMBERED", 3)
    for number in range(10):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number}",)))
    await ground.start()
    for number in range(10):
        ground.cluster.delete(f"web-{number}")
    await ground.advance(1.0)
    assert len(ground.names()) == 7  # whose deletion is forgotten: they are taken for missing
    await ground.advance(70.0)
    assert ground.names() == []
    assert len(ground.engine._evidence._ends) == 3


async def test_an_instance_that_does_not_name_its_pod_stays(ground: Ground) -> None:
    found = builders.registration("nameless").instance
    kept = {key: value for key, value in found.attributes.items() if key not in {"KUBE_POD", "KUBE_NAMESPACE"}}
    ground.registry.put(FLASK, builders.instance(found.id, kept))
    await ground.start()
    await ground.advance(600.0)
    assert set(ground.registry.held(FLASK)) == {found.id}


async def test_every_swarm_of_lost_pods_costs_one_read_each_and_few_plans(ground: Ground) -> None:
    names: Sequence[str] = [f"lost-{number}" for number in range(200)]
    await missed(ground, *names)
    planned = 0
    original = ground.engine._leading.progress.planned

    def count(*args: object) -> None:
        nonlocal planned
        planned += 1
        original(*args)  # type: ignore[arg-type]

    for sync in ground.engine._syncs.values():
        sync.hears = _Counting(sync.hears, count)  # type: ignore[assignment]
    ground.cluster.relist()
    await ground.advance(70.0)
    assert ground.names() == []
    assert ground.cluster.lists == ["default"]
    assert sorted(ground.cluster.lookups) == sorted(("default", name) for name in names)
    assert len(ground.registry.asked(Op.DEREGISTER)) == 200
    assert planned < 10


class _Counting:
    def __init__(self, hears: object, count: object) -> None:
        self._hears = hears
        self.planned = count

    def __getattr__(self, name: str) -> object:
        return getattr(self._hears, name)
