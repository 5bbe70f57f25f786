"""Options, Regions, endpoints and credentials: what is wrong is one sentence with the next step."""

import subprocess
import sys
from pathlib import Path

import pytest

from kube_registrar.model.errors import Unreachable, UserError
from kube_registrar.model.instances import Query
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import client, open_registry
from kube_registrar.registries.cloudmap.options import Options
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.builders import service_ref
from tests.registries.cloudmap.scripted import Script

KEYS = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = a-secret-that-nobody-prints\n"
RATE = "a rate is written as calls a second, a slash and a burst, such as 48/90"
ALLOWED = "endpointUrl, externalId, pollSeconds, profile, rates, region, roleArn, sharedWrites"


async def opening(**config: object) -> str:
    with pytest.raises(UserError) as caught:
        async with open_registry(config, DEFAULT_REGISTRY, SystemClock()):
            pass
    return str(caught.value)


async def test_an_unknown_option_is_told_which_there_are() -> None:
    assert await opening(regoin="eu-west-1") == (
        f"registry 'default' of kind cloudmap has no option 'regoin'; allowed: {ALLOWED}. Remove it"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"region": 5}, "option region is 5; allowed: a text that is not empty. Correct it"),
        ({"profile": ""}, "option profile is ''; allowed: a text that is not empty. Correct it"),
        (
            {"endpointUrl": "localhost:8081"},
            "option endpointUrl is 'localhost:8081'; allowed: a URL such as http://127.0.0.1:8081. Correct it",
        ),
        (
            {"rates": "48/90"},
            "option rates is '48/90'; allowed: a mapping such as {RegisterInstance: 48/90}. Correct it",
        ),
        (
            {"rates": {"RegisterInstance": 48}},
            "option rates.RegisterInstance is 48; allowed: " + RATE + ". Correct it",
        ),
        ({"sharedWrites": "no"}, "option sharedWrites is 'no'; allowed: true or false. Correct it"),
        ({"pollSeconds": 0}, "option pollSeconds is 0; allowed: a number of seconds above 0, at most 60. Correct it"),
        (
            {"pollSeconds": True},
            "option pollSeconds is True; allowed: a number of seconds above 0, at most 60. Correct it",
        ),
    ],
)
async def test_a_wrong_option_is_named_with_what_is_allowed(config: dict[str, object], message: str) -> None:
    assert await opening(**config) == f"registry 'default': {message}"


async def test_a_rate_of_an_unknown_operation_is_told_which_there_are() -> None:
    message = await opening(rates={"Register": "48/90"})
    assert message.startswith("registry 'default': option rates names the operation 'Register'; allowed: CreateHttp")
    assert "RegisterInstance" in message


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:1"])
async def test_no_region_is_one_sentence(endpoint: str | None) -> None:
    config = {"endpointUrl": endpoint} if endpoint else {}
    assert await opening(**config) == (
        "registry 'default': no AWS Region is given. Set the option region, or AWS_REGION, or a profile with one"
    )


async def test_an_unknown_profile_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await opening(region="eu-west-1", profile="prod") == (
        "registry 'default': option profile is 'prod', which the AWS configuration files do not have. "
        "Correct it, or add the profile"
    )
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert (await opening(region="eu-west-1")).startswith("registry 'default': AWS_PROFILE is 'other', which")


async def test_no_credentials_are_told_how_to_give_some(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    config = {"region": "eu-west-1", "endpointUrl": script.url}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        with pytest.raises(Unreachable) as caught:
            await registry.find(None)
    assert str(caught.value) == (
        "listing the registry namespaces of default: no AWS credentials were found. Give some: IRSA or EKS Pod "
        "Identity on the service account, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
        "or the option profile"
    )
    assert not caught.value.doubtful
    assert script.requests == []


async def test_an_endpoint_that_does_not_listen_is_told_and_not_doubtful() -> None:
    config = {"region": "eu-west-1", "endpointUrl": "http://127.0.0.1:1"}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        with pytest.raises(Unreachable, match=r"no connection to Cloud Map: .*http://127\.0\.0\.1:1/") as caught:
            await registry.find(None)
    assert str(caught.value).endswith("Correct the options region and endpointUrl, or what lies between")
    assert not caught.value.doubtful


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_SERVICEDISCOVERY", "AWS_ENDPOINT_URL", ""])
async def test_discovery_goes_to_the_endpoint_that_was_given_without_a_prefix(
    script: Script, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    config = {"region": "eu-west-1"}
    if variable:
        monkeypatch.setenv(variable, script.url)
    else:
        config["endpointUrl"] = script.url
    script.on("DiscoverInstances", {"Instances": []})
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        assert list(await registry.discover(Query(service_ref()))) == []
    assert script.hosts == [f"127.0.0.1:{script.port}"]


async def test_an_endpoint_in_a_profile_counts_too(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "config"
    profile.write_text(f"[profile edge]\nregion = eu-west-1\nendpoint_url = {script.url}\n{KEYS}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    script.on("DiscoverInstances", {"Instances": []})
    async with open_registry({"profile": "edge"}, DEFAULT_REGISTRY, SystemClock()) as registry:
        assert list(await registry.discover(Query(service_ref()))) == []
    assert script.hosts == [f"127.0.0.1:{script.port}"]


def test_boto3_is_imported_only_when_a_registry_is_opened() -> None:
    program = "import sys, kube_registrar.registries.cloudmap; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "host", "prefixed"),
    [
        ({}, "servicediscovery.eu-west-1.amazonaws.com", True),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "servicediscovery.eu-west-1.api.aws", True),
        ({"AWS_ENDPOINT_URL": "https://vpce-1.example.com"}, "vpce-1.example.com", False),
    ],
)
def test_the_prefix_stays_where_the_endpoint_is_that_of_aws(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], host: str, prefixed: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    boto = client._make(Options(region="eu-west-1"), DEFAULT_REGISTRY)
    assert boto.meta.endpoint_url == f"https://{host}"
    assert (boto.meta.config.inject_host_prefix is not False) == prefixed
    assert boto.meta.config.retries["total_max_attempts"] == 1
    assert boto.meta.config.max_pool_connections >= client.THREADS
    boto.close()
