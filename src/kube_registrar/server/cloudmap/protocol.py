"""AWS JSON 1.1 over HTTP: which operation a request is, in whose Region, and how answers and errors are written.

Source: the AWS JSON 1.1 protocol (Smithy), and the service model's targetPrefix.
"""

import itertools
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.cloudmap.shapes import OPERATIONS

TARGET_PREFIX = "Route53AutoNaming_v20170314"
CONTENT_TYPE = "application/x-amz-json-1.1"

# Ids of requests are for finding one again in two logs: a random beginning and a count are enough, and cost nothing.
_PREFIX = str(uuid.uuid4())[:24]
_COUNT = itertools.count(int.from_bytes(uuid.uuid4().bytes[:5]))

_SCOPE = re.compile(r"Credential=[^/,\s]*/\d{8}/(?P<region>[a-z0-9-]{1,64})/")
# Codes that the service model knows spell this member with a capital, those that all services share do not.
_SHARED_CODES = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignatureException",
        "InternalFailure",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestTimeoutException",
        "SerializationException",
        "ThrottlingException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "UnsupportedProtocolException",
    }
)


def headers_of(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name; several of one name are joined by commas, as they are signed."""
    found = dict[str, str]()
    for name, value in headers:
        lower = name.lower()
        found[lower] = f"{found[lower]},{value}" if lower in found else value
    return found


def operation_of(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the operation that a request names. Raises CloudMapError where it names none, or by another protocol.

    `headers` are by lower-case name, or do not tell the case of names apart.
    """
    protocol = headers.get("smithy-protocol")
    if protocol or path.startswith("/service/"):
        raise CloudMapError(
            "UnsupportedProtocolException",
            f"The protocol {protocol or 'of this path'} is not spoken here: use AWS JSON 1.1, a POST to / "
            "with X-Amz-Target",
        )
    target = headers.get("x-amz-target", "")
    prefix, _, operation = target.partition(".")
    if method != "POST" or prefix != TARGET_PREFIX or not operation:
        raise CloudMapError(
            "UnknownOperationException",
            f"This is a {method} with X-Amz-Target {target[:80]!r}: use a POST with {TARGET_PREFIX}.OPERATION",
        )
    if operation not in OPERATIONS:
        raise CloudMapError("UnknownOperationException", f"Cloud Map has no operation {operation[:80]!r}")
    return operation


def region_of(authorization: str | None) -> str | None:
    """Return the Region of a signature's credential scope, if there is one; whether it is right is not asked here."""
    found = _SCOPE.search(authorization or "")
    return found["region"] if found else None


def body_of(content: bytes) -> object:
    """Read a request's JSON; nothing at all counts as an empty object. Raises CloudMapError."""
    try:
        return msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise CloudMapError("SerializationException", f"The request is not JSON: {error}") from None


def answer(members: Mapping[str, Any]) -> web.Response:
    """Return the HTTP answer for an operation that succeeded."""
    return ready_answer(msgspec.json.encode(members))


def ready_answer(body: bytes) -> web.Response:
    """Return the HTTP answer for an operation that succeeded, from its JSON."""
    return web.Response(body=body, headers=_headers())


def error_answer(error: CloudMapError) -> web.Response:
    """Return the HTTP answer for an error: its code in the body and in a header, where SDKs look for it."""
    headers = {**_headers(), "x-amzn-ErrorType": error.code}
    return web.Response(status=error.status, body=error_body(error), headers=headers)


def error_body(error: CloudMapError) -> bytes:
    """Return the JSON of an error."""
    member = "message" if error.code in _SHARED_CODES else "Message"
    return msgspec.json.encode({"__type": error.code, member: error.message, **error.members})


def request_id() -> str:
    """Return a new id, in the form of a UUID."""
    return f"{_PREFIX}{next(_COUNT) & 0xFFFFFFFFFFFF:012x}"


def _headers() -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": request_id()}
