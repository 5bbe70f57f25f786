"""Registry namespaces: made once, found by id and ARN, updated, deleted when empty."""

from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, service


def found(api: Any, operation: str) -> dict[str, Any]:
    operation_found: dict[str, Any] = api.get_operation(OperationId=operation)["Operation"]
    return operation_found


def test_the_same_request_again_is_the_same_operation(api: Any) -> None:
    """An SDK that lost the answer sends its CreatorRequestId again."""
    request = {"Name": "a", "CreatorRequestId": "token", "Description": "x", "Tags": [{"Key": "k", "Value": "v"}]}
    first = api.create_http_namespace(**request)["OperationId"]
    assert api.create_http_namespace(**request)["OperationId"] == first
    assert len(api.list_namespaces()["Namespaces"]) == 1


@pytest.mark.parametrize("change", [{"CreatorRequestId": "other"}, {"Description": "other"}, {"Tags": []}])
def test_another_request_for_the_same_name_is_told_who_made_it(api: Any, change: dict[str, Any]) -> None:
    request = {"Name": "a", "CreatorRequestId": "token", "Description": "x", "Tags": [{"Key": "k", "Value": "v"}]}
    made = found(api, api.create_http_namespace(**request)["OperationId"])["Targets"]["NAMESPACE"]
    with pytest.raises(api.exceptions.NamespaceAlreadyExists) as caught:
        api.create_http_namespace(**request | change)
    assert caught.value.response["NamespaceId"] == made
    assert caught.value.response["CreatorRequestId"] == "token"


def test_private_names_that_differ_in_case_only_are_the_same(api: Any) -> None:
    namespace(api, "Example.com", Vpc="vpc-1")
    assert error_of(api.create_private_dns_namespace, Name="example.COM", Vpc="vpc-1") == (
        "NamespaceAlreadyExists",
        "There is a private DNS namespace named 'Example.com' already",
    )


def test_http_names_that_differ_in_case_only_are_two(api: Any) -> None:
    namespace(api, "Example")
    namespace(api, "example")
    assert {each["Name"] for each in api.list_namespaces()["Namespaces"]} == {"Example", "example"}


def test_a_name_that_is_used_again_gets_an_http_name_of_its_own(api: Any) -> None:
    """In another VPC, and in another type: "a generated hash is added to HttpName to distinguish the two"."""
    namespace(api, "example.com", Vpc="vpc-1")
    namespace(api, "example.com", Vpc="vpc-2")
    namespace(api, "example.com")
    listed = api.list_namespaces()["Namespaces"]
    names = sorted(each["Properties"]["HttpProperties"]["HttpName"] for each in listed)
    assert {each["Name"] for each in listed} == {"example.com"}
    assert names[0] == "example.com"
    assert all(name.startswith("example.com-") for name in names[1:])
    assert len(set(names)) == 3


@pytest.mark.parametrize("name", ["a.example.com", "com", "A.B.EXAMPLE.COM"])
def test_a_private_namespace_that_overlaps_in_its_vpc_cannot_be_made(api: Any, name: str) -> None:
    namespace(api, "example.com", Vpc="vpc-1")
    operation = found(api, api.create_private_dns_namespace(Name=name, Vpc="vpc-1")["OperationId"])
    assert (operation["Status"], operation["ErrorCode"]) == ("FAIL", "CANNOT_CREATE_HOSTED_ZONE")
    assert operation["ErrorMessage"] == (
        f"The VPC vpc-1 has the namespace 'example.com', and '{name}' overlaps with it"
    )
    assert len(api.list_namespaces()["Namespaces"]) == 1
    namespace(api, name, Vpc="vpc-2")
    namespace(api, "myexample.com", Vpc="vpc-1")


def test_labels_of_a_domain_name_are_bounded(api: Any) -> None:
    for name in ("x" * 64, "a..b", ".a"):
        code, message = error_of(api.create_private_dns_namespace, Name=name, Vpc="vpc-1")
        assert code == "InvalidInput"
        assert message.endswith("a domain name has labels of 1 to 63 characters, joined by dots")


def test_fifty_namespaces_are_the_most(api: Any) -> None:
    for number in range(50):
        namespace(api, f"n{number}")
    assert error_of(api.create_http_namespace, Name="one-more") == (
        "ResourceLimitExceeded",
        "There are 50 namespaces: no more are allowed",
    )


def test_an_update_changes_what_it_names(api: Any) -> None:
    identifier = namespace(api, "example.com", Vpc="vpc-1", Description="first")
    soa = {"DnsProperties": {"SOA": {"TTL": 30}}}
    operation = found(
        api, api.update_private_dns_namespace(Id=identifier, Namespace={"Properties": soa})["OperationId"]
    )
    assert (operation["Type"], operation["Status"]) == ("UPDATE_NAMESPACE", "SUCCESS")
    got = api.get_namespace(Id=identifier)["Namespace"]
    assert (got["Description"], got["Properties"]["DnsProperties"]["SOA"]) == ("first", {"TTL": 30})
    api.update_private_dns_namespace(Id=identifier, Namespace={"Description": "second"})
    got = api.get_namespace(Id=identifier)["Namespace"]
    assert (got["Description"], got["Properties"]["DnsProperties"]["SOA"]) == ("second", {"TTL": 30})


def test_an_update_is_for_the_type_that_it_names(api: Any) -> None:
    identifier = namespace(api, "example")
    assert error_of(api.update_public_dns_namespace, Id=identifier, Namespace={"Description": "x"}) == (
        "InvalidInput",
        f"Id is '{identifier}': this is an HTTP namespace, not a public DNS one",
    )


def test_a_namespace_with_services_cannot_be_deleted(api: Any) -> None:
    identifier = namespace(api)
    made = service(api, identifier)
    assert error_of(api.delete_namespace, Id=identifier) == (
        "ResourceInUse",
        "Namespace 'test-namespace' has 1 services: delete them first",
    )
    api.delete_service(Id=made)
    operation = found(api, api.delete_namespace(Id=identifier)["OperationId"])
    assert (operation["Type"], operation["Status"], operation["Targets"]) == (
        "DELETE_NAMESPACE",
        "SUCCESS",
        {"NAMESPACE": identifier},
    )
    assert error_of(api.get_namespace, Id=identifier)[0] == "NamespaceNotFound"
    assert namespace(api) != identifier


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ("ns-none", "NamespaceNotFound"),
        ("arn:aws:servicediscovery:us-east-1:111111111111:namespace/NAMESPACE", "NamespaceNotFound"),
        ("arn:aws-cn:servicediscovery:cn-north-1:000000000000:namespace/NAMESPACE", ""),
        ("arn:aws:servicediscovery:us-east-1:000000000000:service/NAMESPACE", "InvalidInput"),
        ("arn:aws:s3:::bucket", "InvalidInput"),
    ],
)
def test_an_arn_is_taken_for_an_id(api: Any, identifier: str, code: str) -> None:
    made = namespace(api)
    wanted = identifier.replace("NAMESPACE", made)
    if code:
        assert error_of(api.get_namespace, Id=wanted)[0] == code
    else:
        assert api.get_namespace(Id=wanted)["Namespace"]["Id"] == made
