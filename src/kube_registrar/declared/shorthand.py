r"""Attributes as users write them: the AWS CLI's shorthand (`k=v,k2="v,with comma"`), or a JSON object of strings.

The shorthand is the AWS CLI's for a map of strings (AWS CLI user guide, "Using shorthand syntax"): a value in single
or double quotes may hold commas, and `\"` and `\\` stand for a quote and a backslash in it; without quotes a comma
is written `\,`. Lists and structures, which that syntax has too, are no attributes.
"""

import json
import re

_KEY = re.compile(r"\s*([^\s=,\"']+)\s*=\s*")
_BARE = re.compile(r"(?:\\,|[^,])*")
# Each character matches in one way only, so that an unclosed quote cannot make the search slow.
_QUOTED = {
    '"': re.compile(r'"((?:\\[\\"]|\\(?![\\"])|[^"\\])*)"\s*'),
    "'": re.compile(r"'((?:\\[\\']|\\(?![\\'])|[^'\\])*)'\s*"),
}
_EXAMPLE = 'stage=dev,note="a, b"'


class ShorthandError(ValueError):
    """Text that is neither shorthand nor JSON; says what was found and what is allowed."""


def parse(text: str) -> list[tuple[str, str]]:
    """Return keys and values in the order they are written, duplicates included. Raises ShorthandError."""
    if text.lstrip().startswith("{"):
        return _json(text)
    pairs: list[tuple[str, str]] = []
    position = 0
    while position < len(text) or not pairs:
        key = _KEY.match(text, position)
        if key is None:
            found = ascii(text[position : position + 30])
            raise ShorthandError(f"at character {position + 1}, {found} does not begin with key= as in {_EXAMPLE}")
        value, position = _value(text, key.end())
        pairs.append((key[1], value))
        if position == len(text):
            break
        position += 1  # the comma
        if not text[position:].strip():
            raise ShorthandError("a comma at the end has no attribute after it")
    return pairs


def _value(text: str, start: int) -> tuple[str, int]:
    """Return the value that begins at `start`, and where it ends: at a comma, or at the end of the text."""
    first = text[start : start + 1]
    if first in {"[", "{"}:
        raise ShorthandError(
            f"at character {start + 1}, the value is a list or structure; put it in quotes if meant so"
        )
    if first not in _QUOTED:
        bare = _BARE.match(text, start)
        assert bare is not None, "the pattern matches the empty string too"  # noqa: S101
        return bare[0].replace("\\,", ",").rstrip(), bare.end()
    quoted = _QUOTED[first].match(text, start)
    if quoted is None:
        raise ShorthandError(f"at character {start + 1}, the quote {first} is not closed")
    if text[quoted.end() : quoted.end() + 1] not in {"", ","}:
        raise ShorthandError(f"at character {quoted.end() + 1}, there must be a comma after the closing quote")
    return re.sub(r"\\([\\" + first + "])", r"\1", quoted[1]), quoted.end()


def _json(text: str) -> list[tuple[str, str]]:
    # Pairs, not a dictionary: that would keep the last of two equal keys, and nobody would be told.
    try:
        found = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        raise ShorthandError(f"it is not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested as deep
        raise ShorthandError("it is not a JSON object of strings") from error
    pairs = []
    for key, value in found:
        if not isinstance(value, str):
            kind = "an object" if isinstance(value, _Pairs) else _KINDS.get(type(value), "an array")
            raise ShorthandError(f"the JSON value of {key[:30]!a} is {kind}; every value must be a string in quotes")
        pairs.append((key, value))
    return pairs


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it is written, so that a key that occurs twice can be told."""


_KINDS = {int: "a number", float: "a number", bool: "true or false", type(None): "null"}
