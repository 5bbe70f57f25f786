"""Signed requests that are like one before: what they have in common is read, and made canonical, once.

A client sends the same headers over and over, but for the time, the signature, and what numbers its requests. Each is
verified all the same: against the key that the ring has now, the clock, its own body and its own values.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kube_registrar.server.access import signature
from kube_registrar.server.access.signature import Claim

VARYING = ("x-amz-date", "amz-sdk-invocation-id", "content-length")
"""Headers that may differ, beside the signature at the end of Authorization."""
_MARKS = {name: chr(number) for number, name in enumerate(VARYING)}
"""What stands for their values in a canonical request: no header can hold it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What verified requests have in common: their claim, and their canonical request but for what varies and the hash.

    `varying`: the headers of which the value stands in it, each with its mark.
    """

    claim: Claim
    _request: str
    _varying: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, claim: Claim, headers: Mapping[str, str]) -> "Pattern":
        """Return the pattern of a request that was verified: so no signature is a part of what it signs."""
        varying = tuple((name, mark) for name, mark in _MARKS.items() if name in headers and name in claim.names)
        request = signature.canonical_request("POST", "/", {**headers, **dict(varying)}, claim.names, "")
        return cls(claim, request, varying)

    def canonical_request(self, headers: Mapping[str, str], payload_hash: str) -> str:
        """Return the canonical request of headers of this pattern. The values that vary hold no space."""
        request = self._request
        for name, mark in self._varying:
            request = request.replace(mark, headers[name])
        return request + payload_hash


class Likeness:
    """Stands for headers that are the same but for what varies. `pattern` is there once one of them was verified."""

    __slots__ = ("pattern",)

    def __init__(self) -> None:
        self.pattern: Pattern | None = None


class Repeated(dict[str, str]):
    """Headers of a POST to `/` that are like others; `signature`: the end of their Authorization header."""

    __slots__ = ("likeness", "signature")

    def __init__(self, headers: Mapping[str, str], likeness: Likeness) -> None:
        super().__init__(headers)
        self.likeness = likeness
        self.signature = ""
