"""Tags of namespaces and services, by ARN."""

from typing import Any

import pytest

from tests.wire.harness import error_of, namespace, service


@pytest.fixture(params=["namespace", "service"])
def arn(api: Any, request: pytest.FixtureRequest) -> str:
    parent = namespace(api, Tags=[{"Key": "k", "Value": "v"}])
    identifier = service(api, parent, Tags=[{"Key": "k", "Value": "v"}])
    found: str = (
        api.get_namespace(Id=parent)["Namespace"]["Arn"]
        if request.param == "namespace"
        else api.get_service(Id=identifier)["Service"]["Arn"]
    )
    return found


def tags(api: Any, arn: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in api.list_tags_for_resource(ResourceARN=arn)["Tags"]}


def test_tags_are_added_replaced_and_taken_off(api: Any, arn: str) -> None:
    assert tags(api, arn) == {"k": "v"}
    api.tag_resource(ResourceARN=arn, Tags=[{"Key": "k", "Value": ""}, {"Key": "größe", "Value": "日本"}])
    assert tags(api, arn) == {"k": "", "größe": "日本"}
    api.untag_resource(ResourceARN=arn, TagKeys=["k", "none"])
    assert tags(api, arn) == {"größe": "日本"}


def test_fifty_tags_are_the_most(api: Any, arn: str) -> None:
    many = [{"Key": f"t{number}", "Value": ""} for number in range(50)]
    with pytest.raises(api.exceptions.TooManyTagsException) as caught:
        api.tag_resource(ResourceARN=arn, Tags=many)
    assert caught.value.response["ResourceName"] == arn
    assert tags(api, arn) == {"k": "v"}
    api.tag_resource(ResourceARN=arn, Tags=many[1:])
    assert len(tags(api, arn)) == 50
    too_many = [*many, {"Key": "k", "Value": ""}]
    assert error_of(api.create_http_namespace, Name="b", Tags=too_many)[0] == "TooManyTagsException"
    parent = namespace(api, "c")
    assert error_of(api.create_service, Name="b", NamespaceId=parent, Tags=too_many)[0] == "TooManyTagsException"


def test_keys_are_unique_and_not_reserved(api: Any, arn: str) -> None:
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert error_of(api.tag_resource, ResourceARN=arn, Tags=twice) == (
        "InvalidInput",
        "Tags is 'a': each key is allowed once",
    )
    assert error_of(api.tag_resource, ResourceARN=arn, Tags=[{"Key": "AWS:x", "Value": ""}]) == (
        "InvalidInput",
        "Tags is 'AWS:x': keys that begin with aws: are reserved",
    )


def test_only_an_arn_names_a_resource(api: Any) -> None:
    identifier = namespace(api)
    calls: list[tuple[Any, dict[str, Any]]] = [
        (api.list_tags_for_resource, {}),
        (api.tag_resource, {"Tags": []}),
        (api.untag_resource, {"TagKeys": []}),
    ]
    for call, members in calls:
        assert error_of(call, ResourceARN=identifier, **members)[0] == "InvalidInput"
        missing = "arn:aws:servicediscovery:us-east-1:000000000000:service/srv-none"
        assert error_of(call, ResourceARN=missing, **members) == (
            "ResourceNotFoundException",
            f"There is no resource {missing!r}",
        )
