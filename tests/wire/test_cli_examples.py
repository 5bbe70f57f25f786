"""The examples of the aws command line's own documentation, run as they are printed there, and their outputs compared.

Its package has them as files. Only ids differ, for those are ours to give: `ns-…`, `srv-…` and an operation's. What the
documentation prints must come, with the same values where a value is no id, date or number of the day.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.warm.command_line import CommandLine, examples
from tests.wire.harness import Server, running

ACCOUNT, OTHER = "123456789012", "123456789111"
OF_THE_DAY = {
    "Arn", "CreateDate", "CreatorRequestId", "HostedZoneId", "Id", "InstancesRevision", "NAMESPACE", "NamespaceId",
    "OperationId", "ServiceArn", "UpdateDate",
}  # fmt: skip
A = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 60}]}
HTTP, PRIVATE, PUBLIC = "CreateHttpNamespace", "CreatePrivateDnsNamespace", "CreatePublicDnsNamespace"


@dataclass(frozen=True)
class Scene:
    """What there must be for an example: a namespace, a service in it, instances of that by id."""

    kind: str = PRIVATE
    namespace: Mapping[str, Any] = field(default_factory=dict)
    service: Mapping[str, Any] | None = None
    instances: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


def at(address: str, port: int, **custom: str) -> dict[str, str]:
    return {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port), **custom}


NOTHING = Scene()
EMPTY = Scene(service={})
REGISTERED = Scene(
    service={}, instances={"myservice-53": at("172.2.1.3", 808), "web-server-01": at("203.0.113.15", 80)}
)
SAID = {"HealthCheckCustomConfig": {"FailureThreshold": 1}}
CHECKED = {"DnsConfig": A, "HealthCheckConfig": {"Type": "HTTP", "ResourcePath": "/", "FailureThreshold": 1}}
WELL, ILL = {"AWS_INIT_HEALTH_STATUS": "HEALTHY"}, {"AWS_INIT_HEALTH_STATUS": "UNHEALTHY"}
TAGGED = {"Tags": [{"Key": "Project", "Value": "Zeta"}, {"Key": "Department", "Value": "Engineering"}]}
DESCRIBED = {"Name": "example-http.com", "Description": "Example.com AWS Cloud Map HTTP Namespace"}
COLOURS = at("192.0.2.44", 80, color="green", region="us-west-2", stage="beta")

SCENES: dict[str, Scene] = {
    "create-http-namespace 1": NOTHING,
    "create-private-dns-namespace 1": Scene(namespace={"Name": "another.local"}),
    "create-public-dns-namespace 1": NOTHING,
    "create-service 1": NOTHING,
    "create-service 2": NOTHING,
    "delete-namespace 1": NOTHING,
    "delete-namespace 2": NOTHING,
    "delete-service 1": EMPTY,
    "delete-service 2": EMPTY,
    "delete-service-attributes 1": Scene(service={}, attributes={"Port": "80"}),
    "delete-service-attributes 2": Scene(service={}, attributes={"Port": "80"}),
    "deregister-instance 1": REGISTERED,
    "deregister-instance 2": REGISTERED,
    "discover-instances 1": Scene(service={}, instances={"myservice-53": at("172.2.1.3", 808)}),
    "discover-instances-revision 1": REGISTERED,
    "get-instance 1": Scene(service={}, instances={"i-abcd1234": COLOURS}),
    "get-instance 2": REGISTERED,
    "get-instances-health-status 1": Scene(HTTP, service=SAID, instances={"i-abcd1234": WELL, "i-abcd1235": ILL}),
    "get-instances-health-status 2": Scene(HTTP, service=SAID, instances={"web-server-01": WELL, "web-server-02": ILL}),
    "get-namespace 1": Scene(HTTP, DESCRIBED),
    "get-namespace 2": Scene(HTTP, DESCRIBED),
    "get-operation 1": NOTHING,
    "get-service 1": Scene(HTTP, service={"Name": "test-service"}),
    "get-service 2": Scene(HTTP, service={"Name": "test-service"}),
    "get-service-attributes 1": Scene(service={}, attributes={"Port": "80"}),
    "get-service-attributes 2": Scene(service={}, attributes={"Port": "80"}),
    "list-instances 1": Scene(service={}, instances={"i-06bdabbae60f65a4e": at("172.2.1.3", 808)}),
    "list-instances 2": Scene(
        service={}, instances={"web-server-01": at("203.0.113.15", 80), "web-server-02": at("203.0.113.16", 80)}
    ),
    "list-namespaces 1": Scene(namespace={"Name": "local"}),
    "list-operations 1": EMPTY,
    "list-services 1": Scene(service={"DnsConfig": A}),
    "list-tags-for-resource 1": Scene(HTTP, TAGGED),
    "register-instance 1": EMPTY,
    "register-instance 2": EMPTY,
    "tag-resource 1": Scene(HTTP),
    "untag-resource 1": Scene(HTTP, TAGGED),
    "update-http-namespace 1": Scene(HTTP),
    "update-http-namespace 2": Scene(HTTP),
    "update-instance-custom-health-status 1": Scene(HTTP, service=SAID, instances={"example": ILL}),
    "update-instance-custom-health-status 2": Scene(HTTP, service=SAID, instances={"web-server-01": ILL}),
    "update-private-dns-namespace 1": NOTHING,
    "update-private-dns-namespace 2": NOTHING,
    "update-public-dns-namespace 1": Scene(PUBLIC),
    "update-public-dns-namespace 2": Scene(PUBLIC),
    "update-service 1": Scene(PUBLIC, service=CHECKED),
    "update-service 2": Scene(PUBLIC, service=CHECKED),
    "update-service-attributes 1": EMPTY,
    "update-service-attributes 2": EMPTY,
}

OF_OTHERS = {
    "discover-instances 2": "NamespaceNotFound",
    "discover-instances-revision 2": "NamespaceNotFound",
    "get-operation 2": "OperationNotFound",
    "list-namespaces 2": "",
    "list-services 2": "",
}
"""Examples of what another account shares, which makes no sense off AWS: the code that comes, or that nothing comes."""

BROKEN = {
    "list-operations 1": (" --service-id srv-e4anhexample0004", "", "Unknown options: --service-id"),
    "tag-resource 1": ("Key=Department, Value=Engineering", "Key=Department,Value=Engineering", "Expected: '<second>'"),
}
"""Examples that no server could answer: what is wrong, what is meant, and what the command line itself says of it."""


class Example:
    """One command, and the output that is printed below it."""

    def __init__(self, command: str, output: str) -> None:
        self.command = command
        self.output = json.loads(output) if output else None


def read() -> dict[str, Example]:
    """Return all examples, by file and number."""
    found = {}
    for path in sorted(examples().glob("*.rst")):
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(
            r"^    aws servicediscovery (.+?)(?=\n\n)(?:\n\nOutput::\n\n(.+?)(?=\n\n))?", text, re.MULTILINE | re.DOTALL
        )
        for number, (command, output) in enumerate(blocks, 1):
            words = command.replace("\\\n", " ").replace("\n", " ")
            found[f"{path.stem} {number}"] = Example(re.sub(" +", " ", words).strip(), output)
    return found


EXAMPLES = read()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "data", customHealthDelaySeconds=0, accountId=ACCOUNT) as server:
        yield server


class Stage:
    """A server on which a scene is set."""

    def __init__(self, server: Server, scene: Scene, home: Path) -> None:
        self._server = server
        self.aws = CommandLine(server.url, home)
        vpc = {"Vpc": "vpc-1c56417b"} if scene.kind == PRIVATE else {}
        wanted = {"Name": "example.com", **vpc, **scene.namespace, "CreatorRequestId": "abcd1234"}
        self.operation: str = self.done(scene.kind, **wanted)["OperationId"]
        self.namespace: str = self.ended(self.operation)["Targets"]["NAMESPACE"]
        self.service = ""
        if scene.service is not None:
            service = {"Name": "myservice", "CreatorRequestId": "abcd1234", **scene.service}
            self.service = self.done("CreateService", NamespaceId=self.namespace, **service)["Service"]["Id"]
        for name, attributes in scene.instances.items():
            self.done("RegisterInstance", ServiceId=self.service, InstanceId=name, Attributes=attributes)
        if scene.attributes:
            self.done("UpdateServiceAttributes", ServiceId=self.service, Attributes=scene.attributes)

    def done(self, operation: str, **members: Any) -> dict[str, Any]:
        answer = self._server.call(operation, **members)
        assert answer.status == 200, answer
        return answer.body

    def ended(self, operation: str) -> dict[str, Any]:
        found: dict[str, Any] = self.done("GetOperation", OperationId=operation)["Operation"]
        assert found["Status"] == "SUCCESS", found
        return found

    def words(self, command: str) -> list[str]:
        """Return the words of a command with the ids of this stage in place of those that are printed."""
        command = re.sub(r"\bns-[a-z0-9]+", self.namespace, command)
        command = re.sub(r"\bsrv-[a-z0-9]+", self.service, command)
        command = re.sub(r"(?<=--operation-id )\S+", self.operation, command)
        return shlex.split(command)


def compared(shown: object, found: object, at: str) -> None:
    """Compare what is printed with what came. Members that are not printed may come."""
    if isinstance(shown, dict):
        assert isinstance(found, dict), at
        assert set(shown) <= set(found), at
        for name, value in shown.items():
            if name not in OF_THE_DAY:
                compared(value, found[name], f"{at}.{name}")
            elif not name.endswith("Date"):
                assert type(found[name]) is type(value), f"{at}.{name}"
    elif isinstance(shown, list):
        assert isinstance(found, list), at
        for one, other in zip(shown, found, strict=True):
            compared(one, other, at)
    else:
        assert found == shown, at


def test_every_example_is_run() -> None:
    assert set(SCENES) | set(OF_OTHERS) == set(EXAMPLES)
    assert (len({name.split()[0] for name in EXAMPLES}), len(EXAMPLES)) == (30, 53)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_an_example_of_the_documentation(server: Server, tmp_path: Path, name: str) -> None:
    stage, example = Stage(server, SCENES[name], tmp_path), EXAMPLES[name]
    command = example.command
    if name in BROKEN:
        wrong, right, said = BROKEN[name]
        assert said in stage.aws.ended(stage.words(command))[2]
        command = command.replace(wrong, right)
        assert command != example.command
    answer = stage.aws.run(stage.words(command))
    if name in FURTHER:
        FURTHER[name](stage, example.output, answer)
    else:
        compared(example.output, answer, name)
    if answer and "OperationId" in answer:
        stage.ended(answer["OperationId"])


def two_namespaces(stage: Stage, shown: Any, answer: Any) -> None:
    """The example has a second one, of another type."""
    second = {"Name": "My-second-namespace", "Description": "My second namespace"}
    stage.done("CreateHttpNamespace", **second)
    answer = stage.aws.run("list-namespaces")
    printed, came = (sorted(each["Namespaces"], key=lambda found: str(found["Name"])) for each in (shown, answer))
    compared(printed, came, "list-namespaces")


def pending_too(stage: Stage, shown: Any, answer: Any) -> None:
    """Nothing is pending here for long, and what is printed are three operations of the day."""
    assert {each["Status"] for each in answer["Operations"]} == {"SUCCESS"}
    assert set(answer["Operations"][0]) == set(shown["Operations"][0])


def an_instance(stage: Stage, shown: Any, answer: Any) -> None:
    """The registrant of the second example is another account's."""
    shown["Instance"]["CreatedByAccount"] = ACCOUNT
    compared(shown, answer, "get-instance")


def a_service(stage: Stage, shown: Any, answer: Any) -> None:
    """So is the maker of this service."""
    shown["Service"]["CreatedByAccount"] = ACCOUNT
    compared(shown, answer, "get-service")


FURTHER = {
    "get-instance 2": an_instance,
    "get-service 2": a_service,
    "list-namespaces 1": two_namespaces,
    "list-operations 1": pending_too,
}
"""Examples whose output is not compared as it is printed, with what is."""


@pytest.mark.parametrize("name", sorted(OF_OTHERS))
def test_what_other_accounts_share_is_not_here(server: Server, tmp_path: Path, name: str) -> None:
    stage, code = Stage(server, EMPTY, tmp_path), OF_OTHERS[name]
    assert OTHER in EXAMPLES[name].command or "OTHER_ACCOUNTS" in EXAMPLES[name].command
    words = stage.words(EXAMPLES[name].command)
    if code:
        assert f"({code})" in stage.aws.error(words)
    else:
        assert list(stage.aws.run(words).values()) == [[]]


def test_what_the_examples_do_is_done(server: Server, tmp_path: Path) -> None:
    """One after the other in one registry: each leaves what it says."""
    stage = Stage(server, Scene(HTTP, service={**SAID, "Name": "myservice"}, instances={"example": ILL}), tmp_path)

    def run(name: str) -> None:
        command = EXAMPLES[name].command
        wrong, right, _ = BROKEN.get(name, ("", "", ""))
        stage.aws.run(stage.words(command.replace(wrong, right) if wrong else command))

    arn = f"arn:aws:servicediscovery:us-west-2:{ACCOUNT}:namespace/{stage.namespace}"

    def tags() -> list[Any]:
        found: list[Any] = stage.done("ListTagsForResource", ResourceARN=arn)["Tags"]
        return found

    run("tag-resource 1")
    assert tags() == [{"Key": "Department", "Value": "Engineering"}]
    run("untag-resource 1")
    assert tags() == []
    run("update-http-namespace 1")
    described = stage.done("GetNamespace", Id=stage.namespace)["Namespace"]["Description"]
    assert described == "The updated namespace description."
    run("update-service-attributes 1")
    attributes = {"ServiceId": stage.service}
    assert stage.done("GetServiceAttributes", **attributes)["ServiceAttributes"]["Attributes"] == {"Port": "80"}
    run("delete-service-attributes 1")
    assert stage.done("GetServiceAttributes", **attributes)["ServiceAttributes"]["Attributes"] == {}
    run("update-instance-custom-health-status 1")
    assert stage.done("GetInstancesHealthStatus", **attributes)["Status"] == {"example": "HEALTHY"}
    run("register-instance 1")
    run("deregister-instance 1")
    assert [each["Id"] for each in stage.done("ListInstances", **attributes)["Instances"]] == ["example"]
    stage.done("DeregisterInstance", ServiceId=stage.service, InstanceId="example")
    run("delete-service 1")
    run("delete-namespace 1")
    assert stage.done("ListNamespaces")["Namespaces"] == []
