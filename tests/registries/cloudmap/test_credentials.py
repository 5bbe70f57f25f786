"""Credentials: none, expired, renewed, and printed nowhere."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import client, open_registry
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.builders import service_ref
from kube_registrar.testing.contract.base import apply, deregister, register
from tests.registries.cloudmap.scripted import Drop, Error, Json, Raw, Reply, Script

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "a-secret-that-nobody-prints", "a-session-token-that-nobody-prints"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RENEW_SECONDS", 0.0)


@pytest.fixture
async def without(script: Script, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
    """The backend, opened where there are no credentials yet."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    rates = dict.fromkeys(DEFAULT_RATES, "100000/100000")
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": rates, "pollSeconds": 0.001}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield registry


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, the SDK's own lines included."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


async def test_credentials_that_come_later_are_found(
    without: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable, match="no AWS credentials were found"):
        await without.find(None)
    file = tmp_path / "credentials"
    file.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert len(await without.find(None)) == 1


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
async def test_credentials_that_are_refused_are_looked_for_anew(
    registry: Registry, script: Script, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    listed: Json = {"Namespaces": []}
    script.on("ListNamespaces", listed, Error(code), listed)
    await registry.find(None)
    with pytest.raises(Unreachable, match="takes the credentials for invalid or expired") as caught:
        await registry.find(None)
    assert not caught.value.doubtful
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDRENEWED")
    await registry.find(None)
    keys = [each.partition("Credential=")[2].partition("/")[0] for each in script.authorizations]
    assert keys == [KEY, KEY, "AKIDRENEWED"]


async def test_other_errors_leave_the_credentials_as_they_are(
    registry: Registry, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.on("ListNamespaces", Error("AccessDeniedException"), {"Namespaces": []})
    with pytest.raises(RegistryError):
        await registry.find(None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDRENEWED")
    await registry.find(None)
    assert all(f"Credential={KEY}/" in each for each in script.authorizations)


async def test_nothing_that_is_said_or_logged_holds_a_credential(
    script: Script, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    rates = dict.fromkeys(DEFAULT_RATES, "100000/100000")
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": rates, "pollSeconds": 0.001}
    # AWS shows what should have been signed, the session token included.
    canonical = {"Message": f"The Canonical String should have been 'POST / x-amz-security-token:{TOKEN}'"}
    failing: list[Reply] = [
        Error("ExpiredTokenException"),
        Error("AccessDeniedException"),
        Error("SignatureDoesNotMatch", fields=canonical),
        Drop,
        Error("InternalFailure", 500),
        Raw(b"garbage"),
        Error("InvalidInput"),
    ]
    said = []
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        for failure in failing:
            script.on("RegisterInstance", failure)
            script.on("DeregisterInstance", failure)
            outcomes = await apply(registry, service_ref(), register("a"), deregister("b"))
            said += [repr(outcome.error) + str(outcome.error) for outcome in outcomes.values()]
    text = "".join(said) + logged.getvalue()
    assert len(said) == 2 * len(failing)
    for secret in (KEY, SECRET, TOKEN, "Signature="):
        assert secret not in text
