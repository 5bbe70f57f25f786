"""Tags against a scripted endpoint: when they are read, when they are written, and who may not."""

from dataclasses import replace

import pytest

from kube_registrar.model.errors import Refused
from kube_registrar.model.ownership import CLUSTER_UID, OWNER
from kube_registrar.registries.port import Registry
from kube_registrar.testing.builders import service_spec
from tests.registries.cloudmap.conftest import SERVICE
from tests.registries.cloudmap.scripted import Error, Script

CREATOR = "prod/default/flask-app"
OURS = {OWNER: "RegistryService/default/flask-app", CLUSTER_UID: "ours"}


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


async def test_what_is_made_with_tags_costs_no_call_for_them(registry: Registry, script: Script) -> None:
    script.on("ListServices", {"Services": []})
    script.on("CreateService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    found = await registry.ensure(service_spec(tags={"team": "web"}), CREATOR)
    assert found.spec.tags == {"team": "web"}
    assert script.asked("CreateService")[0]["Tags"] == pairs({"team": "web"})
    assert script.asked("ListTagsForResource") == script.asked("TagResource") == []


async def test_only_what_differs_is_written(registry: Registry, script: Script) -> None:
    script.on("GetService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    script.on("ListTagsForResource", {"Tags": pairs({"team": "web", "stage": "dev", "theirs": "x"})})
    found = await registry.ensure(service_spec(tags={"team": "web", "stage": "prod", **OURS}), CREATOR)
    assert script.asked("TagResource") == [{"ResourceARN": "arn:srv-1", "Tags": pairs({"stage": "prod", **OURS})}]
    assert found.spec.tags == {"team": "web", "stage": "prod", "theirs": "x", **OURS}


async def test_what_belongs_to_another_is_not_written(registry: Registry, script: Script) -> None:
    script.on("GetService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    script.on("ListTagsForResource", {"Tags": pairs({**OURS, OWNER: "RegistryService/default/another"})})
    found = await registry.ensure(service_spec(tags={"team": "web", **OURS}), CREATOR)
    assert script.asked("TagResource") == []
    assert found.spec.tags[OWNER] == "RegistryService/default/another"


async def test_who_may_not_read_tags_owns_what_it_made(registry: Registry, script: Script) -> None:
    script.on("GetService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    script.on("ListTagsForResource", Error("AccessDeniedException", fields={"Message": "not you"}))
    found = await registry.ensure(service_spec(tags=OURS), CREATOR)
    assert found.spec.tags == OURS
    assert len(script.asked("TagResource")) == 1


async def test_a_tag_too_many_is_refused_before_anything_is_sent(registry: Registry, script: Script) -> None:
    script.on("GetService", {"Service": {**SERVICE, "CreatorRequestId": CREATOR}})
    script.on("ListTagsForResource", {"Tags": pairs({f"theirs-{number}": "" for number in range(48)})})
    wish = replace(service_spec(), tags={"team": "web", **OURS})
    with pytest.raises(
        Refused, match=r"tagging default:test-namespace/flask-app: it would have 51; allowed: at most 50"
    ):
        await registry.ensure(wish, CREATOR)
    assert script.asked("TagResource") == []
