"""Discovery as clients see it."""

from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, register, service

NAMES = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}


@pytest.fixture
def filled(api: Any) -> str:
    identifier = service(api, namespace(api), HealthCheckCustomConfig={"FailureThreshold": 1})
    for name, stage, version, health in (
        ("a", "dev", "1", "HEALTHY"),
        ("b", "dev", "2", "HEALTHY"),
        ("c", "dev", "2", "UNHEALTHY"),
        ("d", "prod", "1", "UNHEALTHY"),
    ):
        register(api, identifier, name, stage=stage, version=version, AWS_INIT_HEALTH_STATUS=health)
    return identifier


def found(api: Any, **query: Any) -> str:
    """Return the ids of what is found, joined."""
    return "".join(sorted(each["InstanceId"] for each in api.discover_instances(**NAMES, **query)["Instances"]))


@pytest.mark.usefixtures("filled")
class TestFilters:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ({}, "ab"),
            ({"HealthStatus": "HEALTHY"}, "ab"),
            ({"HealthStatus": "UNHEALTHY"}, "cd"),
            ({"HealthStatus": "ALL"}, "abcd"),
            ({"HealthStatus": "HEALTHY_OR_ELSE_ALL"}, "ab"),
            ({"QueryParameters": {"stage": "dev"}}, "ab"),
            ({"QueryParameters": {"stage": "dev", "version": "2"}}, "b"),
            ({"QueryParameters": {"stage": "prod"}}, ""),
            ({"QueryParameters": {"stage": "prod"}, "HealthStatus": "HEALTHY_OR_ELSE_ALL"}, "d"),
            ({"QueryParameters": {"stage": "dev", "version": "3"}, "HealthStatus": "HEALTHY_OR_ELSE_ALL"}, ""),
            ({"QueryParameters": {"stage": ""}}, ""),
            ({"QueryParameters": {"STAGE": "dev"}, "HealthStatus": "ALL"}, ""),
            ({"OptionalParameters": {"version": "2"}}, "b"),
            ({"OptionalParameters": {"version": "3"}}, "ab"),
            ({"OptionalParameters": {"version": "2"}, "HealthStatus": "ALL"}, "bc"),
            ({"OptionalParameters": {"stage": "prod"}}, "ab"),
            (
                {"QueryParameters": {"stage": "prod"}, "OptionalParameters": {"version": "2"}, "HealthStatus": "ALL"},
                "d",
            ),
            ({"QueryParameters": {"stage": "dev"}, "OptionalParameters": {"version": "1"}}, "a"),
        ],
    )
    def test_a_filter_lets_these_through(self, api: Any, query: dict[str, Any], ids: str) -> None:
        assert found(api, **query) == ids


def test_without_a_check_all_are_of_unknown_status_and_no_health_filter_applies(api: Any) -> None:
    identifier = service(api, namespace(api))
    register(api, identifier, "a")
    for wanted in ("HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL"):
        [each] = api.discover_instances(**NAMES, HealthStatus=wanted)["Instances"]
        assert (each["InstanceId"], each["HealthStatus"]) == ("a", "UNKNOWN")


def test_a_hundred_come_unless_asked_in_random_order(api: Any) -> None:
    identifier = service(api, namespace(api))
    names = [f"i-{number:03}" for number in range(120)]
    for name in names:
        register(api, identifier, name)
    some = [each["InstanceId"] for each in api.discover_instances(**NAMES)["Instances"]]
    assert len(some) == len(set(some)) == 100
    orders = [
        [each["InstanceId"] for each in api.discover_instances(**NAMES, MaxResults=1000)["Instances"]] for _ in range(2)
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == names
    assert orders[0] != orders[1]
    assert orders[0] != names
    assert len(api.discover_instances(**NAMES, MaxResults=7)["Instances"]) == 7


def test_what_is_not_there_is_named(api: Any) -> None:
    assert error_of(api.discover_instances, **NAMES) == (
        "NamespaceNotFound",
        "There is no namespace named 'test-namespace'",
    )
    namespace(api)
    assert error_of(api.discover_instances, **NAMES) == (
        "ServiceNotFound",
        "Namespace 'test-namespace' has no service named 'flask-app'",
    )
    assert error_of(api.discover_instances_revision, **NAMES)[0] == "ServiceNotFound"


def test_another_account_has_nothing_here(api: Any) -> None:
    service(api, namespace(api))
    assert api.discover_instances(**NAMES, OwnerAccount="000000000000")["Instances"] == []
    assert error_of(api.discover_instances, **NAMES, OwnerAccount="111111111111") == (
        "NamespaceNotFound",
        "Account 111111111111 has no namespace named 'test-namespace' here",
    )


def test_the_revision_rises_with_registrations_and_not_with_health(api: Any) -> None:
    identifier = service(api, namespace(api), HealthCheckCustomConfig={"FailureThreshold": 1})

    def revision() -> int:
        asked: int = api.discover_instances_revision(**NAMES)["InstancesRevision"]
        assert api.discover_instances(**NAMES)["InstancesRevision"] == asked
        return asked

    seen = [revision()]
    register(api, identifier, "a")
    seen.append(revision())
    register(api, identifier, "a", stage="dev")
    seen.append(revision())
    register(api, identifier, "a", stage="dev")
    assert revision() == seen[-1], "nothing has changed"
    api.update_instance_custom_health_status(ServiceId=identifier, InstanceId="a", Status="UNHEALTHY")
    assert revision() == seen[-1]
    api.deregister_instance(ServiceId=identifier, InstanceId="a")
    seen.append(revision())
    api.delete_service(Id=identifier)
    service(api, api.list_namespaces()["Namespaces"][0]["Id"])
    seen.append(revision())
    assert seen == sorted(set(seen))
