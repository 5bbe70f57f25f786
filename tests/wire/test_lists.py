"""Lists, their filters and their pages."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, register, service


def filters(*wanted: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return filters from (name, condition, value, ...)."""
    return [
        {"Name": name, "Values": list(values), **({"Condition": condition} if condition else {})}
        for name, condition, *values in wanted
    ]


@pytest.fixture
def ids(api: Any) -> dict[str, str]:
    return {
        "alpha": namespace(api, "alpha"),
        "beta": namespace(api, "beta.example", Vpc="vpc-1"),
        "beta2": namespace(api, "beta.example", Vpc="vpc-2"),
    }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ["alpha", "beta", "beta2"]),
        ([("TYPE", None, "HTTP")], ["alpha"]),
        ([("TYPE", "EQ", "DNS_PRIVATE")], ["beta", "beta2"]),
        ([("TYPE", "BEGINS_WITH", "DNS")], ["beta", "beta2"]),
        ([("NAME", "EQ", "beta.example")], ["beta", "beta2"]),
        ([("NAME", "BEGINS_WITH", "a")], ["alpha"]),
        ([("HTTP_NAME", "EQ", "beta.example")], ["beta"]),
        ([("HTTP_NAME", "BEGINS_WITH", "beta.example-")], ["beta2"]),
        ([("RESOURCE_OWNER", "EQ", "SELF")], ["alpha", "beta", "beta2"]),
        ([("RESOURCE_OWNER", "EQ", "OTHER_ACCOUNTS")], []),
        ([("TYPE", "EQ", "DNS_PRIVATE"), ("HTTP_NAME", "EQ", "alpha")], []),
    ],
)
def test_namespaces_are_filtered(api: Any, ids: dict[str, str], wanted: Sequence[Any], names: list[str]) -> None:
    found = api.list_namespaces(Filters=filters(*wanted))["Namespaces"]
    assert {each["Id"] for each in found} == {ids[name] for name in names}


@pytest.mark.parametrize(
    ("call", "wanted", "message"),
    [
        (
            "list_namespaces",
            ("TYPE", "EQ", "MAIL"),
            "Filters.Values is 'MAIL': one of HTTP, DNS_PRIVATE, DNS_PUBLIC is allowed",
        ),
        ("list_namespaces", ("TYPE", "IN", "HTTP"), "Filters.Condition is 'IN': TYPE takes EQ or BEGINS_WITH"),
        ("list_namespaces", ("NAME", "EQ", "a", "b"), "Filters.Values of NAME has 2 values: EQ takes one"),
        ("list_namespaces", ("NAME", "EQ"), "Filters.Values of NAME has 0 values: EQ takes one"),
        (
            "list_namespaces",
            ("RESOURCE_OWNER", "EQ", "ME"),
            "Filters.Values is 'ME': one of SELF, OTHER_ACCOUNTS is allowed",
        ),
        (
            "list_namespaces",
            ("RESOURCE_OWNER", "BEGINS_WITH", "S"),
            "Filters.Condition is 'BEGINS_WITH': RESOURCE_OWNER takes EQ",
        ),
        ("list_services", ("NAMESPACE_ID", "IN", "ns-1"), "Filters.Condition is 'IN': NAMESPACE_ID takes EQ"),
        ("list_operations", ("STATUS", "IN"), "Filters.Values of STATUS has 0 values: IN takes one or more"),
        (
            "list_operations",
            ("STATUS", "EQ", "DONE"),
            "Filters.Values is 'DONE': one of SUBMITTED, PENDING, SUCCESS, FAIL is allowed",
        ),
        ("list_operations", ("UPDATE_DATE", "EQ", "1", "2"), "Filters.Condition is 'EQ': UPDATE_DATE takes BETWEEN"),
        (
            "list_operations",
            ("UPDATE_DATE", "BETWEEN", "1"),
            "Filters.Values is ['1']: UPDATE_DATE takes a start and an end in Unix seconds",
        ),
        (
            "list_operations",
            ("UPDATE_DATE", "BETWEEN", "2", "1"),
            "Filters.Values is ['2', '1']: UPDATE_DATE takes the start first",
        ),
        (
            "list_operations",
            ("UPDATE_DATE", "BETWEEN", "a", "b"),
            "Filters.Values is ['a', 'b']: UPDATE_DATE takes a start and an end in Unix seconds",
        ),
    ],
)
def test_a_filter_that_is_none_is_refused(api: Any, call: str, wanted: tuple[Any, ...], message: str) -> None:
    assert error_of(getattr(api, call), Filters=filters(wanted)) == ("InvalidInput", message)


def test_services_are_filtered_by_namespace(api: Any, ids: dict[str, str]) -> None:
    web = service(api, ids["alpha"], "web")
    service(api, ids["beta"], "web", Type="HTTP")
    arn = api.get_namespace(Id=ids["alpha"])["Namespace"]["Arn"]
    for value in (ids["alpha"], arn):
        found = api.list_services(Filters=filters(("NAMESPACE_ID", "EQ", value)))["Services"]
        assert [each["Id"] for each in found] == [web]
    assert api.list_services(Filters=filters(("NAMESPACE_ID", None, "ns-none")))["Services"] == []
    assert len(api.list_services(Filters=filters(("RESOURCE_OWNER", "EQ", "SELF")))["Services"]) == 2
    assert api.list_services(Filters=filters(("RESOURCE_OWNER", "EQ", "OTHER_ACCOUNTS")))["Services"] == []


def test_a_page_is_taken_first_and_filtered_then(api: Any, ids: dict[str, str]) -> None:
    """As Cloud Map does it: an empty page may have a next one, and whoever goes on finds everything."""
    wanted = filters(("NAME", "EQ", "alpha"))
    pages = list(api.get_paginator("list_namespaces").paginate(Filters=wanted, PaginationConfig={"PageSize": 1}))
    assert len(pages) == 3
    assert [each["Id"] for page in pages for each in page["Namespaces"]] == [ids["alpha"]]


def test_services_are_paged(api: Any, ids: dict[str, str]) -> None:
    made = {service(api, ids["alpha"], f"s{number}") for number in range(5)}
    pages = list(api.get_paginator("list_services").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Services"]) for page in pages] == [2, 2, 1]
    assert {each["Id"] for page in pages for each in page["Services"]} == made


@pytest.fixture
def operations(api: Any) -> dict[str, str]:
    """Make one operation of each type and return their ids, oldest first."""
    made = {"create": api.create_private_dns_namespace(Name="a.example", Vpc="vpc-1")["OperationId"]}
    parent = api.list_namespaces()["Namespaces"][0]["Id"]
    made["update-namespace"] = api.update_private_dns_namespace(Id=parent, Namespace={"Description": "x"})[
        "OperationId"
    ]
    identifier = service(api, parent, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]})
    made["update"] = api.update_service(
        Id=identifier, Service={"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 5}]}}
    )["OperationId"]
    made["register"] = register(api, identifier, AWS_INSTANCE_IPV4="10.0.0.1")
    made["deregister"] = api.deregister_instance(ServiceId=identifier, InstanceId="i-1")["OperationId"]
    made["fail"] = api.create_private_dns_namespace(Name="b.a.example", Vpc="vpc-1")["OperationId"]
    return made


def listed(api: Any, operations: dict[str, str], *wanted: tuple[Any, ...]) -> list[str]:
    names = {identifier: name for name, identifier in operations.items()}
    return [names[each["Id"]] for each in api.list_operations(Filters=filters(*wanted))["Operations"]]


def test_operations_are_listed_newest_first(api: Any, operations: dict[str, str]) -> None:
    assert listed(api, operations) == [*operations][::-1]
    pages = list(api.get_paginator("list_operations").paginate(PaginationConfig={"PageSize": 4}))
    found = [each["Id"] for page in pages for each in page["Operations"]]
    assert ([len(page["Operations"]) for page in pages], found) == ([4, 2], [*operations.values()][::-1])


def test_operations_are_filtered(api: Any, operations: dict[str, str]) -> None:
    def found(*wanted: tuple[Any, ...]) -> set[str]:
        return set(listed(api, operations, *wanted))

    target = api.get_operation(OperationId=operations["register"])["Operation"]["Targets"]
    assert found(("STATUS", "EQ", "FAIL")) == {"fail"}
    assert found(("STATUS", "IN", "PENDING", "SUBMITTED")) == set()
    assert found(("TYPE", "IN", "REGISTER_INSTANCE", "DEREGISTER_INSTANCE")) == {"register", "deregister"}
    assert found(("TYPE", None, "CREATE_NAMESPACE"), ("STATUS", "EQ", "SUCCESS")) == {"create"}
    assert found(("SERVICE_ID", "EQ", target["SERVICE"])) == {"update", "register", "deregister"}
    assert found(("NAMESPACE_ID", "EQ", target["NAMESPACE"])) == set(operations) - {"fail"}
    updated = api.get_operation(OperationId=operations["update"])["Operation"]["UpdateDate"].timestamp()
    assert "update" in found(("UPDATE_DATE", "BETWEEN", str(updated - 0.001), str(updated + 0.001)))
    assert found(("UPDATE_DATE", "BETWEEN", "0", "1")) == set()


def test_an_operation_tells_its_story(api: Any, operations: dict[str, str]) -> None:
    found = api.get_operation(OperationId=operations["fail"], OwnerAccount="000000000000")["Operation"]
    assert (found["Status"], found["ErrorCode"], found["OwnerAccount"]) == (
        "FAIL",
        "CANNOT_CREATE_HOSTED_ZONE",
        "000000000000",
    )
    assert found["CreateDate"] <= found["UpdateDate"]
    assert error_of(api.get_operation, OperationId="none")[0] == "OperationNotFound"
    assert (
        error_of(api.get_operation, OperationId=operations["fail"], OwnerAccount="111111111111")[0]
        == "OperationNotFound"
    )
