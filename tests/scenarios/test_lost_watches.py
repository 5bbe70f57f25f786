"""Watches end, and what happened meanwhile is told by nobody: the registry is right all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, Freeze, Hide, gets, lists, status, watches
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    """A proxy before the API server; the operator sees the cluster through it, the test does not."""
    with FaultProxy.before(plane) as proxy:
        yield proxy


@pytest.fixture
def operator(new_operator: NewOperator, proxy: FaultProxy, tmp_path: Path) -> Operator:
    """An operator behind the proxy."""
    return new_operator(kubeconfig=proxy.write_kubeconfig(tmp_path / "kubeconfig")).start()


def test_forty_of_two_hundred_pods_vanish_while_the_watch_ends_in_410_and_no_ghost_is_left(
    operator: Operator, place: Place, registry: Registry, proxy: FaultProxy
) -> None:
    place.declare("flask-app")
    before = place.deployment("web", "flask-app", 200)
    registry.expect("flask-app", before)

    with proxy.rule(Freeze(watches("pods"))):
        place.plane.kubectl("scale", "deployment/web", "--replicas=160", f"--namespace={place.namespace}")
        wait_until(lambda: len(place.list("Pod")) == 160, "40 pods to be gone")
        assert set(registry.discover("flask-app")) == before  # nobody has told the operator
        assert proxy.expire("pods") == 1
    after = place.pods()

    registry.expect("flask-app", after)
    assert len(after) == 160
    assert sorted(deregistered(operator.data)) == sorted(before - after)
    assert sorted(registered(operator.data)) == sorted(before)


def test_a_list_that_lacks_live_pods_removes_none_of_them(
    operator: Operator, place: Place, registry: Registry, proxy: FaultProxy
) -> None:
    place.declare("flask-app")
    pods = place.deployment("web", "flask-app", 5)
    registry.expect("flask-app", pods)
    lacking, gone = min(pods), place.pod("gone", "flask-app")["metadata"]["name"]
    registry.expect("flask-app", pods | {gone})

    # A list from a cache that is behind: it lacks a pod that lives, and one that is really gone.
    with proxy.rule(Freeze(watches("pods"))):
        place.delete("Pod", gone, now=True)
        proxy.add(Hide(lists("pods"), times=1, hidden=lambda pod: pod["metadata"]["name"] == lacking))
        proxy.expire("pods")
    registry.expect("flask-app", pods)
    assert deregistered(operator.data) == [gone]


def test_an_api_server_that_answers_with_errors_is_no_evidence_against_any_pod(
    operator: Operator, place: Place, registry: Registry, proxy: FaultProxy
) -> None:
    place.declare("flask-app")
    pods = place.deployment("web", "flask-app", 5)
    registry.expect("flask-app", pods)
    place.pod("gone", "flask-app")
    registry.expect("flask-app", pods | {"gone"})

    refused = proxy.add(Answer(gets("pods"), status=403, reason="Forbidden"))
    with proxy.rule(Freeze(watches("pods"))):
        place.delete("Pod", "gone", now=True)
        proxy.expire("pods")
    # A list lacks it, but the look at the pod itself is refused: its instance stays until that is answered.
    wait_until(lambda: any(gets("pods")(call) and call.name == "gone" for call in proxy.calls), "the pod's GET")
    place.pod("witness", "flask-app")
    registry.expect("flask-app", pods | {"gone", "witness"})
    proxy.remove(refused)
    operator.kill()
    operator.start()
    pods |= {"witness"}
    registry.expect("flask-app", pods)
    assert deregistered(operator.data) == ["gone"]


def test_an_outage_of_the_api_server_is_survived(
    operator: Operator, place: Place, registry: Registry, proxy: FaultProxy
) -> None:
    place.declare("flask-app")
    place.pod("stays", "flask-app")
    registry.expect("flask-app", {"stays"})
    with proxy.down():
        place.pod("comes", "flask-app")
        place.unready_pod("another", "flask-app")
        wait_until(lambda: operator.probe("/readyz")[0] == 503, "the operator to notice")
        assert operator.probe("/healthz")[0] == 200
    registry.expect("flask-app", {"stays", "comes"})
    operator.wait_until_ready()
    with proxy.down():
        assert operator.end() == 0
    assert deregistered(operator.data) == []


def test_our_kinds_are_looked_after_again_when_kopf_has_ended(
    operator: Operator, place: Place, registry: Registry, proxy: FaultProxy
) -> None:
    place.declare("first")
    place.pod("a", "first")
    registry.expect("first", {"a"})

    # An error in a watch other than 410 ends kopf; that must end nothing else.
    assert proxy.fail("registryservices", status(500, "InternalError", "made up by a test")) == 2
    wait_until(lambda: "kopf ended" in operator.tail(200), "kopf to end")
    place.pod("b", "first")
    registry.expect("first", {"a", "b"})
    place.declare("second")
    place.pod("c", "second")
    registry.expect("second", {"c"})
    assert deregistered(operator.data) == []
