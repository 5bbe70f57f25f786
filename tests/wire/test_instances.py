"""Registering: an upsert, within the bounds that the service and the quotas set."""

from typing import Any

import pytest

from tests.wire.harness import Server, error_of, namespace, register, service

IPV4 = {"AWS_INSTANCE_IPV4": "10.0.0.1"}
IPV6 = {"AWS_INSTANCE_IPV6": "2001:db8::1"}
PORT = {"AWS_INSTANCE_PORT": "80"}


@pytest.fixture
def http(api: Any) -> str:
    return service(api, namespace(api))


def attributes(api: Any, service_id: str, instance_id: str = "i-1") -> dict[str, str]:
    found: dict[str, str] = api.get_instance(ServiceId=service_id, InstanceId=instance_id)["Instance"]["Attributes"]
    return found


def test_registering_again_replaces_all_attributes(api: Any, http: str) -> None:
    register(api, http, stage="dev", version="1")
    register(api, http, stage="prod")
    assert attributes(api, http) == {"stage": "prod"}
    assert api.get_service(Id=http)["Service"]["InstanceCount"] == 1


def test_every_allowed_character_comes_back(api: Any, http: str) -> None:
    printable = "".join(chr(code) for code in range(0x21, 0x7F))
    given = {printable: f"a {printable}\t", "empty": ""}
    api.register_instance(ServiceId=http, InstanceId="0aZ_/:.@-", Attributes=given)
    assert attributes(api, http, "0aZ_/:.@-") == given


def test_thirty_custom_attributes_are_the_most(api: Any, http: str) -> None:
    thirty = {f"k{number}": "v" for number in range(30)}
    register(api, http, **thirty, **IPV4, **PORT)
    assert error_of(register, api=api, service_id=http, **thirty, one_more="v") == (
        "InvalidInput",
        "Attributes has 31: 30 custom attributes are allowed",
    )
    # Only the keys that Cloud Map gives a meaning are free.
    assert error_of(register, api=api, service_id=http, **thirty, AWS_OTHER="v")[0] == "InvalidInput"


def test_five_thousand_characters_are_the_most(api: Any, http: str) -> None:
    full = {f"k{number}": "v" * 998 for number in range(5)}
    register(api, http, **full)
    assert error_of(register, api=api, service_id=http, **full, x="") == (
        "InvalidInput",
        "Attributes has 5,001: 5,000 characters of keys and values together are allowed",
    )


@pytest.mark.parametrize(
    ("types", "given"),
    [
        (["A"], IPV4),
        (["AAAA"], IPV6),
        (["A", "AAAA"], IPV4 | IPV6),
        (["SRV"], IPV4 | PORT),
        (["SRV"], IPV6 | PORT),
        (["CNAME"], {"AWS_INSTANCE_CNAME": "www.example.com"}),
    ],
)
def test_records_need_their_attributes(api: Any, types: list[str], given: dict[str, str]) -> None:
    config = {
        "DnsRecords": [{"Type": type_, "TTL": 60} for type_ in types],
        "RoutingPolicy": "WEIGHTED" if types == ["CNAME"] else "MULTIVALUE",
    }
    identifier = service(api, namespace(api, "example.com", Vpc="vpc-1"), DnsConfig=config)
    register(api, identifier, **given)
    assert attributes(api, identifier) == given
    for missing in given:
        left = {key: value for key, value in given.items() if key != missing}
        code, message = error_of(register, api=api, service_id=identifier, **left)
        assert code == "InvalidInput"
        assert missing in message
        assert "records, which need it" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"AWS_INSTANCE_IPV4": "10.0.0.256"},
            "Attributes[AWS_INSTANCE_IPV4] is '10.0.0.256': this is no address of that kind",
        ),
        ({"AWS_INSTANCE_IPV4": "::1"}, "Attributes[AWS_INSTANCE_IPV4] is '::1': this is no address of that kind"),
        (
            {"AWS_INSTANCE_IPV6": "10.0.0.1"},
            "Attributes[AWS_INSTANCE_IPV6] is '10.0.0.1': this is no address of that kind",
        ),
        ({"AWS_INSTANCE_PORT": "0"}, "Attributes[AWS_INSTANCE_PORT] is '0': a port is a number from 1 to 65,535"),
        (
            {"AWS_INSTANCE_PORT": "65536"},
            "Attributes[AWS_INSTANCE_PORT] is '65536': a port is a number from 1 to 65,535",
        ),
        ({"AWS_INSTANCE_PORT": "http"}, "Attributes[AWS_INSTANCE_PORT] is 'http': a port is a number from 1 to 65,535"),
        (
            {"AWS_INIT_HEALTH_STATUS": "HEALTHY"},
            "Attributes[AWS_INIT_HEALTH_STATUS] is 'HEALTHY': the service has no HealthCheckCustomConfig",
        ),
        (
            {"AWS_EC2_INSTANCE_ID": "i-0123456789abcdef0", "stage": "dev"},
            (
                "Attributes[AWS_EC2_INSTANCE_ID] is 'i-0123456789abcdef0': nothing but AWS_INIT_HEALTH_STATUS is "
                "allowed beside it"
            ),
        ),
        (
            {"AWS_EC2_INSTANCE_ID": "i-0123456789abcdef0"},
            (
                "Attributes[AWS_EC2_INSTANCE_ID] is 'i-0123456789abcdef0': this registry knows no EC2 instances and "
                "cannot look up its address; give AWS_INSTANCE_IPV4"
            ),
        ),
        (
            {"AWS_ALIAS_DNS_NAME": "lb.example.com"},
            (
                "Attributes[AWS_ALIAS_DNS_NAME] is 'lb.example.com': the service must have A or AAAA records and "
                "WEIGHTED routing"
            ),
        ),
    ],
)
def test_standard_attributes_have_values_of_their_kind(
    api: Any, http: str, given: dict[str, str], message: str
) -> None:
    assert error_of(register, api=api, service_id=http, **given) == ("InvalidInput", message)


def test_an_alias_stands_alone(api: Any) -> None:
    config = {"DnsRecords": [{"Type": "A", "TTL": 60}], "RoutingPolicy": "WEIGHTED"}
    identifier = service(api, namespace(api, "example.com", Vpc="vpc-1"), DnsConfig=config)
    register(api, identifier, AWS_ALIAS_DNS_NAME="lb.example.com", stage="dev")
    assert error_of(register, api=api, service_id=identifier, AWS_ALIAS_DNS_NAME="lb.example.com", **IPV4) == (
        "InvalidInput",
        "Attributes[AWS_ALIAS_DNS_NAME] is 'lb.example.com': no AWS_INSTANCE_* attribute is allowed beside it",
    )
    private = service(api, namespace(api, "two.example", Vpc="vpc-1"), DnsConfig=config)
    assert error_of(register, api=api, service_id=private, AWS_EC2_INSTANCE_ID="i-1")[1] == (
        "Attributes[AWS_EC2_INSTANCE_ID] is 'i-1': it is allowed in HTTP namespaces only"
    )


def test_an_id_that_becomes_a_dns_name_fits_a_label(api: Any) -> None:
    srv = {"DnsRecords": [{"Type": "SRV", "TTL": 60}]}
    identifier = service(api, namespace(api, "example.com", Vpc="vpc-1"), DnsConfig=srv)
    register(api, identifier, "x" * 63, **IPV4, **PORT)
    assert error_of(register, api=api, service_id=identifier, instance_id="x" * 64, **IPV4, **PORT) == (
        "InvalidInput",
        f"InstanceId is '{'x' * 64}': in a service with SRV records 63 characters are the most of a DNS label",
    )
    plain = service(api, namespace(api, "http"))
    register(api, plain, "x" * 64)


def test_a_service_holds_a_thousand_and_a_namespace_two(server: Server, api: Any) -> None:
    parent = namespace(api)
    services = [service(api, parent, f"s{number}") for number in range(3)]
    for identifier in services[:2]:
        for number in range(1000):
            answer = server.call("RegisterInstance", ServiceId=identifier, InstanceId=f"i-{number}", Attributes={})
            assert answer.status == 200
    assert error_of(register, api=api, service_id=services[0], instance_id="one-more") == (
        "ResourceLimitExceeded",
        "Service 's0' has 1,000 instances: no more are allowed in a service",
    )
    assert error_of(register, api=api, service_id=services[2]) == (
        "ResourceLimitExceeded",
        "Namespace 'test-namespace' has 2,000 instances: no more are allowed in a namespace",
    )
    register(api, services[0], "i-0", stage="dev")
    api.deregister_instance(ServiceId=services[0], InstanceId="i-1")
    register(api, services[2])


def test_what_is_not_there_cannot_be_deregistered(api: Any, http: str) -> None:
    assert error_of(api.deregister_instance, ServiceId=http, InstanceId="i-1") == (
        "InstanceNotFound",
        "Service 'flask-app' has no instance 'i-1'",
    )
    register(api, http)
    operation = api.deregister_instance(ServiceId=http, InstanceId="i-1")["OperationId"]
    found = api.get_operation(OperationId=operation)["Operation"]
    assert (found["Type"], found["Status"]) == ("DEREGISTER_INSTANCE", "SUCCESS")
    assert error_of(api.get_instance, ServiceId=http, InstanceId="i-1")[0] == "InstanceNotFound"
    assert error_of(api.deregister_instance, ServiceId=http, InstanceId="i-1")[0] == "InstanceNotFound"


def test_a_list_is_paged_and_whole(api: Any, http: str) -> None:
    names = {f"i-{number}" for number in range(25)}
    for name in names:
        register(api, http, name)
    pages = list(api.get_paginator("list_instances").paginate(ServiceId=http, PaginationConfig={"PageSize": 10}))
    assert [len(page["Instances"]) for page in pages] == [10, 10, 5]
    assert {each["Id"] for page in pages for each in page["Instances"]} == names


def test_what_goes_between_two_pages_hides_nothing_else(api: Any, http: str) -> None:
    for number in range(10):
        register(api, http, f"i-{number}")
    first = api.list_instances(ServiceId=http, MaxResults=5)
    for number in range(5):
        api.deregister_instance(ServiceId=http, InstanceId=f"i-{number}")
    second = api.list_instances(ServiceId=http, NextToken=first["NextToken"])
    assert [each["Id"] for each in second["Instances"]] == [f"i-{number}" for number in range(5, 10)]
    assert "NextToken" not in second


def test_a_token_of_another_list_is_refused(api: Any, http: str) -> None:
    other = service(api, namespace(api, "other"))
    for number in range(2):
        register(api, http, f"i-{number}")
    token = api.list_instances(ServiceId=http, MaxResults=1)["NextToken"]
    for wrong in (token, "nonsense", "", "AAAA"):
        assert error_of(api.list_instances, ServiceId=other, NextToken=wrong) == (
            "InvalidInput",
            (
                "NextToken is not valid: a NextToken is valid for the operation and the resource that it was "
                "answered for only"
            ),
        )


def test_a_request_that_is_repeated_when_it_is_done_is_not_done_twice(api: Any) -> None:
    """By its CreatorRequestId, as an SDK repeats what it lost the answer of; without it, health would begin anew."""
    identifier = service(api, namespace(api), HealthCheckCustomConfig={})
    request = {"ServiceId": identifier, "InstanceId": "i-1", "Attributes": {"a": "1"}, "CreatorRequestId": "once"}
    first = api.register_instance(**request)["OperationId"]
    target = {"ServiceId": identifier, "InstanceId": "i-1"}
    api.update_instance_custom_health_status(**target, Status="UNHEALTHY")
    assert api.register_instance(**request)["OperationId"] == first
    assert api.get_instances_health_status(ServiceId=identifier)["Status"] == {"i-1": "UNHEALTHY"}
    for other in ({"Attributes": {"a": "2"}}, {"CreatorRequestId": "twice", "Attributes": {"a": "2"}}):
        assert api.register_instance(**request | other)["OperationId"] != first
    assert api.get_instances_health_status(ServiceId=identifier)["Status"] == {"i-1": "HEALTHY"}
    api.register_instance(**request)
    api.deregister_instance(**target)
    assert api.register_instance(**request)["OperationId"] != first
