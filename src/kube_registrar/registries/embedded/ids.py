"""Ids and ARNs in Cloud Map's forms.

Sources: the API reference's examples (`ns-ylexjili4cdxy3xm`, `gv4g5meo7ndmeh4fqskygvk23d2fijwa-k9302yzd`; the end of
an operation's id is its time in milliseconds, base 36) and the service authorization reference for ARNs.
"""

import base64
import os
import random
import re
import string

from kube_registrar.model.cloudmap.errors import invalid

# Ids are no secrets. Asking the kernel for each would let go of the interpreter's lock, and the writer's thread would
# take it: that cost half of all time under load.
_DRAW = random.Random()  # begins with the kernel's randomness
os.register_at_fork(after_in_child=_DRAW.seed)

_DIGITS = string.digits + string.ascii_lowercase
_ARN = re.compile(
    r"arn:aws[a-z-]*:servicediscovery:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<kind>namespace|service)/(?P<id>.+)"
)


def namespace_id() -> str:
    """Return a new id of a registry namespace."""
    return f"ns-{_random(10)}"


def service_id() -> str:
    """Return a new id of a registry service."""
    return f"srv-{_random(10)}"


def hosted_zone_id() -> str:
    """Return a new id in the form of Route 53's hosted zones."""
    return f"Z{_random(15)[:20].upper()}"


def operation_id(milliseconds: int) -> str:
    """Return a new id of an operation begun at this time: 32 characters, a hyphen, and the time."""
    return f"{_random(20)}-{_base36(milliseconds)}"


def suffix() -> str:
    """Return what tells the HttpName of a second namespace from the first of the same name."""
    return _random(10)[:8]


def arn(region: str, account: str, kind: str, identifier: str) -> str:
    """Return the ARN of a namespace or service; `kind` is `namespace` or `service`."""
    return f"arn:aws:servicediscovery:{region}:{account}:{kind}/{identifier}"


def plain_id(field: str, value: str, kind: str, account: str) -> str | None:
    """Return the id that an id or ARN names, or None for an ARN of another account.

    The Region of an ARN is not compared: one registry answers for every Region, with that of the request in its ARNs.
    Raises CloudMapError for an ARN that is none, or of another kind.
    """
    if not value.startswith("arn:"):
        return value
    found = _ARN.fullmatch(value)
    if not found or found["kind"] != kind:
        raise invalid(field, value, f"an id or arn:aws:servicediscovery:REGION:ACCOUNT:{kind}/ID is allowed")
    return found["id"] if found["account"] == account else None


def any_resource(field: str, value: str, account: str) -> str | None:
    """Return the id that the ARN of a namespace or service names, or None for one of another account."""
    found = _ARN.fullmatch(value)
    if not found:
        raise invalid(field, value, "arn:aws:servicediscovery:REGION:ACCOUNT:namespace/ID or :service/ID is allowed")
    return found["id"] if found["account"] == account else None


def _random(count: int) -> str:
    """Return random base32 in lower case: 8 characters for 5 bytes."""
    return base64.b32encode(_DRAW.randbytes(count)).decode().lower()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(8, "0")
