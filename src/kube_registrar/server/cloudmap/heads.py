"""Heads of HTTP requests, as plain as the fast lane takes them."""

from collections.abc import Mapping
from typing import Final

Head = tuple[int, Mapping[str, str], int]
"""How many octets a head has, its headers, and how many octets the body has."""

MOST_BODY: Final = 64 * 1024
_NOT_HERE = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "smithy-protocol"})


def headers_of(lines: bytes) -> dict[str, str] | None:
    """Return the headers, names in lower case; None if one is there twice, or asks for more than a plain answer."""
    headers = {}
    texts = lines[:-2].decode("ascii").split("\r\n")
    for text in texts:
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) != len(texts) or not _NOT_HERE.isdisjoint(headers):
        return None
    return headers if headers.get("connection", "keep-alive").lower() == "keep-alive" else None


def length_of(headers: Mapping[str, str]) -> int | None:
    """Return how many octets the body has; None where that is not said plainly, or they are too many for here."""
    text = headers.get("content-length", "")
    length = int(text) if text.isdecimal() and len(text) <= len(str(MOST_BODY)) else None
    return length if length is not None and length <= MOST_BODY else None
