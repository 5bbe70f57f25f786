"""boto3 asks whatever registry stands behind the portal as it asks AWS: the same rules over the fake and Cloud Map."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from kube_registrar.model.changes import Deregister, Register, SetHealth
from kube_registrar.model.cloudmap.shapes import OPERATIONS
from kube_registrar.model.errors import Forbidden, Retryable, Unreachable
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, ServiceRef
from kube_registrar.model.simulation import Simulation
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries import cloudmap, embedded
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.server.portal.refusals import READS
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op
from tests.server.portal.ground import Api, asked, must

ME = "the-test"
HTTP, ZONE = NamespaceRef(DEFAULT_REGISTRY, "shop"), NamespaceRef(DEFAULT_REGISTRY, "shop.example")
WEB, CHECKED = ServiceRef(HTTP, "web"), ServiceRef(HTTP, "checked")
NAMED = ServiceRef(ZONE, "named")
LIMITED = AccessKey("AKIDLIMITED", "a-secret-of-some-length", Role.ADMIN, frozenset({"shop", "elsewhere"}))
UNSERVED = sorted(OPERATIONS.keys() - READS)


async def fill(registry: Registry) -> None:
    """Make two namespaces with three services, and three instances in each of two."""
    await registry.ensure(NamespaceSpec(HTTP, description="what is sold"), ME)
    await registry.ensure(NamespaceSpec(ZONE, type=NamespaceType.DNS_PUBLIC), ME)
    await registry.ensure(ServiceSpec(WEB), ME)
    await registry.ensure(ServiceSpec(CHECKED, health_check=HealthCheckType.CUSTOM), ME)
    records = builders.service_spec(records="A,AAAA", ttl_seconds=30).dns
    await registry.ensure(ServiceSpec(NAMED, dns=records), ME)
    for service in (WEB, CHECKED):
        wanted = [("a", "dev"), ("b", "dev"), ("c", "prod")]
        made = [builders.instance(name, {"stage": stage}) for name, stage in wanted]
        await must(registry, service, *(Register(each, builders.origin(each.id)) for each in made))
    await must(registry, CHECKED, SetHealth(InstanceId("b"), builders.origin("b"), Health.UNHEALTHY))


class Rules:
    """Subclasses give the fixture `registry`."""

    @pytest.fixture
    async def registry(self) -> Registry:
        raise NotImplementedError

    @pytest.fixture
    async def api(self, registry: Registry) -> AsyncIterator[Api]:
        await fill(registry)
        async with asked(registry) as api:
            yield api

    async def test_a_key_for_some_namespaces_sees_these_alone(self, registry: Registry) -> None:
        await fill(registry)
        async with asked(registry) as everybody, asked(registry, key=LIMITED) as api:
            assert [each["Name"] for each in (await api("list_namespaces"))["Namespaces"]] == ["shop"]
            mine = {each["Name"]: each["Id"] for each in (await api("list_services"))["Services"]}
            assert mine.keys() == {"web", "checked"}
            found = await api("discover_instances", NamespaceName="shop", ServiceName="web")
            assert sorted(each["InstanceId"] for each in found["Instances"]) == ["a", "b", "c"]
            assert len((await api("list_instances", ServiceId=mine["web"]))["Instances"]) == 3
            await api("get_instances_health_status", ServiceId=mine["checked"])

            spaces = {each["Name"]: each for each in (await everybody("list_namespaces"))["Namespaces"]}
            services = {each["Name"]: each for each in (await everybody("list_services"))["Services"]}
            await api("get_namespace", Id=spaces["shop"]["Id"])
            other, named = spaces["shop.example"], services["named"]
            for operation, members in (
                ("discover_instances", {"NamespaceName": "shop.example", "ServiceName": "named"}),
                ("discover_instances", {"NamespaceName": "nowhere", "ServiceName": "named"}),
                ("discover_instances_revision", {"NamespaceName": "shop.example", "ServiceName": "named"}),
                ("get_namespace", {"Id": other["Id"]}),
                ("get_service", {"Id": named["Id"]}),
                ("list_instances", {"ServiceId": named["Id"]}),
                ("get_instance", {"ServiceId": named["Id"], "InstanceId": "a"}),
                ("get_instances_health_status", {"ServiceId": named["Id"]}),
                ("list_tags_for_resource", {"ResourceARN": other["Arn"]}),
                ("list_tags_for_resource", {"ResourceARN": named["Arn"]}),
                ("create_service", {"Name": "x", "NamespaceId": other["Id"]}),
                ("register_instance", {"ServiceId": named["Id"], "InstanceId": "x", "Attributes": {"a": "b"}}),
            ):
                code, said = await api.refused(operation, **members)
                assert code == "AccessDeniedException", (operation, members, said)
                assert "limited to other registry namespaces" in said
            assert (await api.refused("get_service", Id="srv-none"))[0] == "ServiceNotFound"
            assert (await api.refused("get_namespace", Id="ns-none"))[0] == "NamespaceNotFound"
            assert (await api.refused("create_service", Name="x", NamespaceId=spaces["shop"]["Id"]))[
                0
            ] == "InvalidInput"

    async def test_instances_are_discovered_by_attributes(self, api: Api) -> None:
        names = {"NamespaceName": "shop", "ServiceName": "web"}
        found = await api("discover_instances", **names, QueryParameters={"stage": "dev"})
        assert sorted(each["InstanceId"] for each in found["Instances"]) == ["a", "b"]
        (one,) = (await api("discover_instances", **names, QueryParameters={"stage": "prod"}))["Instances"]
        assert one == {
            "InstanceId": "c",
            "NamespaceName": "shop",
            "ServiceName": "web",
            "HealthStatus": "UNKNOWN",
            "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080", "stage": "prod"},
        }
        optional = await api("discover_instances", **names, OptionalParameters={"stage": "prod"})
        assert [each["InstanceId"] for each in optional["Instances"]] == ["c"]
        assert len((await api("discover_instances", **names, MaxResults=2))["Instances"]) == 2

    async def test_and_by_health(self, api: Api) -> None:
        names = {"NamespaceName": "shop", "ServiceName": "checked"}
        for health, expected in (("UNHEALTHY", ["b"]), ("ALL", ["a", "b", "c"]), ("HEALTHY_OR_ELSE_ALL", ["a", "c"])):
            found = await api("discover_instances", **names, HealthStatus=health)
            assert sorted(each["InstanceId"] for each in found["Instances"]) == expected
        default = await api("discover_instances", **names)
        assert {each["InstanceId"]: each["HealthStatus"] for each in default["Instances"]} == {
            "a": "HEALTHY",
            "c": "HEALTHY",
        }

    async def test_a_revision_rises_with_what_is_there_and_stays_else(self, api: Api, registry: Registry) -> None:
        names = {"NamespaceName": "shop", "ServiceName": "web"}
        assert (await api("discover_instances", **names))["InstancesRevision"] == 0
        first = (await api("discover_instances_revision", **names))["InstancesRevision"]
        assert first > 0
        assert (await api("discover_instances_revision", **names))["InstancesRevision"] == first
        assert (await api("discover_instances", **names))["InstancesRevision"] == first
        await must(registry, WEB, Deregister(InstanceId("a"), builders.origin("a"), "the test asks for it"))
        second = (await api("discover_instances_revision", **names))["InstancesRevision"]
        assert second > first
        changed = builders.instance("b", {"stage": "prod"})
        await must(registry, WEB, Register(changed, builders.origin("b")))
        assert (await api("discover_instances_revision", **names))["InstancesRevision"] > second

    async def test_what_is_not_there_is_said_as_cloud_map_says_it(self, api: Api) -> None:
        for namespace, service, code in (("no", "web", "NamespaceNotFound"), ("shop", "no", "ServiceNotFound")):
            for operation in ("discover_instances", "discover_instances_revision"):
                found, _ = await api.refused(operation, NamespaceName=namespace, ServiceName=service)
                assert found == code
        assert (await api.refused("get_namespace", Id="ns-none"))[0] == "NamespaceNotFound"
        assert (await api.refused("get_service", Id="srv-none"))[0] == "ServiceNotFound"
        assert (await api.refused("list_instances", ServiceId="srv-none"))[0] == "ServiceNotFound"
        web = await self.service_id(api, "web")
        assert (await api.refused("get_instance", ServiceId=web, InstanceId="z"))[0] == "InstanceNotFound"

    async def test_namespaces_are_listed_filtered_and_had_by_id_and_arn(self, api: Api) -> None:
        listed = (await api("list_namespaces"))["Namespaces"]
        assert {each["Name"]: (each["Type"], each["ServiceCount"]) for each in listed} == {
            "shop": ("HTTP", 2),
            "shop.example": ("DNS_PUBLIC", 1),
        }
        (shop,) = (each for each in listed if each["Name"] == "shop")
        assert shop["Description"] == "what is sold"
        assert shop["Properties"]["HttpProperties"] == {"HttpName": "shop"}
        for key in ("Id", "Arn"):
            assert (await api("get_namespace", Id=shop[key]))["Namespace"]["Name"] == "shop"
        types = [{"Name": "TYPE", "Values": ["DNS_PUBLIC"], "Condition": "EQ"}]
        assert [each["Name"] for each in (await api("list_namespaces", Filters=types))["Namespaces"]] == [
            "shop.example"
        ]
        begins = [{"Name": "NAME", "Values": ["shop."], "Condition": "BEGINS_WITH"}]
        assert [each["Name"] for each in (await api("list_namespaces", Filters=begins))["Namespaces"]] == [
            "shop.example"
        ]

    async def test_services_are_listed_by_namespace_and_had_by_id_and_arn(self, api: Api) -> None:
        namespaces = {each["Name"]: each["Id"] for each in (await api("list_namespaces"))["Namespaces"]}
        of_zone = [{"Name": "NAMESPACE_ID", "Values": [namespaces["shop.example"]]}]
        (named,) = (await api("list_services", Filters=of_zone))["Services"]
        assert named["Name"] == "named"
        assert named["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 30}, {"Type": "AAAA", "TTL": 30}]
        listed = (await api("list_services"))["Services"]
        assert sorted(each["Name"] for each in listed) == ["checked", "named", "web"]
        (checked,) = (each for each in listed if each["Name"] == "checked")
        assert checked["HealthCheckCustomConfig"] == {"FailureThreshold": 1}
        for key in ("Id", "Arn"):
            assert (await api("get_service", Id=checked[key]))["Service"]["Name"] == "checked"

    async def test_instances_are_listed_page_by_page_and_had_one_by_one(self, api: Api) -> None:
        web = await self.service_id(api, "web")
        first = await api("list_instances", ServiceId=web, MaxResults=2)
        assert [each["Id"] for each in first["Instances"]] == ["a", "b"]
        second = await api("list_instances", ServiceId=web, MaxResults=2, NextToken=first["NextToken"])
        assert [each["Id"] for each in second["Instances"]] == ["c"]
        assert "NextToken" not in second
        one = (await api("get_instance", ServiceId=web, InstanceId="b"))["Instance"]
        assert one["Attributes"]["stage"] == "dev"
        status = await api("get_instances_health_status", ServiceId=await self.service_id(api, "checked"))
        assert status["Status"] == {"a": "HEALTHY", "b": "UNHEALTHY", "c": "HEALTHY"}

    async def test_what_was_made_a_moment_ago_is_found_at_once(self, api: Api, registry: Registry) -> None:
        await api("list_services")
        made = await registry.ensure(ServiceSpec(ServiceRef(HTTP, "late")), ME)
        assert (await api("get_service", Id=made.id))["Service"]["Name"] == "late"

    async def service_id(self, api: Api, name: str) -> str:
        (found,) = (each["Id"] for each in (await api("list_services"))["Services"] if each["Name"] == name)
        return str(found)


class TestFake(Rules):
    @pytest.fixture
    async def registry(self) -> Registry:
        return FakeRegistry()

    async def test_arns_are_those_of_the_region_that_was_signed_for(self, api: Api) -> None:
        (shop,) = (each for each in (await api("list_namespaces"))["Namespaces"] if each["Name"] == "shop")
        assert shop["Arn"] == f"arn:aws:servicediscovery:eu-west-1:000000000000:namespace/{shop['Id']}"

    async def test_tags_are_listed_where_the_registry_lists_them(self, api: Api, registry: Registry) -> None:
        tagged = ServiceRef(HTTP, "tagged")
        await registry.ensure(ServiceSpec(tagged, tags={"team": "shop"}), ME)
        (arn,) = (each["Arn"] for each in (await api("list_services"))["Services"] if each["Name"] == "tagged")
        assert (await api("list_tags_for_resource", ResourceARN=arn))["Tags"] == [{"Key": "team", "Value": "shop"}]
        nothing = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-none"
        assert (await api.refused("list_tags_for_resource", ResourceARN=nothing))[0] == "ResourceNotFoundException"


class TestCloudMap(Rules):
    @pytest.fixture
    async def registry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        clock = SystemClock()
        kept = {"data": tmp_path, "customHealthDelaySeconds": 0}
        async with (
            embedded.open_registry(kept, DEFAULT_REGISTRY, clock) as behind,
            serve(app(behind, Simulation(), clock), "127.0.0.1", 0) as port,
        ):
            config: dict[str, object] = {
                "region": "us-east-1",
                "endpointUrl": f"http://127.0.0.1:{port}",
                "pollSeconds": 0.01,
            }
            config["rates"] = dict.fromkeys(DEFAULT_RATES, "100000/100000")
            async with cloudmap.open_registry(config, DEFAULT_REGISTRY, clock) as registry:
                yield registry

    async def test_arns_are_the_registrys_own(self, api: Api) -> None:
        (shop,) = (each for each in (await api("list_namespaces"))["Namespaces"] if each["Name"] == "shop")
        assert shop["Arn"] == f"arn:aws:servicediscovery:us-east-1:000000000000:namespace/{shop['Id']}"

    async def test_tags_that_its_lists_do_not_tell_are_a_sentence(self, api: Api) -> None:
        arn = (await api("list_services"))["Services"][0]["Arn"]
        code, said = await api.refused("list_tags_for_resource", ResourceARN=arn)
        assert code == "InvalidInput"
        assert said == (
            "ListTagsForResource is not served in front of registry default: it has tags, and does not tell them in "
            "its lists: ask the registry itself"
        )


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


@pytest.mark.parametrize("operation", UNSERVED)
async def test_every_other_operation_is_a_modelled_error_that_says_so(fake: FakeRegistry, operation: str) -> None:
    """InvalidInput is in the service model of each of them, so that every SDK has a class for it."""
    modelled = Loader().load_service_model("servicediscovery", "service-2")["operations"][operation]
    assert "InvalidInput" in {each["shape"] for each in modelled["errors"]}
    async with asked(fake) as api:
        code, said = await api.refused(_method(operation), **_REQUESTS[operation])
    assert code == "InvalidInput"
    assert said.startswith(f"{operation} is not served in front of registry default: ")
    assert fake.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable("it does not answer"), "ServiceUnavailable"),
        (Retryable("it is too much", after=1.0), "RequestLimitExceeded"),
        (Forbidden("it is not allowed", rule="allow it"), "AccessDeniedException"),
    ],
)
async def test_an_error_of_the_registry_is_told_and_nothing_old_instead(
    fake: FakeRegistry, error: Unreachable | Retryable | Forbidden, code: str
) -> None:
    await fill(fake)
    async with asked(fake) as api:
        await api("discover_instances", NamespaceName="shop", ServiceName="web")
        fake.faults.fail(Op.DISCOVER, error)
        found = await api.refused("discover_instances", NamespaceName="shop", ServiceName="web")
    assert found == (code, str(error))


async def test_lists_are_kept_for_two_seconds_and_read_once_for_all_who_ask_at_once() -> None:
    clock = FakeClock()
    fake = FakeRegistry(clock=clock)
    await fill(fake)
    async with asked(fake, clock) as api:
        fake.calls.clear()
        await asyncio.gather(*(api("list_services") for _ in range(5)))
        assert len(fake.asked(Op.FIND)) == 3
        await clock.advance(2.1)
        await api("list_services")
        assert len(fake.asked(Op.FIND)) == 6


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).removeprefix("_")


_ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-1"
_CHANGE = {"Id": "ns-1", "Namespace": {"Description": "x"}}
_REQUESTS: dict[str, dict[str, Any]] = {
    "CreateHttpNamespace": {"Name": "a"},
    "CreatePrivateDnsNamespace": {"Name": "a.example", "Vpc": "vpc-1"},
    "CreatePublicDnsNamespace": {"Name": "a.example"},
    "CreateService": {"Name": "a"},
    "DeleteNamespace": {"Id": "ns-1"},
    "DeleteService": {"Id": "srv-1"},
    "DeleteServiceAttributes": {"ServiceId": "srv-1", "Attributes": ["a"]},
    "DeregisterInstance": {"ServiceId": "srv-1", "InstanceId": "i-1"},
    "GetOperation": {"OperationId": "op-1"},
    "GetServiceAttributes": {"ServiceId": "srv-1"},
    "ListOperations": {},
    "RegisterInstance": {"ServiceId": "srv-1", "InstanceId": "i-1", "Attributes": {"a": "b"}},
    "TagResource": {"ResourceARN": _ARN, "Tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"ResourceARN": _ARN, "TagKeys": ["a"]},
    "UpdateHttpNamespace": _CHANGE,
    "UpdateInstanceCustomHealthStatus": {"ServiceId": "srv-1", "InstanceId": "i-1", "Status": "HEALTHY"},
    "UpdatePrivateDnsNamespace": _CHANGE,
    "UpdatePublicDnsNamespace": _CHANGE,
    "UpdateService": {"Id": "srv-1", "Service": {"Description": "x"}},
    "UpdateServiceAttributes": {"ServiceId": "srv-1", "Attributes": {"a": "b"}},
}
