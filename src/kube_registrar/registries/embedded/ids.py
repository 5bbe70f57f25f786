"""Ids in Cloud Map's forms.

Sources: the API reference's examples (`ns-ylexjili4cdxy3xm`, `gv4g5meo7ndmeh4fqskygvk23d2fijwa-k9302yzd`; the end of
an operation's id is its time in milliseconds, base 36).
"""

import os
import random
import string
from functools import lru_cache

# Ids are no secrets. Asking the kernel for each would let go of the interpreter's lock, and the writer's thread would
# take it: that cost half of all time under load.
_DRAW = random.Random()  # begins with the kernel's randomness
os.register_at_fork(after_in_child=_DRAW.seed)

_DIGITS = string.digits + string.ascii_lowercase
_BASE32 = (string.ascii_lowercase + "234567").encode() * 8
"""A character for each octet; each is as likely, for there are eight octets to one."""


def namespace_id() -> str:
    """Return a new id of a registry namespace."""
    return f"ns-{_random(16)}"


def service_id() -> str:
    """Return a new id of a registry service."""
    return f"srv-{_random(16)}"


def hosted_zone_id() -> str:
    """Return a new id in the form of Route 53's hosted zones."""
    return f"Z{_random(20).upper()}"


def operation_id(milliseconds: int) -> str:
    """Return a new id of an operation begun at this time: 32 characters, a hyphen, and the time."""
    return f"{_random(32)}-{_base36(milliseconds)}"


def suffix() -> str:
    """Return what tells the HttpName of a second namespace from the first of the same name."""
    return _random(8)


def _random(count: int) -> str:
    """Return so many random characters of base32, in lower case."""
    return _DRAW.randbytes(count).translate(_BASE32).decode()


@lru_cache(maxsize=16)  # many operations begin in one millisecond
def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(8, "0")
