"""A registry that is adopted: the operator observes it first, and is started again with `sync` then."""

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, changes, deregistered

pytestmark = pytest.mark.extended

WITHHELD = 'kube_registrar_changes_withheld_total{action="%s",policy="observe",registry="default"}'


def test_a_registry_is_observed_first_and_then_kept_true(new_operator: NewOperator, place: Place) -> None:
    operator = new_operator("--policy", "sync").start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("web")
    place.pod("stays", "web")
    place.pod("goes", "web")
    registry.expect("web", {"stays", "goes"})
    before = len(changes(operator.data))
    operator.end()

    operator.flags = ["--policy", "observe"]
    operator.start()
    place.plane.apply([place.registry_service_manifest("later")])
    place.wait_condition("RegistryService", "later", "Ready", "False", "Withheld")
    place.pod("comes", "web")
    place.delete("Pod", "goes", now=True)
    place.wait_event("comes", "Withheld", saying="registration of comes-")
    place.wait_event("goes", "Withheld", saying="deregistration of goes-")
    place.delete("RegistryService", "later")
    place.wait_gone("RegistryService", "later")
    place.plane.apply([place.registry_service_manifest("at-last")])
    place.wait_condition("RegistryService", "at-last", "Ready", "False", "Withheld")
    assert operator.metric(WITHHELD % "register") == 1
    assert operator.metric(WITHHELD % "deregister") == 1
    assert operator.metric(WITHHELD % "create") == 2
    assert set(registry.discover("web")) == {"stays", "goes"}
    assert registry.service_id("later") == registry.service_id("at-last") == ""
    assert len(changes(operator.data)) == before
    operator.end()

    operator.flags = ["--policy", "sync"]
    operator.start()
    registry.expect("web", {"stays", "comes"})
    assert deregistered(operator.data) == ["goes"]

    def is_made() -> bool:
        return place.condition("RegistryService", "at-last", "Ready").get("reason") == "Created"

    wait_until(is_made, "what observe did not make to be made", seconds=60.0)  # the last try said: in half a minute
    assert registry.service_id("at-last") != ""
