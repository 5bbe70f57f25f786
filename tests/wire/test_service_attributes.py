"""Attributes of a service itself: added, replaced, deleted, bounded, kept, and of no concern to discovery."""

from pathlib import Path
from typing import Any

from tests.wire.harness import error_of, namespace, register, running, service


def attributes(api: Any, identifier: str) -> Any:
    return api.get_service_attributes(ServiceId=identifier)["ServiceAttributes"]["Attributes"]


def test_a_service_has_none_at_first(api: Any) -> None:
    identifier = service(api, namespace(api))
    assert api.get_service_attributes(ServiceId=identifier)["ServiceAttributes"] == {
        "ServiceArn": f"arn:aws:servicediscovery:us-east-1:000000000000:service/{identifier}",
        "ResourceOwner": "000000000000",
        "Attributes": {},
    }


def test_an_update_adds_and_replaces_and_leaves_the_others(api: Any) -> None:
    identifier = service(api, namespace(api))
    api.update_service_attributes(ServiceId=identifier, Attributes={"Port": "80", "weight": "1"})
    api.update_service_attributes(ServiceId=identifier, Attributes={"Port": "81", "größe": ""})
    assert attributes(api, identifier) == {"Port": "81", "weight": "1", "größe": ""}


def test_what_is_deleted_is_gone_and_what_was_not_there_is_no_error(api: Any) -> None:
    identifier = service(api, namespace(api))
    api.update_service_attributes(ServiceId=identifier, Attributes={"a": "1", "b": "2"})
    api.delete_service_attributes(ServiceId=identifier, Attributes=["a", "c"])
    assert attributes(api, identifier) == {"b": "2"}
    api.delete_service_attributes(ServiceId=identifier, Attributes=["b"])
    assert attributes(api, identifier) == {}


def test_an_arn_names_the_service_as_well(api: Any) -> None:
    identifier = service(api, namespace(api))
    arn = api.get_service(Id=identifier)["Service"]["Arn"]
    api.update_service_attributes(ServiceId=arn, Attributes={"a": "1", "b": "2"})
    api.delete_service_attributes(ServiceId=arn, Attributes=["a"])
    assert attributes(api, arn) == attributes(api, identifier) == {"b": "2"}


def test_thirty_are_the_most(api: Any) -> None:
    identifier = service(api, namespace(api))
    api.update_service_attributes(ServiceId=identifier, Attributes={f"k{number}": "" for number in range(29)})
    wanted = {"one-more": "", "two-more": ""}
    assert error_of(api.update_service_attributes, ServiceId=identifier, Attributes=wanted) == (
        "ServiceAttributesLimitExceededException",
        "Service 'flask-app' would have 31 attributes: 30 are allowed",
    )
    assert len(attributes(api, identifier)) == 29, "all or nothing"
    api.update_service_attributes(ServiceId=identifier, Attributes={"k0": "x" * 1024, "k" * 255: ""})
    assert len(attributes(api, identifier)) == 30


def test_discovery_does_not_look_at_them(api: Any) -> None:
    identifier = service(api, namespace(api))
    register(api, identifier)
    names = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}
    before = api.discover_instances_revision(**names)["InstancesRevision"]
    api.update_service_attributes(ServiceId=identifier, Attributes={"stage": "dev"})
    assert api.discover_instances(**names, QueryParameters={"stage": "dev"})["Instances"] == []
    [found] = api.discover_instances(**names)["Instances"]
    assert found["Attributes"] == {}
    assert api.discover_instances_revision(**names)["InstancesRevision"] == before


def test_they_are_kept_and_an_update_of_the_service_leaves_them(tmp_path: Path) -> None:
    config = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
    with running(tmp_path) as server:
        api = server.client()
        identifier = service(api, namespace(api, "example.com", Vpc="vpc-1"), DnsConfig=config)
        api.update_service_attributes(ServiceId=identifier, Attributes={"Port": "80"})
        api.update_service(Id=identifier, Service={"DnsConfig": config, "Description": "changed"})
        assert attributes(api, identifier) == {"Port": "80"}
    with running(tmp_path) as server:
        assert attributes(server.client(), identifier) == {"Port": "80"}
