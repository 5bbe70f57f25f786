"""Several accounts in one operator: each registry assumes the role of its entry."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from kube_registrar.model.errors import Unreachable, UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.cloudmap import open_registry
from kube_registrar.runtime.clock import SystemClock
from tests.registries.cloudmap.scripted import Script

DEV, PROD = (f"arn:aws:iam::{account * 12}:role/registrar" for account in ("1", "2"))
_ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
_REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>you may not</Message></Error></ErrorResponse>"""


@dataclass
class Sts:
    """An endpoint that answers AssumeRole and nothing else."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 3600.0
    refuses: bool = False

    def answer(self, body: str) -> tuple[int, str]:
        asked = {key: values[0] for key, values in parse_qs(body).items()}
        self.asked.append(asked)
        if self.refuses:
            return 403, _REFUSAL
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return 200, _ANSWER.format(key=f"AKID{asked['RoleArn'][13:25]}", until=until.strftime("%Y-%m-%dT%H:%M:%SZ"))


@contextmanager
def _serving(sts: Sts) -> Iterator[Sts]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, text = sts.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sts.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield sts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with _serving(Sts()) as sts:
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
