"""The requests of Cloud Map's API as a table: members, types, lengths, patterns, enumerations.

Source: the service model of API version 2017-03-14. `tests/wire/test_shapes.py` compares the table with botocore's
copy of that model, so it cannot drift; `rule` alone is ours: the sentence for people in place of a pattern.
Shapes of answers are not here: `registries.embedded.rendering` makes those.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_INT_MOST = 2**31 - 1


@dataclass(frozen=True)
class Text:
    """A string: how long, of what, or one of `values`."""

    most: int | None = None
    least: int = 0
    pattern: str = ""
    values: tuple[str, ...] = ()
    rule: str = ""

    @cached_property
    def matches(self) -> re.Pattern[str]:
        """The pattern, compiled."""
        return re.compile(self.pattern)


@dataclass(frozen=True)
class Whole:
    """A whole number between two bounds, both allowed."""

    least: int
    most: int


@dataclass(frozen=True)
class Many:
    """A list of one shape."""

    of: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Table:
    """A map of strings to strings."""

    key: str
    value: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Structure:
    """An object: members with the names of their shapes, and which are required."""

    members: Mapping[str, str]
    required: frozenset[str]


Shape = Text | Whole | Many | Table | Structure


def _structure(text: str) -> Structure:
    """Read `Name!=Shape Other=Shape`; `!` marks what is required, `Name` alone has the shape of its name."""
    members: dict[str, str] = {}
    required = set()
    for word in text.split():
        name, _, shape = word.partition("=")
        if name.endswith("!"):
            name = name[:-1]
            required.add(name)
        members[name] = shape or name
    return Structure(members, frozenset(required))


_LABEL = "([a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])"
_HOST_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?"

SHAPES: Mapping[str, Shape] = {
    "AWSAccountId": Text(12, 12, rule="an account id has 12 digits"),
    "AmazonResourceName": Text(1011, 1),
    "Arn": Text(255),
    "AttrKey": Text(255, pattern="^[a-zA-Z0-9!-~]+$", rule="a key is printable ASCII without spaces, 1 to 255 long"),
    "AttrValue": Text(
        1024,
        pattern="^([a-zA-Z0-9!-~][ \\ta-zA-Z0-9!-~]*){0,1}[a-zA-Z0-9!-~]{0,1}$",
        rule="a value is printable ASCII, spaces and tabs, not beginning with either, at most 1,024 long",
    ),
    "CustomHealthStatus": Text(values=("HEALTHY", "UNHEALTHY")),
    "FilterCondition": Text(values=("EQ", "IN", "BETWEEN", "BEGINS_WITH")),
    "FilterValue": Text(255, 1),
    "HealthCheckType": Text(values=("HTTP", "HTTPS", "TCP")),
    "HealthStatusFilter": Text(values=("HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL")),
    "InstanceId": Text(
        64, pattern="^[0-9a-zA-Z_/:.@-]+$", rule="an instance id has 1 to 64 of the characters 0-9 a-z A-Z _ / : . @ -"
    ),
    "NamespaceFilterName": Text(values=("TYPE", "NAME", "HTTP_NAME", "RESOURCE_OWNER")),
    "NamespaceName": Text(
        1024, pattern="^[!-~]{1,1024}$", rule="a name is printable ASCII without spaces, 1 to 1,024 long"
    ),
    "NamespaceNameHttp": Text(
        1024,
        pattern="^(?!arn:)[!-~]{1,1024}$",
        rule="an HTTP namespace's name is printable ASCII without spaces, 1 to 1,024 long, not beginning with arn:",
    ),
    "NamespaceNamePrivate": Text(
        253,
        pattern="^(?!arn:)[!-~]{1,253}$",
        rule="a private namespace's name is printable ASCII without spaces, 1 to 253 long, not beginning with arn:",
    ),
    "NamespaceNamePublic": Text(
        253,
        pattern=f"^({_HOST_LABEL}\\.)+{_HOST_LABEL}$",
        rule="the name of a public namespace is a domain name of two labels or more, at most 253 long",
    ),
    "NextToken": Text(4096),
    "OperationFilterName": Text(values=("NAMESPACE_ID", "SERVICE_ID", "STATUS", "TYPE", "UPDATE_DATE")),
    "OperationId": Text(255),
    "RecordType": Text(values=("SRV", "A", "AAAA", "CNAME")),
    "ResourceDescription": Text(1024),
    "ResourceId": Text(64),
    "ResourcePath": Text(255),
    "RoutingPolicy": Text(values=("MULTIVALUE", "WEIGHTED")),
    "ServiceAttributeKey": Text(255),
    "ServiceAttributeValue": Text(1024),
    "ServiceFilterName": Text(values=("NAMESPACE_ID", "RESOURCE_OWNER")),
    "ServiceName": Text(
        pattern=f"((?=^.{{1,127}}$)^{_LABEL}(\\.{_LABEL})*$)|(^\\.$)",
        rule="a service name has labels of 1 to 63 of the characters a-z A-Z 0-9 _ - joined by dots, 127 in all",
    ),
    "ServiceTypeOption": Text(values=("HTTP",)),
    "TagKey": Text(128, 1),
    "TagValue": Text(256, 0),
    "DiscoverMaxResults": Whole(1, 1000),
    "FailureThreshold": Whole(1, 10),
    "MaxResults": Whole(1, 100),
    "RecordTTL": Whole(0, _INT_MOST),
    "DnsRecordList": Many("DnsRecord"),
    "FilterValues": Many("FilterValue"),
    "InstanceIdList": Many("ResourceId", 1),
    "NamespaceFilters": Many("NamespaceFilter"),
    "OperationFilters": Many("OperationFilter"),
    "ServiceAttributeKeyList": Many("ServiceAttributeKey", 1, 30),
    "ServiceFilters": Many("ServiceFilter"),
    "TagKeyList": Many("TagKey", 0, 200),
    "TagList": Many("Tag", 0, 200),
    "Attributes": Table("AttrKey", "AttrValue"),
    "ServiceAttributesMap": Table("ServiceAttributeKey", "ServiceAttributeValue", 1, 30),
    "DnsConfig": _structure("NamespaceId=ResourceId RoutingPolicy DnsRecords!=DnsRecordList"),
    "DnsConfigChange": _structure("DnsRecords!=DnsRecordList"),
    "DnsRecord": _structure("Type!=RecordType TTL!=RecordTTL"),
    "HealthCheckConfig": _structure("Type!=HealthCheckType ResourcePath FailureThreshold"),
    "HealthCheckCustomConfig": _structure("FailureThreshold"),
    "HttpNamespaceChange": _structure("Description!=ResourceDescription"),
    "NamespaceFilter": _structure("Name!=NamespaceFilterName Values!=FilterValues Condition=FilterCondition"),
    "OperationFilter": _structure("Name!=OperationFilterName Values!=FilterValues Condition=FilterCondition"),
    "PrivateDnsNamespaceChange": _structure(
        "Description=ResourceDescription Properties=PrivateDnsNamespacePropertiesChange"
    ),
    "PrivateDnsNamespaceProperties": _structure("DnsProperties!=PrivateDnsPropertiesMutable"),
    "PrivateDnsNamespacePropertiesChange": _structure("DnsProperties!=PrivateDnsPropertiesMutableChange"),
    "PrivateDnsPropertiesMutable": _structure("SOA!"),
    "PrivateDnsPropertiesMutableChange": _structure("SOA!=SOAChange"),
    "PublicDnsNamespaceChange": _structure(
        "Description=ResourceDescription Properties=PublicDnsNamespacePropertiesChange"
    ),
    "PublicDnsNamespaceProperties": _structure("DnsProperties!=PublicDnsPropertiesMutable"),
    "PublicDnsNamespacePropertiesChange": _structure("DnsProperties!=PublicDnsPropertiesMutableChange"),
    "PublicDnsPropertiesMutable": _structure("SOA!"),
    "PublicDnsPropertiesMutableChange": _structure("SOA!=SOAChange"),
    "SOA": _structure("TTL!=RecordTTL"),
    "SOAChange": _structure("TTL!=RecordTTL"),
    "ServiceChange": _structure("Description=ResourceDescription DnsConfig=DnsConfigChange HealthCheckConfig"),
    "ServiceFilter": _structure("Name!=ServiceFilterName Values!=FilterValues Condition=FilterCondition"),
    "Tag": _structure("Key!=TagKey Value!=TagValue"),
}

_CREATE = "CreatorRequestId=ResourceId Description=ResourceDescription Tags=TagList"
_UPDATE = "Id!=Arn UpdaterRequestId=ResourceId"
_PAGE = "NextToken MaxResults"
_INSTANCE = "ServiceId!=Arn InstanceId!=ResourceId"

OPERATIONS: Mapping[str, Structure] = {
    name: _structure(text)
    for name, text in {
        "CreateHttpNamespace": f"Name!=NamespaceNameHttp {_CREATE}",
        "CreatePrivateDnsNamespace": f"Name!=NamespaceNamePrivate Vpc!=ResourceId {_CREATE} "
        "Properties=PrivateDnsNamespaceProperties",
        "CreatePublicDnsNamespace": f"Name!=NamespaceNamePublic {_CREATE} Properties=PublicDnsNamespaceProperties",
        "CreateService": f"Name!=ServiceName NamespaceId=Arn {_CREATE} DnsConfig HealthCheckConfig "
        "HealthCheckCustomConfig Type=ServiceTypeOption",
        "DeleteNamespace": "Id!=Arn",
        "DeleteService": "Id!=Arn",
        "DeleteServiceAttributes": "ServiceId!=Arn Attributes!=ServiceAttributeKeyList",
        "DeregisterInstance": _INSTANCE,
        "DiscoverInstances": "NamespaceName! ServiceName! MaxResults=DiscoverMaxResults QueryParameters=Attributes "
        "OptionalParameters=Attributes HealthStatus=HealthStatusFilter OwnerAccount=AWSAccountId",
        "DiscoverInstancesRevision": "NamespaceName! ServiceName! OwnerAccount=AWSAccountId",
        "GetInstance": _INSTANCE,
        "GetInstancesHealthStatus": f"ServiceId!=Arn Instances=InstanceIdList {_PAGE}",
        "GetNamespace": "Id!=Arn",
        "GetOperation": "OperationId! OwnerAccount=AWSAccountId",
        "GetService": "Id!=Arn",
        "GetServiceAttributes": "ServiceId!=Arn",
        "ListInstances": f"ServiceId!=Arn {_PAGE}",
        "ListNamespaces": f"{_PAGE} Filters=NamespaceFilters",
        "ListOperations": f"{_PAGE} Filters=OperationFilters",
        "ListServices": f"{_PAGE} Filters=ServiceFilters",
        "ListTagsForResource": "ResourceARN!=AmazonResourceName",
        "RegisterInstance": "ServiceId!=Arn InstanceId! CreatorRequestId=ResourceId Attributes!",
        "TagResource": "ResourceARN!=AmazonResourceName Tags!=TagList",
        "UntagResource": "ResourceARN!=AmazonResourceName TagKeys!=TagKeyList",
        "UpdateHttpNamespace": f"{_UPDATE} Namespace!=HttpNamespaceChange",
        "UpdateInstanceCustomHealthStatus": f"{_INSTANCE} Status!=CustomHealthStatus",
        "UpdatePrivateDnsNamespace": f"{_UPDATE} Namespace!=PrivateDnsNamespaceChange",
        "UpdatePublicDnsNamespace": f"{_UPDATE} Namespace!=PublicDnsNamespaceChange",
        "UpdateService": "Id!=Arn Service!=ServiceChange",
        "UpdateServiceAttributes": "ServiceId!=Arn Attributes!=ServiceAttributesMap",
    }.items()
}
"""All operations of the API, each with its request."""
