"""Registry services: what they may publish, and what may be changed."""

from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, register, service

A = {"DnsRecords": [{"Type": "A", "TTL": 60}]}


def records(*types: str, ttl: int = 60, **members: Any) -> dict[str, Any]:
    return {"DnsRecords": [{"Type": type_, "TTL": ttl} for type_ in types], **members}


@pytest.fixture
def private(api: Any) -> str:
    return namespace(api, "example.com", Vpc="vpc-1")


@pytest.mark.parametrize(
    "config",
    [
        records("A"),
        records("AAAA"),
        records("AAAA", "A"),
        records("SRV"),
        records("CNAME", RoutingPolicy="WEIGHTED"),
        records("A", RoutingPolicy="WEIGHTED"),
    ],
)
def test_these_records_may_be_published(api: Any, private: str, config: dict[str, Any]) -> None:
    made = api.create_service(Name="web", NamespaceId=private, DnsConfig=config)["Service"]
    assert made["DnsConfig"] == {"NamespaceId": private, "RoutingPolicy": "MULTIVALUE", **config}
    assert made["Type"] == "DNS_HTTP"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (records(), "DnsConfig.DnsRecords is empty: one record at least is needed"),
        (records("A", "A"), "DnsConfig.DnsRecords has ['A', 'A']: each type is allowed once"),
        (
            records("A", "SRV"),
            "DnsConfig.DnsRecords is ['A', 'SRV']: A, AAAA, A and AAAA, SRV or CNAME is allowed",
        ),
        (records("CNAME"), "DnsConfig.RoutingPolicy is None: CNAME needs WEIGHTED"),
        (records("CNAME", RoutingPolicy="MULTIVALUE"), "DnsConfig.RoutingPolicy is 'MULTIVALUE': CNAME needs WEIGHTED"),
    ],
)
def test_other_records_may_not(api: Any, private: str, config: dict[str, Any], message: str) -> None:
    assert error_of(api.create_service, Name="web", NamespaceId=private, DnsConfig=config) == ("InvalidInput", message)


def test_the_namespace_may_be_named_within_the_dns_settings(api: Any, private: str) -> None:
    config = {"NamespaceId": private, **A}
    assert api.create_service(Name="web", DnsConfig=config)["Service"]["NamespaceId"] == private
    assert error_of(api.create_service, Name="api", NamespaceId="ns-other", DnsConfig=config) == (
        "InvalidInput",
        f"DnsConfig.NamespaceId is '{private}': it must be the NamespaceId of the request, 'ns-other'",
    )
    assert error_of(api.create_service, Name="api")[0] == "InvalidInput"
    assert error_of(api.create_service, Name="api", NamespaceId="ns-other")[0] == "NamespaceNotFound"


def test_an_http_service_has_no_records(api: Any, private: str) -> None:
    message = "When you specify an HTTP service, you can't include a DnsConfig element."
    http = namespace(api, "http")
    assert error_of(api.create_service, Name="web", NamespaceId=http, DnsConfig=A) == ("InvalidInput", message)
    assert error_of(api.create_service, Name="web", NamespaceId=private, Type="HTTP", DnsConfig=A) == (
        "InvalidInput",
        message,
    )
    made = api.create_service(Name="web", NamespaceId=private, Type="HTTP")["Service"]
    assert (made["Type"], made["DnsConfig"]) == ("HTTP", {})


def test_health_checks_by_the_registry_are_refused_with_the_way_out(api: Any, private: str) -> None:
    http = namespace(api, "http")
    check = {"Type": "HTTP", "ResourcePath": "/"}
    message = "this registry makes no health checks of its own in this version; use HealthCheckCustomConfig"
    assert error_of(api.create_service, Name="web", NamespaceId=http, HealthCheckConfig=check) == (
        "InvalidInput",
        f"HealthCheckConfig is 'HTTP': {message}",
    )
    assert error_of(api.create_service, Name="web", NamespaceId=private, HealthCheckConfig=check)[1] == (
        "HealthCheckConfig is 'HTTP': health checks by the registry are for public DNS and HTTP namespaces only"
    )
    both = {"HealthCheckConfig": check, "HealthCheckCustomConfig": {"FailureThreshold": 1}}
    assert error_of(api.create_service, Name="web", NamespaceId=http, **both)[1] == (
        "HealthCheckConfig is 'given': HealthCheckConfig or HealthCheckCustomConfig is allowed, not both"
    )
    tcp = {"Type": "TCP", "ResourcePath": "/"}
    assert error_of(api.create_service, Name="web", NamespaceId=http, HealthCheckConfig=tcp)[1] == (
        "HealthCheckConfig.ResourcePath is '/': TCP checks have no ResourcePath"
    )


def test_the_threshold_of_a_custom_check_is_one(api: Any) -> None:
    made = api.create_service(Name="web", NamespaceId=namespace(api), HealthCheckCustomConfig={"FailureThreshold": 7})[
        "Service"
    ]
    assert made["HealthCheckCustomConfig"] == {"FailureThreshold": 1}


def test_the_whole_domain_name_is_bounded(api: Any) -> None:
    long = ".".join(["x" * 63, "y" * 63, "z" * 61])
    private = namespace(api, long, Vpc="vpc-1")
    service(api, private, "a" * 63, DnsConfig=A)
    longer = f"{'a' * 31}.{'b' * 32}"
    assert error_of(api.create_service, Name=longer, NamespaceId=private, DnsConfig=A) == (
        "InvalidInput",
        f"Name is '{longer}': with the namespace's name it has 254 characters, 253 are allowed",
    )


def test_the_same_request_again_is_the_same_service(api: Any) -> None:
    request = {"Name": "web", "NamespaceId": namespace(api), "CreatorRequestId": "token"}
    first = api.create_service(**request)["Service"]
    assert api.create_service(**request)["Service"] == first
    with pytest.raises(api.exceptions.ServiceAlreadyExists) as caught:
        api.create_service(**request | {"CreatorRequestId": "other"})
    assert caught.value.response["ServiceId"] == first["Id"]
    assert caught.value.response["ServiceArn"] == first["Arn"]
    assert caught.value.response["CreatorRequestId"] == "token"
    with pytest.raises(api.exceptions.ServiceAlreadyExists):
        api.create_service(**request, Description="other")


def test_case_tells_names_apart_only_where_there_is_no_dns(api: Any, private: str) -> None:
    http = namespace(api, "http")
    assert service(api, http, "web") != service(api, http, "WEB")
    service(api, private, "web", DnsConfig=A)
    assert error_of(api.create_service, Name="WEB", NamespaceId=private, DnsConfig=A)[0] == "ServiceAlreadyExists"
    assert error_of(api.discover_instances, NamespaceName="example.com", ServiceName="WEB")[0] == "ServiceNotFound"


def test_an_update_changes_time_to_live_and_description(api: Any, private: str) -> None:
    identifier = service(api, private, DnsConfig=records("A", "AAAA"), Description="first")
    operation = api.update_service(Id=identifier, Service={"DnsConfig": records("A", "AAAA", ttl=5)})["OperationId"]
    found = api.get_operation(OperationId=operation)["Operation"]
    assert (found["Type"], found["Status"]) == ("UPDATE_SERVICE", "SUCCESS")
    assert found["Targets"] == {"SERVICE": identifier, "NAMESPACE": private}
    got = api.get_service(Id=identifier)["Service"]
    assert (got["Description"], got["DnsConfig"]["DnsRecords"]) == ("first", records("A", "AAAA", ttl=5)["DnsRecords"])
    api.update_service(Id=identifier, Service={"Description": "second", "DnsConfig": records("A", ttl=5)})
    got = api.get_service(Id=identifier)["Service"]
    assert (got["Description"], got["DnsConfig"]["DnsRecords"]) == ("second", records("A", ttl=5)["DnsRecords"])


def test_an_update_deletes_the_records_that_it_omits(api: Any, private: str) -> None:
    identifier = service(api, private, DnsConfig=A, HealthCheckCustomConfig={})
    api.update_service(Id=identifier, Service={"Description": "x"})
    got = api.get_service(Id=identifier)["Service"]
    assert got["DnsConfig"]["DnsRecords"] == []
    assert got["HealthCheckCustomConfig"] == {"FailureThreshold": 1}


def test_what_is_fixed_at_creation_cannot_be_updated(api: Any, private: str) -> None:
    identifier = service(api, private, DnsConfig=A, HealthCheckCustomConfig={})
    assert error_of(api.update_service, Id=identifier, Service={"DnsConfig": records("A", "AAAA")}) == (
        "InvalidInput",
        (
            "Service.DnsConfig.DnsRecords is ['AAAA']: the record types of a service are fixed when it is created; "
            "make it anew to change them"
        ),
    )
    assert error_of(api.update_service, Id=identifier, Service={"HealthCheckConfig": {"Type": "TCP"}}) == (
        "InvalidInput",
        "Service.HealthCheckConfig is 'TCP': the service has a HealthCheckCustomConfig, which excludes it",
    )
    http = service(api, namespace(api, "http"))
    assert error_of(api.update_service, Id=http, Service={"Description": "x"}) == (
        "InvalidInput",
        f"Id is '{http}': services of HTTP namespaces cannot be updated",
    )


def test_a_service_with_instances_cannot_be_deleted(api: Any) -> None:
    identifier = service(api, namespace(api))
    register(api, identifier)
    assert error_of(api.delete_service, Id=identifier)[0] == "ResourceInUse"
    api.deregister_instance(ServiceId=identifier, InstanceId="i-1")
    api.delete_service(Id=identifier)
    assert error_of(api.get_service, Id=identifier)[0] == "ServiceNotFound"
    assert error_of(api.delete_service, Id=identifier)[0] == "ServiceNotFound"
    assert error_of(register, api=api, service_id=identifier)[0] == "ServiceNotFound"


def test_a_summary_and_a_service_agree(api: Any, private: str) -> None:
    identifier = service(api, private, DnsConfig=A, Description="d", CreatorRequestId="c")
    [summary] = api.list_services()["Services"]
    got = api.get_service(Id=identifier)["Service"]
    assert {"CreatorRequestId": "c", "NamespaceId": private, **summary} == got
