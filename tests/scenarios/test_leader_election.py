"""Two replicas on one cluster and one registry: one leads, and whatever ends it, the other goes on where it stopped."""

import secrets
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered
from tests.scenarios.shared import Door, SharedRegistry, shared_registry

LEADER = "kube_registrar_leader"


@dataclass
class Replicas:
    """One operator twice. `leader` leads, `standby` does not; each has a door of its own to the registry."""

    leader: Operator
    standby: Operator
    doors: dict[Operator, Door]
    data: Path
    lease: str
    plane: ControlPlane

    def holder(self) -> str:
        """Return who holds the Lease."""
        lease = self.plane.api.get(f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{self.lease}")
        return str(lease["spec"]["holderIdentity"])

    def swap(self) -> None:
        """Note that the other one leads now."""
        self.leader, self.standby = self.standby, self.leader


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedRegistry]:
    with shared_registry(tmp_path / "shared", doors=2) as shared:
        yield shared


@pytest.fixture
def replicas(shared: SharedRegistry, new_operator: NewOperator, plane: ControlPlane) -> Replicas:
    """Two operators, the first of which leads."""
    lease = f"lease-{secrets.token_hex(4)}"
    made = {}
    for number, door in enumerate(shared.doors):
        operator = new_operator("--lease-name", lease, endpoint=door.url, name=f"replica-{number}").start()
        made[operator] = door
        if number == 0:
            wait_until(lambda: operator.metric(LEADER) == 1, "the first one to lead")  # noqa: B023 - waited for here
    leader, standby = made
    return Replicas(leader, standby, made, shared.data, lease, plane)


@pytest.fixture
def registry(shared: SharedRegistry, place: Place) -> Registry:
    return Registry(shared.doors[0].url, place.registry_namespace)


def says(operator: Operator, text: str) -> bool:
    return any(text in str(line["message"]) for line in operator.lines())


def measured(capsys: pytest.CaptureFixture[str], what: str, seconds: float) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {seconds:.2f} s\n")


def test_the_standby_is_ready_and_does_nothing(replicas: Replicas, place: Place, registry: Registry) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    standby = replicas.standby
    assert standby.probe("/readyz") == (200, "ok\n")
    assert standby.metric(LEADER) == 0
    wait_until(lambda: says(standby, f"standing by, {replicas.holder()} leads"), "the standby to say so")
    # Pods of an earlier test may still be on their way out, and an event comes after what it tells of.
    wait_until(
        lambda: standby.metric('kube_registrar_sources{kind="Pod"}') == 1, "the standby to know of the pod alone"
    )
    wait_until(lambda: [said.reason for said in place.events("web")] == ["Registered"], "one event of one registration")
    assert replicas.doors[standby].requests == []
    assert registered(replicas.data) == ["web"]


def test_a_leader_that_is_killed_is_replaced_and_its_pending_change_made(
    replicas: Replicas, place: Place, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    place.declare("flask-app")
    stay = place.deployment("stays", "flask-app", 20)
    place.pod("goes", "flask-app")
    registry.expect("flask-app", stay | {"goes"})

    replicas.leader.kill()
    killed = time.monotonic()
    place.delete("Pod", "goes", now=True)
    place.pod("comes", "flask-app")
    registry.expect("flask-app", stay | {"comes"})
    wrote = replicas.doors[replicas.standby].wrote_at(killed)
    assert wrote is not None
    measured(capsys, "killed -9: the standby's first write after", wrote - killed)
    assert replicas.standby.metric(LEADER) == 1
    assert deregistered(replicas.data) == ["goes"]
    assert sorted(registered(replicas.data)) == sorted([*stay, "goes", "comes"])


def test_a_leader_that_is_stopped_hands_over_at_once(
    replicas: Replicas, place: Place, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})

    asked = time.monotonic()
    replicas.leader.child.signal(signal.SIGTERM)
    place.pod("comes", "flask-app")
    assert replicas.leader.end(None) == 0
    registry.expect("flask-app", {"web", "comes"})
    wrote = replicas.doors[replicas.standby].wrote_at(asked)
    if wrote is not None:  # else the leader was faster
        measured(capsys, "stopped: the standby's first write after", wrote - asked)
    wait_until(lambda: replicas.standby.metric(LEADER) == 1, "the standby to lead")
    assert says(replicas.leader, "is released")
    assert deregistered(replicas.data) == []
    assert sorted(registered(replicas.data)) == ["comes", "web"]

    # The one that comes back stands by, and its turn comes again: a second time in one process each.
    replicas.swap()
    replicas.standby.start()
    wait_until(lambda: says(replicas.standby, "standing by"), "the first one to stand by")
    assert replicas.leader.end() == 0
    place.pod("later", "flask-app")
    registry.expect("flask-app", {"web", "comes", "later"})
    place.declare("other-app")
    assert deregistered(replicas.data) == []


def test_a_leader_that_stood_still_past_its_lease_sends_nothing_and_stands_by(
    replicas: Replicas, place: Place, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    old, new = replicas.leader, replicas.standby
    before = replicas.holder()

    old.child.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    # It will hear of these when it goes on, before or after it knows that it leads no more.
    for number in range(5):
        place.pod(f"comes-{number}", "flask-app")
    place.set_status("web", ready=False)
    everything = {f"comes-{number}" for number in range(5)}
    registry.expect("flask-app", everything)
    wrote = replicas.doors[new].wrote_at(stopped)
    assert wrote is not None
    measured(capsys, "stood still: the standby's first write after", wrote - stopped)
    assert replicas.holder() != before
    since = time.monotonic()
    old.child.signal(signal.SIGCONT)
    place.set_status("web", ready=True)
    wait_until(lambda: old.metric(LEADER) == 0, "the old leader to know")
    wait_until(lambda: says(old, f"standing by, {replicas.holder()} leads"), "the old leader to stand by")
    registry.expect("flask-app", everything | {"web"})
    assert replicas.doors[old].writes(since) == []
    assert deregistered(replicas.data) == ["web"]
    assert sorted(registered(replicas.data)) == sorted([*everything, "web", "web"])

    # It stands by in the same process, and leads again when its turn comes.
    new.kill()
    place.pod("later", "flask-app")
    registry.expect("flask-app", everything | {"web", "later"})
    place.declare("made-later")
    assert replicas.doors[old].writes(since) != []
    assert deregistered(replicas.data) == ["web"]


def test_of_three_changes_of_the_leader_none_is_made_twice_or_lost(
    replicas: Replicas, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    pods = place.deployment("web", "flask-app", 10)
    registry.expect("flask-app", pods)
    for replicas_wanted in (14, 8, 12):
        leader = replicas.leader
        place.plane.kubectl(
            "scale", "deployment/web", f"--replicas={replicas_wanted}", f"--namespace={place.namespace}"
        )
        assert leader.end() == 0
        replicas.swap()
        pods = place.rolled_out("web")
        registry.expect("flask-app", pods)
        leader.start()
    assert not pods & set(deregistered(replicas.data))
    assert sorted(set(registered(replicas.data))) == sorted(registered(replicas.data))
