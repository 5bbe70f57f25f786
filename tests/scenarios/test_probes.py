"""What is asked of the process itself, and what it watches."""

import re
from collections.abc import Iterator

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry


@pytest.fixture
def other(place: Place) -> Iterator[Place]:
    """Another Kubernetes namespace that uses the same registry namespace."""
    other = Place(place.plane, registry_namespace=place.registry_namespace).make()
    yield other
    other.clear()


def test_probes_and_metrics_answer(operator: Operator, place: Place, registry: Registry) -> None:
    assert operator.probe("/healthz") == (200, "ok\n")
    assert operator.probe("/readyz") == (200, "ok\n")
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})

    done = 'kube_registrar_instance_changes_total{action="register",registry="default",result="ok"}'
    wait_until(lambda: operator.metric(done) == 1.0, lambda: f"{done} to be 1; it is {operator.metric(done)}")
    assert operator.metric('kube_registrar_instances{registry="default",state="registered"}') == 1.0
    assert operator.metric('kube_registrar_watch_last_event_timestamp_seconds{kind="Pod"}') is not None
    status, text = operator.probe("/metrics")
    assert status == 200
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert names
    assert [name for name in names if not name.startswith("kube_registrar_")] == []
    assert "web" not in re.findall(r'="([^"]*)"', text)  # no label holds a pod


def test_the_ports_that_were_picked_are_said(operator: Operator) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", str(operator.address("probes")))
    assert operator.address("api") == operator.endpoint


def test_pods_of_namespaces_that_are_not_watched_are_not_seen(
    place: Place, new_operator: NewOperator, other: Place
) -> None:
    operator = new_operator("--watch-namespace", place.namespace).start()
    place.declare("flask-app")
    other.pod("unseen", "flask-app")
    place.pod("seen", "flask-app")
    registry = Registry(operator.endpoint, place.registry_namespace)
    registry.expect("flask-app", {"seen"})
    assert operator.metric('kube_registrar_sources{kind="Pod"}') == 1.0
    assert other.events("unseen") == []

    # Both are watched: a flag may be given twice.
    operator.end()
    operator.flags += ["--watch-namespace", other.namespace]
    operator.start()
    registry.expect("flask-app", {"seen", "unseen"})
