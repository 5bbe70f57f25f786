"""A namespace that is meant by its ARN, shared by another account: every call carries ARNs."""

import pytest

from kube_registrar.model.errors import Conflict, Refused
from kube_registrar.model.instances import Query
from kube_registrar.model.specs import CreationPolicy
from kube_registrar.registries.port import Registry
from kube_registrar.testing.builders import namespace_spec, service_ref, service_spec
from kube_registrar.testing.contract.base import deregister, register
from tests.registries.cloudmap.scripted import Error, Script

CREATOR = "prod/default/flask-app"
OWNER = "111111111111"
ARN = f"arn:aws:servicediscovery:eu-west-1:{OWNER}:namespace/ns-shared"
SERVICE_ARN = f"arn:aws:servicediscovery:eu-west-1:{OWNER}:service/srv-shared"
SHARED = {"Id": "ns-shared", "Arn": ARN, "Name": "test-namespace", "Type": "HTTP", "CreatorRequestId": "theirs"}
SERVICE = {"Id": "srv-shared", "Arn": SERVICE_ARN, "Name": "flask-app"}


@pytest.fixture
def shared(script: Script) -> Script:
    """Another account's namespace, which no list of ours tells of; ours has the same name."""
    script.on("GetNamespace", {"Namespace": SHARED})
    script.on("ListServices", {"Services": [SERVICE]})
    script.on("GetService", {"Service": SERVICE})
    script.on("ListInstances", {"Instances": []})
    script.on("DiscoverInstances", {"Instances": []})
    return script


async def test_every_call_carries_arns_and_the_owners_account_where_it_is_asked_for(
    registry: Registry, shared: Script
) -> None:
    found = await registry.ensure(namespace_spec(arn=ARN), CREATOR, CreationPolicy.ADOPT)
    assert (found.id, found.arn, found.created_by) == (ARN, ARN, "theirs")
    service = await registry.ensure(service_spec(), CREATOR)
    assert service.id == SERVICE_ARN
    for change in (register("a"), deregister("a")):
        assert [outcome.error async for outcome in registry.apply(service_ref(), [change])] == [None]
    await registry.instances(service_ref())
    await registry.discover(Query(service_ref()))

    assert shared.asked("GetNamespace")[0] == {"Id": ARN}
    [by_namespace] = shared.asked("ListServices")[0]["Filters"]
    assert by_namespace["Values"] == [ARN]
    for operation in ("RegisterInstance", "DeregisterInstance", "ListInstances"):
        assert [request["ServiceId"] for request in shared.asked(operation)] == [SERVICE_ARN]
    assert {request["OwnerAccount"] for request in shared.asked("GetOperation")} == {OWNER}
    assert [request["OwnerAccount"] for request in shared.asked("DiscoverInstances")] == [OWNER]


async def test_a_service_is_made_in_it_by_its_arn(registry: Registry, shared: Script) -> None:
    shared.on("ListServices", {"Services": []})
    shared.on("CreateService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    await registry.ensure(namespace_spec(arn=ARN), CREATOR)
    assert (await registry.ensure(service_spec(), CREATOR)).id == SERVICE_ARN
    assert [request["NamespaceId"] for request in shared.asked("CreateService")] == [ARN]


async def test_it_stays_the_one_that_is_meant_whatever_lists_say(registry: Registry, shared: Script) -> None:
    await registry.ensure(namespace_spec(arn=ARN), CREATOR)
    shared.on(
        "ListNamespaces", {"Namespaces": [{**SHARED, "Description": "theirs"}, {**SHARED, "Id": "ns-x", "Arn": "x"}]}
    )
    [found] = await registry.find(None)
    assert (found.id, found.spec.description) == (ARN, "theirs")


async def test_what_is_called_otherwise_is_refused(registry: Registry, shared: Script) -> None:
    shared.on("GetNamespace", {"Namespace": {**SHARED, "Name": "another"}})
    with pytest.raises(Refused, match=r"it is not called 'test-namespace'; allowed: 'another'") as caught:
        await registry.ensure(namespace_spec(arn=ARN), CREATOR)
    assert caught.value.field == "name"


async def test_what_is_not_shared_says_so(registry: Registry, shared: Script) -> None:
    shared.on("GetNamespace", Error("AccessDeniedException", fields={"Message": "not shared with you"}))
    with pytest.raises(Refused, match="not shared with you"):
        await registry.ensure(namespace_spec(arn=ARN), CREATOR)
    assert [name for name, _ in shared.requests] == ["GetNamespace"]


async def test_somebody_elses_is_not_used_where_it_has_to_be_made(registry: Registry, shared: Script) -> None:
    with pytest.raises(Conflict):
        await registry.ensure(namespace_spec(arn=ARN), CREATOR, CreationPolicy.CREATE)
