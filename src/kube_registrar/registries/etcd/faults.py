"""What went wrong when etcd was asked, and what that means: errors of the gateway and of connections.

Source: rpctypes (etcd's errors by name) and the codes of gRPC; the gateway answers both as JSON.
"""

import json
import ssl
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import aiohttp

from kube_registrar.model.errors import Forbidden, Refused, RegistryError, Retryable, Unreachable


class Kind(Enum):
    """What may be done about it."""

    NOT_SENT = auto()
    """Nothing reached etcd: another member may be asked."""
    NO_LEADER = auto()
    """Nothing was done: the same may be asked in a moment."""
    AMBIGUOUS = auto()
    """A write may have been done, or be done yet."""
    TOKEN = auto()
    """Nothing was done, for the token has run out: ask with another."""
    COMPACTED = auto()
    """The revision that was asked for is gone."""
    NO_LEASE = auto()
    """Nothing was done, for the lease is gone."""
    FINAL = auto()
    """Nothing was done, and asking again gives the same."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong."""

    error: RegistryError
    kind: Kind


class Failed(Exception):
    """A request that failed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.error))
        self.fault = fault


_UNAVAILABLE: Final = 14
_UNAUTHENTICATED: Final = 16
_FORBIDDEN: Final = 7
_EXHAUSTED: Final = 8
_INVALID: Final = 3
_LONGEST_TEXT: Final = 300

_NO_TOKEN = ("invalid auth token", "revision of auth store is old", "invalid auth revision")
_NO_LEADER = ("no leader", "not leader", "raft: no elected leader", "is not part of the cluster")
_CLOSED: Final = aiohttp.ClientConnectionResetError
"""In TLS 1.3 a certificate is refused once the connection stands, and uvloop does not tell a writer by which alert."""
_NO_QUORUM: Final = (
    "etcd has no leader, so most of its members are down or cannot reach each other. Start or connect them"
)


def of_answer(status: int, body: bytes, about: str) -> Fault:
    """Return what an error that was answered means."""
    code, text = _said(body)
    low = text.lower()
    if any(each in low for each in _NO_TOKEN):
        return Fault(Unreachable(f"{about}: etcd takes our token for invalid ({text})"), Kind.TOKEN)
    if any(each in low for each in _NO_LEADER):
        return Fault(Unreachable(f"{about}: {_NO_QUORUM}"), Kind.NO_LEADER)
    if "compacted" in low:
        return Fault(Retryable(f"{about}: etcd has compacted what was being read ({text})"), Kind.COMPACTED)
    if "requested lease not found" in low:
        return Fault(Retryable(f"{about}: the lease in etcd has run out and is made anew"), Kind.NO_LEASE)
    if "authentication failed" in low:
        return Fault(Unreachable(f"{about}: etcd does not know this user with this password. Correct them"), Kind.FINAL)
    if "user name is empty" in low:
        why = f"{about}: etcd asks who we are. Give the options user and passwordFile"
        return Fault(Unreachable(why), Kind.FINAL)
    if "authentication is not enabled" in low:
        why = f"{about}: etcd has no authentication enabled, so it knows no user. Enable it, or remove the option user"
        return Fault(Unreachable(why), Kind.FINAL)
    if code == _FORBIDDEN or "permission denied" in low:
        return Fault(_forbidden(about), Kind.FINAL)
    return _by_code(status, code, text, about)


def _by_code(status: int, code: int, text: str, about: str) -> Fault:
    low = text.lower()
    if "database space exceeded" in low:
        why = f"{about}: etcd's database is full, and it takes no writes. Compact, defragment, and disarm the alarm"
        return Fault(Retryable(why, after=5.0), Kind.FINAL)
    if code == _EXHAUSTED:
        return Fault(Retryable(f"{about}: etcd has too much to do ({text})", after=1.0), Kind.FINAL)
    if code == _INVALID or "too large" in low:
        rule = "what etcd takes in one request (--max-txn-ops 128, --max-request-bytes 1.5 MiB)"
        why = f"{about}: etcd refuses it: {text}. Allowed: {rule}"
        return Fault(Refused(why, field="request", rule=rule), Kind.FINAL)
    if code == _UNAUTHENTICATED:
        return Fault(
            Unreachable(f"{about}: etcd does not take who we are ({text}). Correct user or certificate"), Kind.FINAL
        )
    if code == _UNAVAILABLE and "request timed out" in low:
        why = f"{about}: no answer in time from etcd's members together ({text}). Look whether most of them are up"
        return Fault(Unreachable(why), Kind.AMBIGUOUS)
    if status == 404 and not code:  # noqa: PLR2004 - a path that nobody serves
        why = f"{about}: this etcd serves no JSON gateway. Leave its flag --enable-grpc-gateway as it is, which is true"
        return Fault(Unreachable(why), Kind.FINAL)
    return Fault(Unreachable(f"{about}: etcd answered {status} ({text})"), Kind.AMBIGUOUS)


def of_transport(error: Exception, member: str, about: str) -> Fault:
    """Return what it means that there was no answer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = _line(error.certificate_error)
        why = f"{about}: the certificate of {member} is not valid: {said}. Renew it, or correct caFile"
        return Fault(Unreachable(why), Kind.NOT_SENT)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) or "alert" in str(error).lower():
        why = (
            f"{about}: {member} does not take our certificate, or speaks no TLS: {_line(error)}. "
            "Renew certFile and keyFile, or correct the endpoint"
        )
        return Fault(Unreachable(why), Kind.NOT_SENT)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Fault(
            Unreachable(f"{about}: no connection to {member}: {_line(error)}. Start it, or correct endpoints"),
            Kind.NOT_SENT,
        )
    if member.startswith("https:") and isinstance(error.__cause__ or error.__context__, _CLOSED):
        why = (
            f"{about}: {member} closes the connection before it is asked: it does not take our certificate, or goes "
            "down. Renew certFile and keyFile if they ran out"
        )
        return Fault(Unreachable(why), Kind.AMBIGUOUS)
    return Fault(Unreachable(f"{about}: no answer from {member}: {_line(error)}"), Kind.AMBIGUOUS)


def doubtful(fault: Fault) -> RegistryError:
    """Return the error of a write that may have been done."""
    return Unreachable(str(fault.error), doubtful=True)


def _forbidden(about: str) -> Forbidden:
    rule = "readwrite on the keys that begin with the options prefix and skydnsPath: deploy/etcd/role.sh grants it"
    return Forbidden(f"{about}: etcd denies this user these keys. Needed: {rule}", rule=rule)


def _said(body: bytes) -> tuple[int, str]:
    """Return the code and message of an error; a watch has them one level deeper."""
    try:
        found = json.loads(body)
        if isinstance(found, dict) and isinstance(found.get("error"), dict):
            found = found["error"]
        return int(found.get("code") or found.get("grpc_code") or 0), _line(found.get("message") or found.get("error"))
    except (ValueError, AttributeError, TypeError):
        return 0, _line(body.decode(errors="replace"))


def _line(text: object) -> str:
    """Return the text on one line, cut: whatever a server sends ends up in events and logs."""
    line = " ".join(str(text or "no message").split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
