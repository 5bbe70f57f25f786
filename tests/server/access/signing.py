"""Requests that botocore signed, as a server sees them: the oracle of the verifier."""

import datetime as dt
from collections.abc import Mapping, Sequence
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.cloudmap.protocol import headers_of

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = AccessKey("AKIDEXAMPLE", SECRET, Role.ADMIN)
NOW = 1_770_000_000.0
TARGET = "Route53AutoNaming_v20170314"
HOST = "registry.example:8443"


class At:
    """A clock that stands."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def signed(
    body: bytes = b"{}",
    *,
    operation: str = "ListNamespaces",
    key: AccessKey = KEY,
    at: float = NOW,
    region: str = "eu-west-1",
    service: str = "servicediscovery",
    target: str = "/",
    host: str = HOST,
    token: str | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """Return the headers, by lower-case name, of a POST that botocore signed at a time."""
    request = AWSRequest("POST", f"http://{host}{target}", data=body)
    request.headers = HTTPHeaders()
    request.headers["X-Amz-Target"] = f"{TARGET}.{operation}"
    request.headers["Content-Type"] = "application/x-amz-json-1.1"
    for name, value in more:
        request.headers.add_header(name, value)
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(Credentials(key.id, key.secret, token), service, region).add_auth(request)
    sent: Mapping[str, str] = headers_of(request.headers.items())
    return {"host": host, **sent}
