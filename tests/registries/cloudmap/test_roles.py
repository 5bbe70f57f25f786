"""Several accounts in one operator: each registry assumes the role of its entry."""

from collections.abc import Iterator

import pytest

from kube_registrar.model.errors import Unreachable, UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.cloudmap import open_registry
from kube_registrar.runtime.clock import SystemClock
from tests.registries.cloudmap.scripted import Script
from tests.registries.cloudmap.sts import Sts, serving

DEV, PROD = (f"arn:aws:iam::{account * 12}:role/registrar" for account in ("1", "2"))


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with serving(Sts()) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        yield sts


async def _ask(script: Script, role: str, **more: object) -> None:
    config = {"region": "eu-west-1", "endpointUrl": script.url, "roleArn": role, **more}
    async with open_registry(config, RegistryName("cloud"), SystemClock()) as registry:
        await registry.find(None)
        await registry.find(None)


async def test_each_registry_asks_as_the_role_of_its_entry(script: Script, sts: Sts) -> None:
    await _ask(script, DEV)
    await _ask(script, PROD, externalId="a-secret-word")
    keys = [each.partition("Credential=")[2].partition("/")[0] for each in script.authorizations]
    assert keys == ["AKID111111111111"] * 2 + ["AKID222222222222"] * 2
    assert [(asked["RoleArn"], asked.get("ExternalId")) for asked in sts.asked] == [
        (DEV, None),
        (PROD, "a-secret-word"),
    ]
    assert {asked["RoleSessionName"] for asked in sts.asked} == {"kube-registrar"}


async def test_credentials_are_renewed_before_they_expire(script: Script, sts: Sts) -> None:
    sts.seconds = 300.0  # the SDK renews them that must be renewed within ten minutes
    await _ask(script, DEV)
    assert len(sts.asked) >= 2


async def test_a_role_that_may_not_be_assumed_is_named_and_recovers(script: Script, sts: Sts) -> None:
    sts.refuses = True
    config = {"region": "eu-west-1", "endpointUrl": script.url, "roleArn": DEV}
    async with open_registry(config, RegistryName("cloud"), SystemClock()) as registry:
        with pytest.raises(Unreachable, match=rf"role {DEV} cannot be assumed \(AccessDenied: you may not\)") as caught:
            await registry.find(None)
        assert "sts:AssumeRole" in str(caught.value)
        assert "a-secret-that-nobody-prints" not in str(caught.value)
        assert script.requests == []
        sts.refuses = False
        assert len(await registry.find(None)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"roleArn": "registrar"}, "option roleArn is 'registrar'; allowed: the ARN of a role"),
        ({"externalId": "word"}, "option externalId goes with roleArn only"),
    ],
)
async def test_what_is_no_role_is_said_at_once(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        async with open_registry({"region": "eu-west-1", **options}, RegistryName("cloud"), SystemClock()):
            pass
