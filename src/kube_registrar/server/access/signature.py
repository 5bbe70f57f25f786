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

_CLAIM = re.compile(
    r"AWS4-HMAC-SHA256[ ,]+Credential=(?P<credential>[^\s,]{1,512})[ ,]+SignedHeaders=(?P<names>[^\s,]{1,2048})[ ,]+"
)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_PARTS: Final = ("Credential", "SignedHeaders", "Signature")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_CREDENTIAL_PARTS: Final = 5
_DATE_CHARACTERS: Final = 16
_MOST_KEPT: Final = 1024
"""Octets of a body of which the hash is kept: one of any question has some hundred."""
_MUST_BE_SIGNED: Final = ("x-amz-date", "x-amz-target", "x-amz-content-sha256", "x-amz-security-token")
"""Beside host, where they are sent: what this server goes by."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Authorization header says but for the signature. `scope` is `DAY/REGION/SERVICE/aws4_request`.

    `names`: the headers that are signed; `missing`: those of them that must be, where they are sent, and are not.
    """

    key_id: str
    day: str
    region: str
    scope: str
    names: Sequence[str]
    missing: Sequence[str]


class Mac:
    """HMAC-SHA256 with one key, of which the first blocks are hashed already: that is most of the time it takes."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """`key` has 64 bytes at most."""
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigest(self, message: bytes) -> str:
        """Return the code of a message, in hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def parsed(authorization: str) -> tuple[Claim, str]:
    """Read an Authorization header: what it claims, and the signature.

    Raises CloudMapError, which does not repeat it: it may hold a token for somebody else.
    """
    before, _, found = authorization.rpartition("Signature=")
    if not _SIGNATURE.fullmatch(found):
        raise _unreadable(authorization)
    return _claim(before), found


@lru_cache(maxsize=1024)  # a client says the same for a whole day
def _claim(text: str) -> Claim:
    found = _CLAIM.fullmatch(text)
    if found is None:
        raise _unreadable(f"{text}Signature=")
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
    names = tuple(found["names"].split(";"))
    missing = tuple(name for name in _MUST_BE_SIGNED if name not in names)
    return Claim(key_id, day, region, credential[len(key_id) + 1 :], names, missing)


def check_names(claim: Claim, headers: Mapping[str, str]) -> None:
    """Check that all is signed that the answer depends on. Raises CloudMapError."""
    if "host" not in claim.names:
        raise CloudMapError(INVALID, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in claim.missing:
        if name in headers:
            raise CloudMapError(INVALID, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def seconds_of(date: str) -> float | None:
    """Return the seconds since 1970 of an X-Amz-Date, `20260102T030405Z`; None for what is none."""
    return _seconds_of(date) if len(date) == _DATE_CHARACTERS else None


@lru_cache(maxsize=1024)  # the requests of one second all say the same
def _seconds_of(date: str) -> float | None:
    try:
        return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def hashed(payload: bytes) -> str:
    """Return the SHA-256 of a request's body, in hexadecimal digits."""
    return _hashed(payload) if len(payload) <= _MOST_KEPT else hashlib.sha256(payload).hexdigest()


@lru_cache(maxsize=1024)  # clients ask the same again and again
def _hashed(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


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


def signing_key(secret: str, day: str, region: str) -> Mac:
    """Return what signs requests of a day in a Region."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return Mac(key)


def signature(key: Mac, date: str, scope: str, request: str) -> str:
    """Return the signature of a canonical request, in hexadecimal digits."""
    hashed = hashlib.sha256(request.encode("utf-8", "surrogateescape")).hexdigest()
    return key.hexdigest(f"{ALGORITHM}\n{date}\n{scope}\n{hashed}".encode())


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
