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
QUOTED = {
    '"': re.compile(r'"((?:\\[\\"]|\\(?![\\"])|[^"\\])*)"\s*'),
    "'": re.compile(r"'((?:\\[\\']|\\(?![\\'])|[^'\\])*)'\s*"),
}
_EXAMPLE = 'stage=dev,note="a, b"'


class ShorthandError(ValueError):
    """Text that is neither shorthand nor JSON; says what was found and what is allowed."""


def parse(text: str) -> list[tuple[str, str]]:
    """Return keys and values in the order they are written, duplicates included. Raises ShorthandError."""
    if text.lstrip().startswith("{"):
        found = load(text)
        assert isinstance(found, Pairs), "JSON that begins with a brace is an object"  # noqa: S101
        return _strings(found)
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
    if first not in QUOTED:
        bare = _BARE.match(text, start)
        assert bare is not None, "the pattern matches the empty string too"  # noqa: S101
        return bare[0].replace("\\,", ",").rstrip(), bare.end()
    value, end = quoted(text, start)
    if text[end : end + 1] not in {"", ","}:
        raise ShorthandError(f"at character {end + 1}, there must be a comma after the closing quote")
    return value, end


def quoted(text: str, start: int) -> tuple[str, int]:
    """Return the value in the quotes that open at `start`, and where the blanks behind them end."""
    quote = text[start]
    found = QUOTED[quote].match(text, start)
    if found is None:
        raise ShorthandError(f"at character {start + 1}, the quote {quote} is not closed")
    return re.sub(r"\\([\\" + quote + "])", r"\1", found[1]), found.end()


def load(text: str, rule: str = "a JSON object of strings") -> object:
    """Return JSON with its objects as Pairs; `rule` is what it should have been. Raises ShorthandError."""
    # Pairs, not a dictionary: that would keep the last of two equal keys, and nobody would be told.
    try:
        return json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        raise ShorthandError(f"it is not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested as deep
        raise ShorthandError(f"it is not {rule}") from error


def _strings(found: "Pairs") -> list[tuple[str, str]]:
    """Return the pairs, all of whose values must be strings. Raises ShorthandError."""
    pairs = []
    for key, value in found:
        if not isinstance(value, str):
            raise ShorthandError(
                f"the JSON value of {key[:30]!a} is {kind_of(value)}; every value must be a string in quotes"
            )
        pairs.append((key, value))
    return pairs


def kind_of(value: object) -> str:
    """Name the kind of a JSON value, for a message."""
    return "an object" if isinstance(value, Pairs) else _KINDS.get(type(value), "an array")


class Pairs(list[tuple[str, object]]):
    """A JSON object as it is written, so that a key that occurs twice can be told."""


_KINDS = {str: "a string", int: "a number", float: "a number", bool: "true or false", type(None): "null"}
