"""Pages of lists. A token names the last item of the page before: what comes or goes meanwhile shifts nothing."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kube_registrar.model.cloudmap.errors import CloudMapError

MOST = 100
"""Items of a page where the request names no number; also the most it may name."""

Item = TypeVar("Item")


def page(
    items: Sequence[Item], request: Mapping[str, Any], kind: str, key: Callable[[Item], str]
) -> tuple[list[Item], str | None]:
    """Return the page that `request` asks for, and the token of the next one, if there is one.

    `items` are sorted by `key`, ascending. `kind` keeps the token of one list from being used for another.
    """
    start = 0
    if "NextToken" in request:
        after = position(request["NextToken"], kind)
        while start < len(items) and key(items[start]) <= after:
            start += 1
    found = list(items[start : start + request.get("MaxResults", MOST)])
    has_more = start + len(found) < len(items)
    return found, token(kind, key(found[-1])) if has_more and found else None


def veiled(identifier: str) -> str:
    """Return a key to sort by that does not tell the id: for lists of which some items are another's.

    The last item of a page may be one that a limited key is not shown, and the token names it all the same.
    """
    return hashlib.sha256(identifier.encode()).hexdigest()


def token(kind: str, last: str) -> str:
    """Return the token for what comes after `last`."""
    return base64.urlsafe_b64encode(f"{kind}\n{last}".encode()).decode()


def position(text: str, kind: str) -> str:
    """Return the key after which a page begins. Raises CloudMapError InvalidInput for a token that is not ours."""
    try:
        found, _, last = base64.b64decode(text, altchars=b"-_", validate=True).decode().partition("\n")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        found, last = "", ""
    if found != kind or not last:
        rule = "a NextToken is valid for the operation and the resource that it was answered for only"
        raise CloudMapError("InvalidInput", f"NextToken is not valid: {rule}", field="NextToken", rule=rule)
    return last
