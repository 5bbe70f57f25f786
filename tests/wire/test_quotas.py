"""Without quotas there may be more of everything; what one request may hold stays bounded by the service model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, register, running, service


@pytest.fixture
def lifted(tmp_path: Path) -> Iterator[Any]:
    """Give a client of a registry that has none."""
    with running(tmp_path, quotas="none") as server:
        yield server.client()


def test_fifty_namespaces_are_not_the_most(lifted: Any) -> None:
    for number in range(52):
        lifted.create_http_namespace(Name=f"n{number}")
    found = lifted.get_paginator("list_namespaces").paginate().build_full_result()["Namespaces"]
    assert len(found) == 52


def test_a_thousand_instances_are_not_the_most(lifted: Any) -> None:
    identifier = service(lifted, namespace(lifted))
    for number in range(1002):
        register(lifted, identifier, f"i-{number}")
    assert lifted.get_service(Id=identifier)["Service"]["InstanceCount"] == 1002


def test_instances_tags_and_services_may_have_more_attributes(lifted: Any) -> None:
    identifier = service(lifted, namespace(lifted))
    register(lifted, identifier, **{f"k{number}": "x" * 200 for number in range(40)})
    arn = lifted.get_service(Id=identifier)["Service"]["Arn"]
    lifted.tag_resource(ResourceARN=arn, Tags=[{"Key": f"t{number}", "Value": ""} for number in range(60)])
    for start in (0, 30):
        wanted = {f"k{number}": "" for number in range(start, start + 30)}
        lifted.update_service_attributes(ServiceId=identifier, Attributes=wanted)
    assert len(lifted.get_instance(ServiceId=identifier, InstanceId="i-1")["Instance"]["Attributes"]) == 40
    assert len(lifted.list_tags_for_resource(ResourceARN=arn)["Tags"]) == 60
    assert len(lifted.get_service_attributes(ServiceId=identifier)["ServiceAttributes"]["Attributes"]) == 60


def test_what_one_request_may_hold_stays_bounded(lifted: Any) -> None:
    identifier = service(lifted, namespace(lifted))
    arn = lifted.get_service(Id=identifier)["Service"]["Arn"]
    tags = [{"Key": f"t{number}", "Value": ""} for number in range(201)]
    assert error_of(lifted.tag_resource, ResourceARN=arn, Tags=tags)[0] == "InvalidInput"
    assert error_of(register, api=lifted, service_id=identifier, k="x" * 1025)[0] == "InvalidInput"
