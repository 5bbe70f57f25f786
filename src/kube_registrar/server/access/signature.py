"""Signature Version 4: what a signed request says of itself, and the signature that it should have.

Values in, values out. Only the form with an Authorization header is known, as every SDK sends it to Cloud Map.
Source: "Signature Version 4 signing process" (AWS Identity and Access Management user guide); the sentences are AWS's.
"""

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from kube_registrar.model.cloudmap.errors import CloudMapError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "servicediscovery"
TERMINATOR: Final = "aws4_request"

INCOMPLETE: Final = "IncompleteSignatureException"
INVALID: Final = "InvalidSignatureException"
MISSING: Final = "MissingAuthenticationTokenException"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256[ ,]+Credential=(?P<credential>[^\s,]{1,512})[ ,]+"
    r"SignedHeaders=(?P<names>[^\s,]{1,2048})[ ,]+Signature=(?P<signature>[0-9a-f]{64})\s*"
)
_PARTS: Final = ("Credential", "SignedHeaders", "Signature")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_CREDENTIAL_PARTS: Final = 5
_MUST_BE_SIGNED: Final = ("x-amz-date", "x-amz-target", "x-amz-content-sha256", "x-amz-security-token")
"""Beside host, where they are sent: what this server goes by."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What an Authorization header says. `scope` is `DAY/REGION/SERVICE/aws4_request`."""

    key_id: str
    day: str
    region: str
    scope: str
    names: Sequence[str]
    signature: str


def parsed(authorization: str) -> Signed:
    """Read an Authorization header. Raises CloudMapError, which does not repeat it: it may hold another's token."""
    found = _AUTHORIZATION.fullmatch(authorization)
    if found is None:
        raise _unreadable(authorization)
    credential = found["credential"]
    parts = credential.split("/")
    if len(parts) != _CREDENTIAL_PARTS:
        raise CloudMapError(
            INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got {len(parts)}.",
        )
    key_id, day, region, service, terminator = parts
    if service != SERVICE:
        raise CloudMapError(INVALID, f"Credential should be scoped to correct service: '{SERVICE}'.")
    if terminator != TERMINATOR:
        raise CloudMapError(INVALID, f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if not _REGION.fullmatch(region):
        raise CloudMapError(INVALID, "Credential should be scoped to a valid region.")
    scope = credential[len(key_id) + 1 :]
    return Signed(key_id, day, region, scope, found["names"].split(";"), found["signature"])


def check_names(signed: Signed, headers: Mapping[str, str]) -> None:
    """Check that all is signed that the answer depends on. Raises CloudMapError."""
    if "host" not in signed.names:
        raise CloudMapError(INVALID, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in _MUST_BE_SIGNED:
        if name in headers and name not in signed.names:
            raise CloudMapError(INVALID, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


@lru_cache(maxsize=1024)  # the requests of one second all say the same
def seconds_of(date: str) -> float | None:
    """Return the seconds since 1970 of an X-Amz-Date, `20260102T030405Z`; None for what is none."""
    try:
        return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def canonical_request(
    method: str, target: str, headers: Mapping[str, str], names: Sequence[str], payload_hash: str
) -> str:
    """Return the canonical request. `headers` by lower-case name, several of one joined by commas.

    `target` is that of the request line, as it was sent. Raises CloudMapError for a signed header that is not there.
    """
    try:
        lines = "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in names])
    except KeyError:
        raise CloudMapError(INVALID, "A header that is named in 'SignedHeaders' is not in the request.") from None
    path, query = ("/", "") if target == "/" else _canonical_target(target)
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload_hash}"


def signing_key(secret: str, day: str, region: str) -> bytes:
    """Return the key that requests of a day in a Region are signed with."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, date: str, scope: str, request: str) -> str:
    """Return the signature of a canonical request, in hexadecimal digits."""
    hashed = hashlib.sha256(request.encode("utf-8", "surrogateescape")).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{date}\n{scope}\n{hashed}".encode(), "sha256").hex()


def _canonical_target(target: str) -> tuple[str, str]:
    """Return path and query. The path is encoded once more than it was sent; the query is taken as it was sent."""
    path, _, query = target.partition("?")
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
    return quote(_without_dots(path), safe="/~"), "&".join(f"{name}={value}" for name, value in pairs)


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` and empty segments (RFC 3986, 5.2.4; and what AWS does beyond it)."""
    kept = list[str]()
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    end = "/" if path.endswith("/") and kept else ""
    return f"/{'/'.join(kept)}{end}"


def _unreadable(authorization: str) -> CloudMapError:
    """Return why it cannot be read, in AWS's words as far as they go."""
    algorithm = authorization.partition(" ")[0]
    if algorithm.startswith("AWS4-") and algorithm != ALGORITHM:
        return CloudMapError(INCOMPLETE, f"Unsupported AWS 'algorithm': only {ALGORITHM} is known here.")
    missing = [
        f"Authorization header requires '{part}' parameter." for part in _PARTS if f"{part}=" not in authorization
    ]
    return CloudMapError(
        INCOMPLETE, " ".join(missing) or "Authorization header is not Credential=…, SignedHeaders=…, Signature=…."
    )
