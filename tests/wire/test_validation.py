"""A request is refused for its shape with the field, what was found and what is allowed."""

from typing import Any

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.validation import validated

REGISTER = {"ServiceId": "srv-1", "InstanceId": "i-1", "Attributes": {}}

REFUSED: list[tuple[str, Any, str]] = [
    ("GetNamespace", {}, "InvalidInput: Id is missing: it is required"),
    ("GetNamespace", {"Id": None}, "InvalidInput: Id is missing: it is required"),
    ("GetNamespace", {"Id": 7}, "SerializationException: Id is 7: a string is needed"),
    ("GetNamespace", [], "SerializationException: The request is []: an object is needed"),
    (
        "GetNamespace",
        {"Id": "x" * 256},
        f"InvalidInput: Id is '{'x' * 75}...': at most 255 characters are allowed; this has 256",
    ),
    (
        "CreateHttpNamespace",
        {"Name": "arn:aws:x"},
        (
            "InvalidInput: Name is 'arn:aws:x': an HTTP namespace's name is printable ASCII without spaces, "
            "1 to 1,024 long, not beginning with arn:"
        ),
    ),
    (
        "CreatePublicDnsNamespace",
        {"Name": "local"},
        (
            "InvalidInput: Name is 'local': the name of a public namespace is a domain name of two labels or more, "
            "at most 253 long"
        ),
    ),
    ("CreatePrivateDnsNamespace", {"Name": "local"}, "InvalidInput: Vpc is missing: it is required"),
    (
        "CreatePrivateDnsNamespace",
        {"Name": "a.b", "Vpc": "vpc-1", "Properties": {"DnsProperties": {"SOA": {"TTL": -1}}}},
        "InvalidInput: Properties.DnsProperties.SOA.TTL is -1: 0 to 2,147,483,647 is allowed",
    ),
    (
        "CreateService",
        {"Name": "-a"},
        (
            "InvalidInput: Name is '-a': a service name has labels of 1 to 63 of the characters a-z A-Z 0-9 _ - "
            "joined by dots, 127 in all"
        ),
    ),
    (
        "CreateService",
        {"Name": "a", "DnsConfig": {"DnsRecords": [{"Type": "MX", "TTL": 60}]}},
        "InvalidInput: DnsConfig.DnsRecords[0].Type is 'MX': one of SRV, A, AAAA, CNAME is allowed",
    ),
    (
        "CreateService",
        {"Name": "a", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": True}]}},
        "SerializationException: DnsConfig.DnsRecords[0].TTL is True: a whole number is needed",
    ),
    (
        "CreateService",
        {"Name": "a", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 0.5}]}},
        "SerializationException: DnsConfig.DnsRecords[0].TTL is 0.5: a whole number is needed",
    ),
    ("CreateService", {"Name": "a", "Tags": {}}, "SerializationException: Tags is {}: a list is needed"),
    (
        "RegisterInstance",
        REGISTER | {"InstanceId": "a b"},
        "InvalidInput: InstanceId is 'a b': an instance id has 1 to 64 of the characters 0-9 a-z A-Z _ / : . @ -",
    ),
    (
        "RegisterInstance",
        REGISTER | {"InstanceId": "i-1\n"},
        "InvalidInput: InstanceId is 'i-1\\n': an instance id has 1 to 64 of the characters 0-9 a-z A-Z _ / : . @ -",
    ),
    (
        "RegisterInstance",
        REGISTER | {"InstanceId": "x" * 65},
        (
            f"InvalidInput: InstanceId is '{'x' * 65}': an instance id has 1 to 64 of the characters 0-9 a-z A-Z "
            "_ / : . @ -; this has 65"
        ),
    ),
    (
        "RegisterInstance",
        REGISTER | {"Attributes": {"a b": "c"}},
        "InvalidInput: Attributes key is 'a b': a key is printable ASCII without spaces, 1 to 255 long",
    ),
    (
        "RegisterInstance",
        REGISTER | {"Attributes": {"a": "ü"}},
        (
            "InvalidInput: Attributes[a] is 'ü': a value is printable ASCII, spaces and tabs, not beginning with "
            "either, at most 1,024 long"
        ),
    ),
    (
        "RegisterInstance",
        REGISTER | {"Attributes": {"a": "x" * 1025}},
        (
            f"InvalidInput: Attributes[a] is '{'x' * 75}...': a value is printable ASCII, spaces and tabs, "
            "not beginning with either, at most 1,024 long; this has 1025"
        ),
    ),
    (
        "RegisterInstance",
        REGISTER | {"Attributes": {"a": 1}},
        "SerializationException: Attributes[a] is 1: a string is needed",
    ),
    (
        "RegisterInstance",
        REGISTER | {"Attributes": []},
        "SerializationException: Attributes is []: an object is needed",
    ),
    (
        "DiscoverInstances",
        {"NamespaceName": "n", "ServiceName": "s", "MaxResults": 1001},
        "InvalidInput: MaxResults is 1001: 1 to 1,000 is allowed",
    ),
    (
        "DiscoverInstances",
        {"NamespaceName": "n", "ServiceName": "s", "HealthStatus": "SICK"},
        "InvalidInput: HealthStatus is 'SICK': one of HEALTHY, UNHEALTHY, ALL, HEALTHY_OR_ELSE_ALL is allowed",
    ),
    (
        "DiscoverInstances",
        {"NamespaceName": "n", "ServiceName": "s", "OwnerAccount": "1"},
        "InvalidInput: OwnerAccount is '1': an account id has 12 digits; this has 1",
    ),
    ("ListInstances", {"ServiceId": "s", "MaxResults": 0}, "InvalidInput: MaxResults is 0: 1 to 100 is allowed"),
    (
        "GetInstancesHealthStatus",
        {"ServiceId": "s", "Instances": []},
        "InvalidInput: Instances is []: at least 1 is needed",
    ),
    (
        "UntagResource",
        {"ResourceARN": "arn", "TagKeys": ["k"] * 201},
        "InvalidInput: TagKeys has 201 items: at most 200 are allowed",
    ),
    (
        "TagResource",
        {"ResourceARN": "arn", "Tags": [{"Key": "", "Value": ""}]},
        "InvalidInput: Tags[0].Key is '': 1 to 128 characters are allowed; this has 0",
    ),
    (
        "CreateHttpNamespace",
        {"Name": "a", "Description": "\ud800"},
        "SerializationException: Description is '\\ud800': a string without half of a surrogate pair is needed",
    ),
]


@pytest.mark.parametrize(("operation", "request_", "message"), REFUSED)
def test_a_wrong_request_is_refused_by_name(operation: str, request_: object, message: str) -> None:
    with pytest.raises(CloudMapError) as caught:
        validated(operation, request_)
    assert f"{caught.value.code}: {caught.value.message}" == message


def test_a_right_request_comes_back_with_its_known_members() -> None:
    request = {"ServiceId": "s", "MaxResults": 5.0, "NextToken": None, "Else": 1}
    assert validated("ListInstances", request) == {"ServiceId": "s", "MaxResults": 5}


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "~!", "x" * 1024, "trailing "])
def test_values_at_the_bounds_are_taken(value: str) -> None:
    request = REGISTER | {"Attributes": {"k" * 255: value}, "InstanceId": "a_/:.@-9"}
    assert validated("RegisterInstance", request) == request


@pytest.mark.parametrize("name", ["a", "_http._tcp", "A-b_c.d", "x" * 63, f"{'x' * 63}.{'y' * 63}", "."])
def test_service_names_at_the_bounds_are_taken(name: str) -> None:
    assert validated("CreateService", {"Name": name}) == {"Name": name}


@pytest.mark.parametrize("name", ["", "a..b", ".a", "a.", "x" * 64, "a b", "ä", "a-", f"{'x' * 63}.{'y' * 62}.zz"])
def test_service_names_beyond_the_bounds_are_refused(name: str) -> None:
    with pytest.raises(CloudMapError):
        validated("CreateService", {"Name": name})
