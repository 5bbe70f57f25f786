"""What a FaultProxy does to calls: rules, each with a match function and what goes wrong where it matches.

proxy.add(Answer(lists("pods"), status=500, times=2))
proxy.add(Hide(lists("pods"), hidden=lambda pod: pod["metadata"]["name"] in gone))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_GROUP_SEGMENTS = 3  # apis, group, version
_CORE_SEGMENTS = 2  # api, version


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API server. `path` is without its query; header names are in lower case."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def plural(self) -> str:
        """The resource that is asked, such as `pods`; empty for paths that name none."""
        return (*self._segments, "")[0]

    @property
    def name(self) -> str:
        """The object that is asked; empty for collections."""
        return (*self._segments, "", "")[1]

    @property
    def is_watch(self) -> bool:
        """Whether it asks for a stream of events."""
        return self.query.get("watch") in {"1", "true"}

    @property
    def _segments(self) -> list[str]:
        parts = self.path.strip("/").split("/")
        rest = parts[_GROUP_SEGMENTS if parts[0] == "apis" else _CORE_SEGMENTS :]
        within_namespace = len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}  # noqa: PLR2004
        return rest[2:] if within_namespace else rest


Match = Callable[[Call], bool]


def everything(call: Call) -> bool:
    """Match every call."""
    return bool(call.path)


def lists(plural: str) -> Match:
    """Match every page of every list of a resource."""
    return lambda call: call.verb == "GET" and call.plural == plural and not call.name and not call.is_watch


def continued(plural: str) -> Match:
    """Match the pages of lists after the first."""
    return lambda call: lists(plural)(call) and "continue" in call.query


def watches(plural: str) -> Match:
    """Match the watches of a resource."""
    return lambda call: call.plural == plural and call.is_watch


def gets(plural: str) -> Match:
    """Match the reading of single objects of a resource."""
    return lambda call: call.verb == "GET" and call.plural == plural and bool(call.name)


def writes(plural: str) -> Match:
    """Match whatever changes objects of a resource."""
    return lambda call: call.verb != "GET" and call.plural == plural


@dataclass(slots=True, eq=False)
class Rule:
    """Applies to the next `times` calls that match; None: to all, until it is removed."""

    match: Match
    times: int | None = field(default=None, kw_only=True)


@dataclass(slots=True, eq=False)
class Answer(Rule):
    """The API server is not asked; the answer is a Status."""

    status: int = field(default=500, kw_only=True)
    reason: str = field(default="InternalError", kw_only=True)
    message: str = field(default="made up by a test", kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)


@dataclass(slots=True, eq=False)
class Reset(Rule):
    """The connection is reset before anything is done."""


@dataclass(slots=True, eq=False)
class LoseReply(Rule):
    """The API server does what it is asked, and the connection is reset before the answer."""


@dataclass(slots=True, eq=False)
class Delay(Rule):
    """The API server is asked `seconds` later."""

    seconds: float = field(kw_only=True)


@dataclass(slots=True, eq=False)
class Hide(Rule):
    """Lists do not hold the objects that `hidden` picks; the list's resourceVersion stays."""

    hidden: Callable[[dict[str, Any]], bool] = field(kw_only=True)


@dataclass(slots=True, eq=False)
class Drop(Rule):
    """Watches do not tell the events (`{"type": …, "object": …}`) that `dropped` picks."""

    dropped: Callable[[dict[str, Any]], bool] = field(kw_only=True)


@dataclass(slots=True, eq=False)
class Freeze(Rule):
    """Watches are open and say nothing, bookmarks included; what happens meanwhile is lost."""


def gone(message: str = "too old resource version") -> dict[str, Any]:
    """Return the Status of a 410."""
    return status(410, "Expired", message)


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """Return a Status object as the API server makes it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
