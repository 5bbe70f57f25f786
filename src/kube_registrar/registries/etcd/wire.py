"""The words of etcd's JSON gateway: keys and values are base64, numbers of 64 bits are text.

Source: "gRPC gateway" and the API reference v3 of the etcd documentation.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Op = Mapping[str, Any]
"""One operation of a transaction."""
Guard = Mapping[str, Any]
"""One comparison of a transaction."""

TRANSACTION: Final = "/v3/kv/txn"
RANGE: Final = "/v3/kv/range"

MOST_OPERATIONS: Final = 128
"""Of one transaction, and guards likewise: etcd's own `--max-txn-ops` unless told otherwise."""


ALL: Final = 0
"""For a limit: none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value. `modified`: the revision that wrote it last."""

    key: str
    value: bytes
    modified: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """What a range found. `more`: there is more behind the last key."""

    entries: Sequence[Entry]
    more: bool = False

    @property
    def first(self) -> Entry | None:
        """Its first entry, if it has any: of the range of one key, that key."""
        return self.entries[0] if self.entries else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a transaction came to, at `revision`; a page for each of its ranges, in order."""

    succeeded: bool
    revision: int
    pages: Sequence[Page]


def encoded(text: str | bytes) -> str:
    """Return a key or value as the gateway takes it."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode("ascii")


def end_of(prefix: str) -> str:
    """Return what ends the range of all keys that begin with `prefix`, which is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def one(key: str) -> dict[str, Any]:
    """Return the range that holds one key."""
    return {"key": encoded(key)}


def below(prefix: str, limit: int, *, after: str = "", revision: int = 0) -> dict[str, Any]:
    """Return a range of at most `limit` keys that begin with `prefix`, behind the key `after`, as of `revision`."""
    start = f"{after}\0" if after else prefix
    asked: dict[str, Any] = {"key": encoded(start), "range_end": encoded(end_of(prefix)), "limit": str(limit)}
    return asked | ({"revision": str(revision)} if revision else {})


def get(asked: Mapping[str, Any]) -> Op:
    """Return the operation that reads a range."""
    return {"request_range": asked}


def put(key: str, value: bytes, lease: int = 0) -> Op:
    """Return the operation that writes a key."""
    written = {"key": encoded(key), "value": encoded(value)}
    return {"request_put": written | ({"lease": str(lease)} if lease else {})}


def touch(key: str) -> Op:
    """Return the operation that gives a key another revision, and leaves its value."""
    return {"request_put": {"key": encoded(key), "ignore_value": True}}


def delete(key: str) -> Op:
    """Return the operation that deletes a key; one that is not there is no error."""
    return {"request_delete_range": {"key": encoded(key)}}


def unchanged(key: str, modified: int) -> Guard:
    """Return the guard that nobody wrote a key since; `modified` 0: that it is not there."""
    return {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(modified)}


def exists(key: str) -> Guard:
    """Return the guard that a key is there."""
    return {"key": encoded(key), "target": "CREATE", "result": "GREATER", "create_revision": "0"}


def nothing_below(prefix: str) -> Guard:
    """Return the guard that no key begins with `prefix`: no key was ever made in revision 0."""
    range_end = encoded(end_of(prefix))
    return {
        "key": encoded(prefix), "range_end": range_end, "target": "CREATE", "result": "EQUAL", "create_revision": "0"
    }  # fmt: skip


def transaction(guards: Sequence[Guard], then: Sequence[Op], otherwise: Sequence[Op] = ()) -> dict[str, Any]:
    """Return a transaction: `then` if all guards hold, else `otherwise`."""
    return {"compare": list(guards), "success": list(then), "failure": list(otherwise)}


def page(json: Mapping[str, Any]) -> Page:
    """Read the answer to a range."""
    return Page(tuple(entry(each) for each in json.get("kvs", ())), bool(json.get("more")))


def answer(json: Mapping[str, Any]) -> Answer:
    """Read the answer to a transaction."""
    pages = [page(each["response_range"]) for each in json.get("responses", ()) if "response_range" in each]
    return Answer(bool(json.get("succeeded")), revision(json), pages)


def revision(json: Mapping[str, Any]) -> int:
    """Return the revision that an answer tells."""
    return int(json["header"].get("revision", "0"))


def entry(json: Mapping[str, Any]) -> Entry:
    """Read a key with its value."""
    return Entry(
        base64.b64decode(json["key"]).decode(errors="replace"),
        base64.b64decode(json.get("value", "")),
        int(json.get("mod_revision", "0")),
        int(json.get("lease", "0")),
    )
