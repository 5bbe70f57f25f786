"""What the Kubernetes API may answer instead of what was asked.

    ApiError
    ├── ApiUnauthorized   401, also with credentials that were just read again
    ├── ApiForbidden      403: a right is missing
    ├── ApiNotFound       404 with a Status object: the *object* is not there, which is evidence
    ├── ApiConflict       409
    ├── ApiGone           410: the resourceVersion or the `continue` token is too old
    ├── ApiThrottled      429: not before `after` seconds
    ├── ApiElsewhere      another cluster answers: nothing that it says counts
    └── ApiUnreachable    no answer; whether a write was done is unknown
        └── ApiSilent     a stream said nothing for too long

A 404 without a Status object is a plain ApiError: an unknown path (a kind that is not installed) or something in
between answered, and neither says anything of the object.
Source of the Status object: Kubernetes API conventions, "Response Status Kind".
"""

from http import HTTPStatus

import msgspec

from kube_registrar.model.errors import KubeRegistrarError

MESSAGE_CHARACTERS = 256
"""A Status message is cut here: it may quote whole objects."""


class ApiError(KubeRegistrarError):
    """The API server refused, or failed. `status`: the HTTP status, 0 without an answer; `reason`: the Status's."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class ApiUnauthorized(ApiError):
    """The API server does not accept our credentials."""


class ApiForbidden(ApiError):
    """A right is missing; the message names it, as the API server does."""


class ApiNotFound(ApiError):
    """The object is not there, says the API server itself."""


class ApiConflict(ApiError):
    """The object exists already, or has changed meanwhile."""


class ApiGone(ApiError):
    """The resourceVersion or `continue` token is too old: list again."""


class ApiThrottled(ApiError):
    """Too many requests. `after`: seconds to wait at least."""

    def __init__(self, message: str, *, status: int = 429, reason: str = "", after: float = 1.0) -> None:
        super().__init__(message, status=status, reason=reason)
        self.after = after


class ApiElsewhere(ApiError):
    """The API server that answers is that of another cluster."""


class ApiUnreachable(ApiError):
    """No answer: refused, reset, timed out, or not the server whose certificate we trust."""


class ApiSilent(ApiUnreachable):
    """A stream that was open said nothing for too long; it may be cut without anybody knowing."""


class Status(msgspec.Struct, rename="camel"):
    """The Status object of an answer, or of an ERROR event in a watch."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: ApiUnauthorized,
    403: ApiForbidden,
    404: ApiNotFound,
    409: ApiConflict,
    410: ApiGone,
}


def error_of(call: str, code: int, answer: Status, retry_after: str = "") -> ApiError:
    """Return the error for an answer to `call` (verb and path, for the message)."""
    message = f"{call}: {short(answer.message) or f'HTTP {code}'}"
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return ApiThrottled(message, reason=answer.reason, after=_seconds(retry_after))
    kind = _BY_STATUS.get(code, ApiError)
    if kind is ApiNotFound and answer.reason != "NotFound":
        kind = ApiError
    return kind(message, status=code, reason=answer.reason)


def status_of(body: bytes) -> Status:
    """Read a Status object; anything else gives an empty one."""
    try:
        found = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Status()
    return found if found.kind == "Status" else Status()


def short(text: str) -> str:
    """Cut a message of somebody else's to a length that fits a log line."""
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"


def _seconds(retry_after: str) -> float:
    # The API server sends seconds; a date (which proxies may send) is taken for one second.
    return float(retry_after) if retry_after.isdecimal() else 1.0
