"""Whose request is it? Verifies a signature, and gives the key that made it.

Nothing is kept of a request that does not verify: a stranger can fill nothing, and learns what AWS would tell him.
A request may be repeated as it is while its time is young enough, as with AWS; TLS keeps others from having it.
"""

import hmac
import time
from collections.abc import Mapping
from typing import Final

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.runtime.clock import Clock
from kube_registrar.server.access import signature
from kube_registrar.server.access.keys import AccessKey, KeyRing
from kube_registrar.server.access.repeated import Pattern, Repeated
from kube_registrar.server.access.signature import INCOMPLETE, INVALID, MISSING, Claim, Mac

SKEW_SECONDS: Final = 300.0
"""How far the times of client and server may be apart: five minutes, as AWS documents it ("Elements of an AWS API
request signature", IAM user guide), and as its JSON services say it in their errors."""

_MOST_DERIVED: Final = 1024
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Verifier:
    """Verifies requests against the keys of a ring. Derived signing keys are kept, by secret, day and Region.

    By secret, so that none outlives the exchange of the keys.
    """

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._derived: dict[tuple[str, str, str], Mac] = {}

    def verify(self, headers: Mapping[str, str], body: bytes, method: str = "POST", target: str = "/") -> AccessKey:
        """Return the key that a request was signed with; `headers` and `target` as in `signature.canonical_request`.

        Of repeated headers, method and target are what they are by default.

        Raises CloudMapError with AWS's codes.
        """
        repeated = headers if isinstance(headers, Repeated) else None
        pattern = repeated.likeness.pattern if repeated is not None else None
        if repeated is None or pattern is None:
            key, claim, given = self.claimed(headers)
        else:
            key, claim, given = self._key_of(pattern.claim), pattern.claim, repeated.signature
            self._check_time(claim, headers["x-amz-date"])
        payload_hash = signature.hashed(body)
        said = headers.get("x-amz-content-sha256")
        if said is not None and said != payload_hash:
            raise CloudMapError(
                INVALID,
                "X-Amz-Content-SHA256 is not the SHA-256 of the request's body: the body must be signed, and be what "
                "was signed.",
            )
        if pattern is None:
            request = signature.canonical_request(method, target, headers, claim.names, payload_hash)
        else:
            request = pattern.canonical_request(headers, payload_hash)
        known, derived = self._signing_key(key, claim)
        expected = signature.signature(derived, headers["x-amz-date"], claim.scope, request)
        if not hmac.compare_digest(expected, given):
            raise CloudMapError(INVALID, _MISMATCH)
        if not known:
            self._keep(key, claim, derived)
        if repeated is not None and pattern is None:
            repeated.likeness.pattern = Pattern.of(claim, headers)
        return key

    def claimed(self, headers: Mapping[str, str]) -> tuple[AccessKey, Claim, str]:
        """Return what can be told without the body: whose request it claims to be, and the signature. CloudMapError."""
        authorization = headers.get("authorization")
        if authorization is None:
            raise CloudMapError(MISSING, "Request is missing Authentication Token")
        claim, given = signature.parsed(authorization)
        key = self._key_of(claim)
        if "x-amz-security-token" in headers:
            raise CloudMapError(
                "UnrecognizedClientException",
                "The security token included in the request is invalid: keys of this registry go without "
                "AWS_SESSION_TOKEN.",
            )
        signature.check_names(claim, headers)
        self._check_time(claim, headers.get("x-amz-date"))
        return key, claim, given

    def _key_of(self, claim: Claim) -> AccessKey:
        key = self._ring.keys.get(claim.key_id)
        if key is None:
            raise CloudMapError("UnrecognizedClientException", "The security token included in the request is invalid.")
        return key

    def _check_time(self, claim: Claim, date: str | None) -> None:
        at = signature.seconds_of(date) if date else None
        if date is None or at is None:
            raise CloudMapError(INCOMPLETE, "Authorization header requires an 'X-Amz-Date' header, YYYYMMDDTHHMMSSZ.")
        if date[:8] != claim.day:
            raise CloudMapError(
                INVALID, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
            )
        now = self._clock.time()
        if at < now - SKEW_SECONDS:
            raise CloudMapError(
                INVALID,
                f"Signature expired: {date} is now earlier than {_shown(now - SKEW_SECONDS)} ({_shown(now)} - 5 min.)",
            )
        if at > now + SKEW_SECONDS:
            raise CloudMapError(
                INVALID,
                f"Signature not yet current: {date} is still later than {_shown(now + SKEW_SECONDS)} "
                f"({_shown(now)} + 5 min.)",
            )

    def _signing_key(self, key: AccessKey, claim: Claim) -> tuple[bool, Mac]:
        """Return a derived key, and whether it is one that is kept."""
        derived = self._derived.get((key.secret, claim.day, claim.region))
        if derived is not None:
            return True, derived
        return False, signature.signing_key(key.secret, claim.day, claim.region)

    def _keep(self, key: AccessKey, claim: Claim, derived: Mac) -> None:
        if len(self._derived) >= _MOST_DERIVED:
            self._derived.clear()
        self._derived[key.secret, claim.day, claim.region] = derived


def _shown(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
