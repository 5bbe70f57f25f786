"""Structured logging over the standard library: a sentence, and beside it the object, registry and service it is about.

    log.info("registered", extra=about(object=pod.ref, registry="default", service=service))

Whatever stands in `extra` is a key of the line, in both formats. Secrets are cut out of every value, whoever logged it,
and a traceback is written at level debug only: an operator's log is read by people who cannot change this code.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

# They tell of each step they take; what matters to a user of ours we say in our own words.
_OTHERS = ("aiohttp", "asyncio", "boto3", "botocore", "kopf", "kubernetes", "urllib3")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [secret]"),
    (
        re.compile(
            r"""(?ix)(["']?\b[\w-]*(?:password|passwd|secret|secret[_-]?access[_-]?key|session[_-]?token|security[_-]token|
            (?<!page[_-])(?<!next)token|signature|api[_-]?key)["']?\s*[=:]\s*["']?)[^\s"',;&]+"""
        ),
        r"\1[secret]",
    ),
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"), "[secret]"),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        "[secret]",
    ),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@"), r"\1[secret]@"),
)


def about(*, object: object = None, registry: object = None, service: object = None) -> dict[str, str]:  # noqa: A002
    """Return the `extra` of a log call: what the line is about, as texts; what is None is left out."""
    given = {"object": object, "registry": registry, "service": service}
    return {key: str(value) for key, value in given.items() if value is not None}


def without_secrets(text: str) -> str:
    """Return the text with tokens, passwords, signatures and private keys cut out."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure(form: str = "plain", level: str = "info", stream: TextIO | None = None) -> None:
    """Send the whole process's log to `stream` (standard error), as `plain` or `json` lines, from `level` on."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    is_debug = level == "debug"
    for name in _OTHERS:
        logging.getLogger(name).setLevel(logging.INFO if is_debug else logging.WARNING)
    # A line about every request of a probe would bury the rest.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    for key, value in record.__dict__.items():
        if key not in _STANDARD and not key.startswith("_") and value is not None:
            yield key, without_secrets(str(value))
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        yield "error", without_secrets(f"{type(error).__name__}: {error}")
        if logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
            yield "traceback", without_secrets("".join(traceback.format_exception(error)).rstrip())


def _message(record: logging.LogRecord) -> str:
    return without_secrets(record.getMessage())


class PlainLines(logging.Formatter):
    """`15:04:05.123 INFO    registered object=Pod default/web-0 service=…`, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback stands below it."""
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        parts = [f"{when}.{int(record.msecs):03d}Z {record.levelname:<7} {_message(record)}"]
        below = ""
        for key, value in _extras(record):
            if key == "traceback":
                below = "\n" + value
            else:
                parts.append(f"{key}={value if _is_plain(value) else json.dumps(value, ensure_ascii=False)}")
        return " ".join(parts).replace("\r", " ").replace("\n", " ") + below


class JsonLines(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, then the keys of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        return json.dumps(line | dict(_extras(record)), ensure_ascii=False)


def _is_plain(value: str) -> bool:
    return bool(value) and not any(character.isspace() or character in "\"'=" for character in value)
