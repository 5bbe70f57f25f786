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


@pytest.fixture
def public(api: Any) -> str:
    done = api.get_operation(OperationId=api.create_public_dns_namespace(Name="example.org")["OperationId"])
    identifier: str = done["Operation"]["Targets"]["NAMESPACE"]
    return identifier


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"Type": "HTTP"}, {"Type": "HTTP", "ResourcePath": "/", "FailureThreshold": 1}),
        (
            {"Type": "HTTPS", "ResourcePath": "/up", "FailureThreshold": 3},
            {"Type": "HTTPS", "ResourcePath": "/up", "FailureThreshold": 3},
        ),
        ({"Type": "TCP", "FailureThreshold": 10}, {"Type": "TCP", "FailureThreshold": 10}),
    ],
)
def test_the_registry_checks_health_where_it_is_asked_to(
    api: Any, public: str, given: dict[str, Any], made: dict[str, Any]
) -> None:
    http = namespace(api, "http")
    for request in ({"NamespaceId": http}, {"NamespaceId": public, "DnsConfig": A}):
        answer = api.create_service(Name="web", HealthCheckConfig=given, **request)["Service"]
        assert answer["HealthCheckConfig"] == made
        assert api.get_service(Id=answer["Id"])["Service"] == answer


def test_where_the_registry_cannot_check_health_it_says_so(api: Any, private: str, public: str) -> None:
    http = namespace(api, "http")
    check = {"Type": "HTTP", "ResourcePath": "/"}
    assert error_of(api.create_service, Name="web", NamespaceId=private, HealthCheckConfig=check)[1] == (
        "HealthCheckConfig is 'HTTP': health checks by the registry are for public DNS and HTTP namespaces only"
    )
    cname = records("CNAME", RoutingPolicy="WEIGHTED")
    request = {"Name": "web", "NamespaceId": public, "DnsConfig": cname, "HealthCheckConfig": check}
    assert error_of(api.create_service, **request)[1] == (
        "HealthCheckConfig is 'HTTP': a service with CNAME records has no health checks by the registry"
    )
    both = {"HealthCheckConfig": check, "HealthCheckCustomConfig": {"FailureThreshold": 1}}
    assert error_of(api.create_service, Name="web", NamespaceId=http, **both)[1] == (
        "HealthCheckConfig is 'given': HealthCheckConfig or HealthCheckCustomConfig is allowed, not both"
    )
    tcp = {"Type": "TCP", "ResourcePath": "/"}
    assert error_of(api.create_service, Name="web", NamespaceId=http, HealthCheckConfig=tcp)[1] == (
        "HealthCheckConfig.ResourcePath is '/': TCP checks have no ResourcePath"
    )


def test_an_update_adds_changes_and_deletes_a_health_check(api: Any, public: str) -> None:
    identifier = service(api, public, DnsConfig=A)

    def check(**change: Any) -> Any:
        api.update_service(Id=identifier, Service={"DnsConfig": A, **change})
        return api.get_service(Id=identifier)["Service"].get("HealthCheckConfig")

    assert check(HealthCheckConfig={"Type": "TCP", "FailureThreshold": 2}) == {"Type": "TCP", "FailureThreshold": 2}
    assert check(HealthCheckConfig={"Type": "TCP", "FailureThreshold": 4})["FailureThreshold"] == 4
    wanted = {"DnsConfig": A, "HealthCheckConfig": {"Type": "HTTP"}}
    assert error_of(api.update_service, Id=identifier, Service=wanted) == (
        "InvalidInput",
        (
            "Service.HealthCheckConfig.Type is 'HTTP': the type of a health check cannot be changed from TCP; "
            "delete it first, then add one"
        ),
    )
    assert check() is None
    assert check(HealthCheckConfig={"Type": "HTTP"})["Type"] == "HTTP"


def test_an_instance_that_is_to_be_checked_needs_an_address_and_a_port(api: Any, public: str) -> None:
    web = service(api, public, DnsConfig=A, HealthCheckConfig={"Type": "TCP"})
    assert error_of(register, api=api, service_id=web, AWS_INSTANCE_IPV4="10.0.0.1") == (
        "InvalidInput",
        "Attributes[AWS_INSTANCE_PORT] is missing: the service has a health check, which needs it",
    )
    by_api = service(api, public, "by-api", Type="HTTP", HealthCheckConfig={"Type": "TCP"})
    assert error_of(register, api=api, service_id=by_api, AWS_INSTANCE_PORT="80")[1] == (
        "Attributes[AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6] is missing: the service has a health check, which needs it"
    )
    place = {"AWS_INSTANCE_IPV4": "169.254.169.254", "AWS_INSTANCE_PORT": "80"}
    assert error_of(register, api=api, service_id=by_api, **place)[1] == (
        "Attributes[AWS_INSTANCE_IPV4] is '169.254.169.254': the service has a health check, and 169.254.169.254 is "
        "an address of a cloud's metadata, which is never checked"
    )
    weighted = service(
        api, public, "alias", DnsConfig={**A, "RoutingPolicy": "WEIGHTED"}, HealthCheckConfig={"Type": "TCP"}
    )
    register(api, weighted, AWS_ALIAS_DNS_NAME="lb.example.org")
    status = api.get_instances_health_status(ServiceId=weighted)["Status"]
    assert status == {"i-1": "HEALTHY"}, "an alias is not checked, and counts as healthy as Route 53 has it"


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
