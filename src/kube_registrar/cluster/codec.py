"""Reading lists and watch events: msgspec decodes what a projection asks for and skips the rest unread.

One object that cannot be read never hurts the others: it is left out and named, so that nobody takes it for gone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from kube_registrar.cluster.errors import Status, short

R_co = TypeVar("R_co", covariant=True)

Key = tuple[str, str]
"""Kubernetes namespace (empty for cluster-scoped kinds) and name."""

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError)


class ListMeta(msgspec.Struct, rename="camel"):
    """Metadata of a list, of which a watch goes on from."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta


class _RawPage(msgspec.Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class _RawEvent(msgspec.Struct):
    type: str
    object: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Page(Generic[R_co]):
    """One page of a list. `unreadable` objects are there, but could not be read."""

    records: Sequence[R_co]
    resource_version: str
    token: str
    """The `continue` token of the next page; empty on the last one."""
    unreadable: Sequence[Key] = ()


@dataclass(frozen=True, slots=True)
class Event(Generic[R_co]):
    """One event of a watch: ADDED, MODIFIED, DELETED with a record, BOOKMARK without, ERROR with a status."""

    type: str
    resource_version: str = ""
    record: R_co | None = None
    status: Status | None = None


class Unreadable(Exception):  # it says what is
    """An object's JSON is not what its kind promises. The text names the object and the field."""


class Codec(Generic[R_co]):
    """Decodes one kind. `struct` declares the JSON fields that `project` needs to make a record.

    Its `metadata` has to have a `resource_version`.
    """

    def __init__(self, struct: Any, project: Callable[[Any], R_co]) -> None:
        self._project = project
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(struct)
        # The same struct with nothing around it, in one go for a whole page: ten times faster than one by one.
        self._page: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("_Page", [("metadata", ListMeta), ("items", list[struct] | None, None)])
        )

    def one(self, body: bytes | msgspec.Raw) -> R_co:
        """Decode one object. Raises Unreadable."""
        try:
            return self._project(self._one.decode(body))
        except _NOT_JSON as error:
            raise Unreadable(_said(body, error)) from None

    def page(self, body: bytes) -> Page[R_co]:
        """Decode one page of a list. Raises Unreadable where it is no list at all."""
        try:
            page = self._page.decode(body)
            records = [self._project(item) for item in page.items or ()]
        except _NOT_JSON:
            return self._piecemeal(body)
        return Page(records, page.metadata.resource_version, page.metadata.continue_)

    def _piecemeal(self, body: bytes) -> Page[R_co]:
        try:
            page = msgspec.json.decode(body, type=_RawPage)
        except _NOT_JSON as error:
            raise Unreadable(f"not a list: {short(str(error))}") from None
        records, unreadable = [], []
        for item in page.items or ():
            try:
                records.append(self.one(item))
            except Unreadable:
                unreadable.append(_key(item))
        return Page(records, page.metadata.resource_version, page.metadata.continue_, unreadable)

    def event(self, line: bytes) -> Event[R_co]:
        """Decode one line of a watch. Raises Unreadable."""
        try:
            event = msgspec.json.decode(line, type=_RawEvent)
            if event.type == "ERROR":
                return Event("ERROR", status=msgspec.json.decode(event.object, type=Status))
            if event.type == "BOOKMARK":
                bookmark = msgspec.json.decode(event.object, type=_Named)
                return Event("BOOKMARK", bookmark.metadata.resource_version)
        except _NOT_JSON as error:
            raise Unreadable(f"not a watch event: {short(str(error))}") from None
        try:
            item = self._one.decode(event.object)
        except _NOT_JSON as error:
            raise Unreadable(_said(event.object, error)) from None
        return Event(event.type, item.metadata.resource_version, self._project(item))


def _said(body: bytes | msgspec.Raw, error: Exception) -> str:
    return f"{'/'.join(filter(None, _key(body))) or 'an object'}: {short(str(error))}"


def _key(body: bytes | msgspec.Raw) -> Key:
    try:
        meta = msgspec.json.decode(body, type=_Named).metadata
    except _NOT_JSON:
        return ("", "")
    return (meta.namespace, meta.name)
