"""A scripted endpoint, and the Cloud Map backend opened against it."""

from collections.abc import AsyncIterator

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import open_registry
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from tests.registries.cloudmap.scripted import Script, served

NAMESPACE = {"Id": "ns-1", "Arn": "arn:ns-1", "Name": "test-namespace", "Type": "HTTP"}
SERVICE = {"Id": "srv-1", "Arn": "arn:srv-1", "Name": "flask-app"}


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of this machine's own AWS set-up in, and give credentials that mean nothing."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_SERVICEDISCOVERY", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-prints")


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """Serve a script that knows one HTTP namespace and one service."""
    async with served() as script:
        script.on("ListNamespaces", {"Namespaces": [NAMESPACE]})
        script.on("ListServices", {"Services": [SERVICE]})
        script.on("GetNamespace", {"Namespace": NAMESPACE})
        script.on("GetService", {"Service": SERVICE})
        script.on("RegisterInstance", {"OperationId": "op-register"})
        script.on("DeregisterInstance", {"OperationId": "op-deregister"})
        script.on("ListTagsForResource", {"Tags": []})
        script.on("TagResource", {})
        script.on("GetOperation", {"Operation": {"Status": "SUCCESS"}})
        yield script


@pytest.fixture
async def registry(script: Script) -> AsyncIterator[Registry]:
    """Open the backend against the script, with rates that never wait."""
    rates = dict.fromkeys(DEFAULT_RATES, "100000/100000")
    config = {"region": "eu-west-1", "endpointUrl": script.url, "rates": rates, "pollSeconds": 0.001}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        yield registry
