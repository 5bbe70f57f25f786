"""Credentials as a pod on EKS has them: by EKS Pod Identity, and by IAM roles of its service account."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import open_registry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from tests.registries.cloudmap.scripted import Script
from tests.registries.cloudmap.sts import Sts, serving
from tests.threads import answering

ROLE = "arn:aws:iam::111111111111:role/registrar"


@pytest.fixture(autouse=True)
def of_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave a pod's token as the only way, and return its file."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    token = tmp_path / "token"
    token.write_text("first")
    return token


@asynccontextmanager
async def opened(script: Script) -> AsyncIterator[Registry]:
    """Open the backend against the script."""
    config = {"region": "eu-west-1", "endpointUrl": script.url}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield registry


@dataclass
class Agent:
    """EKS Pod Identity's agent of a node. `tokens`: what it was shown."""

    url: str = ""
    tokens: list[str] = field(default_factory=list)


@pytest.fixture
def agent() -> Iterator[Agent]:
    """Serve credentials that must be renewed before each call."""
    agent = Agent()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            agent.tokens.append(self.headers["Authorization"])
            until = datetime.now(UTC) + timedelta(minutes=1)
            key = {"AccessKeyId": f"AKIDPOD{len(agent.tokens)}", "SecretAccessKey": "s", "Token": "t"}
            body = json.dumps({**key, "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with answering(Handler) as url:
        agent.url = f"{url}/v1/credentials"
        yield agent


def rotate(token: Path) -> None:
    """Write another token in its place, as the kubelet does."""
    token.write_text("second")


async def test_pod_identity_gives_credentials_for_the_pods_token_and_they_are_renewed_by_the_token_of_then(
    script: Script, agent: Agent, of_a_pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(of_a_pod))
    async with opened(script) as registry:
        await registry.find(None)
        assert set(agent.tokens) == {"first"}
        assert f"Credential=AKIDPOD{len(agent.tokens)}/" in script.authorizations[-1]
        rotate(of_a_pod)
        await registry.find(None)
    assert agent.tokens[-1] == "second"
    assert f"Credential=AKIDPOD{len(agent.tokens)}/" in script.authorizations[-1]


async def test_a_role_of_the_service_account_is_assumed_with_the_pods_token(
    script: Script, of_a_pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Sts()) as sts:
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(of_a_pod))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        async with opened(script) as registry:
            await registry.find(None)
    (asked,) = sts.asked
    assert (asked["Action"], asked["RoleArn"]) == ("AssumeRoleWithWebIdentity", ROLE)
    assert asked["WebIdentityToken"] == "first"
    assert "Credential=AKID111111111111/" in script.authorizations[-1]
