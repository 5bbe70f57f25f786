"""Asynchronous operations that take their time: PENDING until then, one at a time for a target."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.waiting import wait_until
from tests.wire.harness import Server, error_of, running

DELAY = 10.0


class Slow:
    """A registry whose operations take ten seconds of a clock that stands still."""

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self.api: Any = server.client()
        self._server = server
        self._clock = clock

    def operation(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get_operation(OperationId=identifier)["Operation"]
        return found

    def status(self, identifier: str) -> str:
        return str(self.operation(identifier)["Status"])

    def wait(self, seconds: float) -> None:
        self._server.run(self._clock.advance(seconds))

    def end(self, identifier: str) -> dict[str, Any]:
        """Let an operation come to its end: its time comes, then the writer stores it."""
        self.wait(DELAY)
        return self.ended(identifier)

    def ended(self, identifier: str) -> dict[str, Any]:
        """Wait until the end of an operation whose time has come is stored: each is stored in its own time."""
        wait_until(lambda: self.status(identifier) in {"SUCCESS", "FAIL"}, lambda: "the end", seconds=10)
        return self.operation(identifier)

    def namespace(self, name: str = "test-namespace", **members: Any) -> str:
        create = self.api.create_private_dns_namespace if "Vpc" in members else self.api.create_http_namespace
        targets: dict[str, str] = self.end(create(Name=name, **members)["OperationId"])["Targets"]
        return targets["NAMESPACE"]

    def service(self, parent: str, **members: Any) -> str:
        identifier: str = self.api.create_service(Name="flask-app", NamespaceId=parent, **members)["Service"]["Id"]
        return identifier

    def register(self, service_id: str, instance_id: str = "i-1", **members: Any) -> str:
        request = {"Attributes": {}} | members
        answer = self.api.register_instance(ServiceId=service_id, InstanceId=instance_id, **request)
        return str(answer["OperationId"])

    def deregister(self, service_id: str) -> str:
        return str(self.api.deregister_instance(ServiceId=service_id, InstanceId="i-1")["OperationId"])

    def instances(self, service_id: str) -> list[str]:
        return [each["Id"] for each in self.api.list_instances(ServiceId=service_id)["Instances"]]


@pytest.fixture(params=["operation-delay=10s"])
def slow(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Slow]:
    clock = FakeClock()
    with running(tmp_path, request.param, clock) as server:
        yield Slow(server, clock)


def test_an_instance_is_not_there_before_its_operation_succeeds(slow: Slow) -> None:
    identifier = slow.service(slow.namespace())
    operation = slow.register(identifier)
    slow.wait(DELAY - 0.1)
    found = slow.operation(operation)
    assert (found["Status"], found["CreateDate"]) == ("PENDING", found["UpdateDate"])
    assert slow.instances(identifier) == []
    assert slow.api.discover_instances(NamespaceName="test-namespace", ServiceName="flask-app")["Instances"] == []
    found = slow.end(operation)
    assert found["Status"] == "SUCCESS"
    assert (found["UpdateDate"] - found["CreateDate"]).total_seconds() == pytest.approx(DELAY, abs=0.01)
    assert slow.instances(identifier) == ["i-1"]


def test_an_instance_stays_until_its_deregistration_succeeds(slow: Slow) -> None:
    identifier = slow.service(slow.namespace())
    slow.end(slow.register(identifier))
    operation = slow.deregister(identifier)
    assert (slow.status(operation), slow.instances(identifier)) == ("PENDING", ["i-1"])
    assert (slow.end(operation)["Status"], slow.instances(identifier)) == ("SUCCESS", [])


def test_one_operation_at_a_time_for_an_instance(slow: Slow) -> None:
    identifier = slow.service(slow.namespace())
    operation = slow.register(identifier)
    with pytest.raises(slow.api.exceptions.DuplicateRequest) as caught:
        slow.register(identifier, Attributes={"stage": "dev"})
    assert caught.value.response["DuplicateOperationId"] == operation
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    with pytest.raises(slow.api.exceptions.DuplicateRequest) as caught:
        slow.deregister(identifier)
    assert caught.value.response["DuplicateOperationId"] == operation
    other = slow.register(identifier, "i-2")
    slow.end(operation)
    assert slow.ended(other)["Status"] == "SUCCESS"
    second = slow.deregister(identifier)
    with pytest.raises(slow.api.exceptions.DuplicateRequest) as caught:
        slow.register(identifier)
    assert caught.value.response["DuplicateOperationId"] == second
    with pytest.raises(slow.api.exceptions.DuplicateRequest):
        slow.deregister(identifier)


def test_the_same_register_again_is_the_same_operation(slow: Slow) -> None:
    """Same CreatorRequestId, same attributes: an SDK that lost the answer."""
    identifier = slow.service(slow.namespace())
    operation = slow.register(identifier, CreatorRequestId="token")
    assert slow.register(identifier, CreatorRequestId="token") == operation
    with pytest.raises(slow.api.exceptions.DuplicateRequest):
        slow.register(identifier, CreatorRequestId="token", Attributes={"stage": "dev"})


def test_a_namespace_is_not_there_before_its_operation_succeeds(slow: Slow) -> None:
    operation = slow.api.create_http_namespace(Name="a", CreatorRequestId="one")["OperationId"]
    target = slow.operation(operation)["Targets"]["NAMESPACE"]
    assert error_of(slow.api.get_namespace, Id=target)[0] == "NamespaceNotFound"
    assert error_of(slow.service, parent=target)[0] == "NamespaceNotFound"
    assert slow.api.list_namespaces()["Namespaces"] == []
    assert slow.api.create_http_namespace(Name="a", CreatorRequestId="one")["OperationId"] == operation
    with pytest.raises(slow.api.exceptions.DuplicateRequest) as caught:
        slow.api.create_http_namespace(Name="a", CreatorRequestId="two")
    assert caught.value.response["DuplicateOperationId"] == operation
    assert slow.end(operation)["Status"] == "SUCCESS"
    assert slow.api.get_namespace(Id=target)["Namespace"]["Name"] == "a"


def test_names_that_are_on_their_way_are_taken(slow: Slow) -> None:
    slow.api.create_private_dns_namespace(Name="a.example", Vpc="vpc-1")
    last = slow.api.create_http_namespace(Name="a.example")["OperationId"]
    slow.end(last)
    listed = slow.api.list_namespaces()["Namespaces"]
    assert len({each["Properties"]["HttpProperties"]["HttpName"] for each in listed}) == 2


def test_two_that_overlap_race_and_the_later_one_fails(slow: Slow) -> None:
    slow.api.create_private_dns_namespace(Name="a.example", Vpc="vpc-1")
    slow.wait(1)
    last = slow.api.create_private_dns_namespace(Name="b.a.example", Vpc="vpc-1")["OperationId"]
    assert slow.end(last)["ErrorCode"] == "CANNOT_CREATE_HOSTED_ZONE"
    assert len(slow.api.list_namespaces()["Namespaces"]) == 1


def test_settings_change_when_their_operation_succeeds(slow: Slow) -> None:
    parent = slow.namespace("a.example", Vpc="vpc-1")
    update = {"Id": parent, "Namespace": {"Description": "x"}, "UpdaterRequestId": "token"}
    operation = slow.api.update_private_dns_namespace(**update)["OperationId"]
    assert slow.api.update_private_dns_namespace(**update)["OperationId"] == operation
    assert (
        error_of(slow.api.update_private_dns_namespace, **update | {"UpdaterRequestId": "x"})[0] == "DuplicateRequest"
    )
    assert error_of(slow.api.delete_namespace, Id=parent)[0] == "DuplicateRequest"
    assert "Description" not in slow.api.get_namespace(Id=parent)["Namespace"]
    slow.end(operation)
    assert slow.api.get_namespace(Id=parent)["Namespace"]["Description"] == "x"

    identifier = slow.service(parent, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]})
    change = {"Id": identifier, "Service": {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 5}]}}}
    operation = slow.api.update_service(**change)["OperationId"]
    with pytest.raises(slow.api.exceptions.DuplicateRequest) as caught:
        slow.api.update_service(**change)
    assert caught.value.response["DuplicateOperationId"] == operation
    assert error_of(slow.api.delete_service, Id=identifier)[0] == "ResourceInUse"
    assert slow.api.get_service(Id=identifier)["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"] == 60
    slow.end(operation)
    assert slow.api.get_service(Id=identifier)["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"] == 5


def test_a_service_that_something_happens_in_cannot_be_deleted(slow: Slow) -> None:
    identifier = slow.service(slow.namespace())
    operation = slow.register(identifier)
    assert error_of(slow.api.delete_service, Id=identifier)[0] == "ResourceInUse"
    slow.end(operation)
    operation = slow.deregister(identifier)
    assert error_of(slow.api.delete_service, Id=identifier)[0] == "ResourceInUse"
    slow.end(operation)
    slow.api.delete_service(Id=identifier)


def test_no_service_is_made_in_a_namespace_that_goes(slow: Slow) -> None:
    parent = slow.namespace()
    operation = slow.api.delete_namespace(Id=parent)["OperationId"]
    assert error_of(slow.service, parent=parent)[0] == "NamespaceNotFound"
    assert error_of(slow.api.delete_namespace, Id=parent)[0] == "DuplicateRequest"
    assert slow.api.get_namespace(Id=parent)["Namespace"]["Id"] == parent
    slow.end(operation)
    assert error_of(slow.api.get_namespace, Id=parent)[0] == "NamespaceNotFound"


@pytest.mark.parametrize("slow", ["operation-delay=10s,late-failure=1", "late-failure=1"], indirect=True)
def test_a_late_failure_leaves_everything_as_it_was(slow: Slow) -> None:
    found = slow.end(slow.api.create_http_namespace(Name="a")["OperationId"])
    assert (found["Status"], found["ErrorCode"]) == ("FAIL", "INTERNAL_FAILURE")
    assert "simulated" in found["ErrorMessage"]
    assert slow.api.list_namespaces()["Namespaces"] == []
    again = slow.end(slow.api.create_http_namespace(Name="a")["OperationId"])
    assert (again["Id"] != found["Id"], again["Status"]) == (True, "FAIL")


def test_a_quota_counts_what_is_under_way(slow: Slow) -> None:
    for number in range(50):
        slow.api.create_http_namespace(Name=f"n{number}")
    assert error_of(slow.api.create_http_namespace, Name="one-more")[0] == "ResourceLimitExceeded"
