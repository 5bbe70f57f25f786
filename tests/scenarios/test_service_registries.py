"""A pod that asks in the shape of Amazon ECS is registered as often as it asks."""

import json

from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered


def test_two_items_in_two_registry_services_are_two_instances_with_their_own_ports_and_attributes(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app", "admin")
    arn = registry.api.get_service(Id=registry.service_id("flask-app"))["Service"]["Arn"]
    items = [
        {"registryArn": arn, "containerName": "web", "containerPort": 8080},
        {"registry": f"{place.registry_namespace}/admin", "port": 9090, "attributes": {"stage": "dev", "team": "ops"}},
    ]
    place.pod("web", **{"service-registries": json.dumps(items), "attributes": "team=web"})

    first = registry.expect("flask-app", {"web"})["web"]
    second = registry.expect("admin", {"web"})["web"]
    assert (first["AWS_INSTANCE_PORT"], first["team"], "stage" in first) == ("8080", "web", False)
    assert (second["AWS_INSTANCE_PORT"], second["team"], second["stage"]) == ("9090", "ops", "dev")
    assert set(registry.discover("admin", stage="dev")) == {"web"}
    assert first["AWS_INSTANCE_IPV4"] == second["AWS_INSTANCE_IPV4"] == place.get("Pod", "web")["status"]["podIP"]

    # One item turns wrong: it is told by its number, and the other one goes on.
    items[1]["port"] = 0
    items[0]["attributes"] = {"colour": "blue"}
    place.annotate("web", **{"service-registries": json.dumps(items)})
    registry.expect_attributes("flask-app", "web", lambda found: found.get("colour") == "blue")
    place.wait_event("web", "InvalidPort", saying="service-registries[1].port is '0'")
    assert set(registry.discover("admin", stage="dev")) == {"web"}
    assert deregistered(operator.data) == []

    # One item goes: so does its instance, and only that.
    place.annotate("web", **{"service-registries": json.dumps(items[:1])})
    registry.expect("admin", set())
    registry.expect("flask-app", {"web"})
    assert (len(registered(operator.data)), deregistered(operator.data)) == (3, ["web"])
