"""A list of structures as users write it: JSON (a list, or one object), or the AWS CLI's shorthand.

The shorthand is `key=value,key=value`, a structure after another with blanks between them, as the CLI's own list
parameters are given (AWS CLI user guide, "Using shorthand syntax"). A value in quotes may hold blanks and commas, and
a value in braces is a structure of strings: `registry=test/web,attributes={stage=dev,note="a, b"}`.
Beyond what the CLI reads, blanks may stand beside a comma, for no shell splits an annotation there.
"""

import re
from collections.abc import Sequence

from kube_registrar.declared.shorthand import QUOTED, Pairs, ShorthandError, load, quoted

_KEY = re.compile(r"\s*([^\s=,\"'{}\[\]]+)=")
_BARE = re.compile(r"(?:\\,|[^,\s])*")
_BARE_IN_BRACES = re.compile(r"(?:\\,|[^,}])*")
_COMMA = re.compile(r"\s*,\s*")
_BLANKS = re.compile(r"\s*")


def parse(text: str) -> Sequence[object]:
    """Return what is listed: a Pairs for each structure, and from JSON whatever else stands there.

    Values are strings and, in braces, Pairs of strings; from JSON anything. Raises ShorthandError.
    """
    if text.lstrip().startswith(("[", "{")):
        found = load(text, "a JSON list of objects")
        return [found] if isinstance(found, Pairs) else found if isinstance(found, list) else [found]
    items: list[Pairs] = []
    position = _after_blanks(text, 0)
    while position < len(text):
        item, position = _structure(text, position)
        items.append(item)
        following = _after_blanks(text, position)
        if position == following < len(text):
            raise ShorthandError(f"at character {position + 1}, there must be a comma or a blank after the value")
        position = following
    return items


def _structure(text: str, position: int) -> tuple[Pairs, int]:
    """Return the structure that begins at `position`, and where its last value ends."""
    pairs = Pairs()
    while True:
        key, position = _key(text, position)
        value: object
        if text[position : position + 1] == "{":
            value, position = _braces(text, position)
        else:
            value, position = _string(text, position, _BARE)
        pairs.append((key, value))
        comma = _COMMA.match(text, position)
        if comma is None:
            return pairs, position
        position = comma.end()


def _braces(text: str, start: int) -> tuple[Pairs, int]:
    """Return the structure of strings in the braces that open at `start`, and where they end."""
    pairs = Pairs()
    position = _after_blanks(text, start + 1)
    while text[position : position + 1] != "}":
        if position >= len(text):
            raise ShorthandError(f"at character {start + 1}, the brace {{ is not closed")
        key, position = _key(text, position)
        value, position = _string(text, position, _BARE_IN_BRACES)
        pairs.append((key, value))
        comma = _COMMA.match(text, position)
        if comma is None and text[position : position + 1] not in {"}", ""}:
            raise ShorthandError(f"at character {position + 1}, there must be a comma or a brace after the value")
        position = comma.end() if comma else position
    return pairs, position + 1


def _key(text: str, position: int) -> tuple[str, int]:
    key = _KEY.match(text, position)
    if key is None:
        found = f"{text[position : position + 30]!a} does not begin with key=" if text[position:] else "the text ends"
        raise ShorthandError(f"at character {position + 1}, {found}")
    return key[1], key.end()


def _string(text: str, start: int, bare: re.Pattern[str]) -> tuple[str, int]:
    """Return the string that begins at `start`, and where it ends."""
    first = text[start : start + 1]
    if first in QUOTED:
        value, end = quoted(text, start)
        # `quoted` passes over blanks, which here may part one item from the next.
        return value, len(text[:end].rstrip()) if bare is _BARE else end
    if first in {"[", "{"}:
        raise ShorthandError(f"at character {start + 1}, a list or structure is no value here; put it in quotes")
    found = bare.match(text, start)
    assert found is not None, "the pattern matches the empty string too"  # noqa: S101
    return found[0].replace("\\,", ",").rstrip(), found.end()


def _after_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    assert blanks is not None, "the pattern matches the empty string too"  # noqa: S101
    return blanks.end()
