"""Attributes in the AWS CLI's shorthand and in JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.declared.shorthand import ShorthandError, parse


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("stage=dev,version=1.0.0", [("stage", "dev"), ("version", "1.0.0")]),
        ("stage = dev , version= 1", [("stage", "dev"), ("version", "1")]),
        ('k=v,k2="v,with comma"', [("k", "v"), ("k2", "v,with comma")]),
        ("k='it, too'", [("k", "it, too")]),
        (r'k="say \"hi\", \\ and \n"', [("k", r'say "hi", \ and \n')]),
        (r"k='it\'s'", [("k", "it's")]),
        (r"k=a\,b,c=d", [("k", "a,b"), ("c", "d")]),
        ("k=a=b", [("k", "a=b")]),
        ("k=,c=d", [("k", ""), ("c", "d")]),
        ("k=", [("k", "")]),
        ('k="",c=""', [("k", ""), ("c", "")]),
        ('k=say "hi"', [("k", 'say "hi"')]),
        ("k=a[0]{1}", [("k", "a[0]{1}")]),
        ("a.b#/-:c=1", [("a.b#/-:c", "1")]),
        ("k=$(metadata.labels['a/b'])", [("k", "$(metadata.labels['a/b'])")]),
        ("k=1,k=2", [("k", "1"), ("k", "2")]),
        ("a=1,\n  b=2\n", [("a", "1"), ("b", "2")]),
        ('{"stage": "dev", "a=b": ","}', [("stage", "dev"), ("a=b", ",")]),
        (' {"k": "1", "k": "2"}', [("k", "1"), ("k", "2")]),
        ("{}", []),
    ],
)
def test_what_is_written_is_what_is_read(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse(text) == pairs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at character 1, '' does not begin with key="),
        ("=v", "at character 1, '=v' does not begin with key="),
        ("stage", "does not begin with key="),
        ("a=1,,b=2", "at character 5, ',b=2' does not begin with key="),
        ("a=1, ", "a comma at the end has no attribute after it"),
        ("a=x,y", "at character 5, 'y' does not begin with key="),
        ('a="x', 'at character 3, the quote " is not closed'),
        (r'a="x\"', 'at character 3, the quote " is not closed'),
        ("a='x'y", "at character 6, there must be a comma after the closing quote"),
        ("a=[x]", "at character 3, the value is a list or structure"),
        ("a={b=c}", "at character 3, the value is a list or structure"),
        ('{"a": "b",}', "it is not JSON"),
        ('{"a": "b"} x', "it is not JSON: Extra data at character 12"),
        ('{"a": null}', "the JSON value of 'a' is null"),
        ('{"a": true}', "the JSON value of 'a' is true or false"),
        ('{"a": 1.5}', "the JSON value of 'a' is a number"),
        ('{"a": ["b"]}', "the JSON value of 'a' is an array"),
        ('{"a": {"b": "c"}}', "the JSON value of 'a' is an object"),
        ('{"a": ' * 100_000, "it is not a JSON object of strings"),
        ('{"a": ' + "1" * 5_000 + "}", "it is not a JSON object of strings"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ShorthandError) as caught:
        parse(text)
    assert words in str(caught.value)


@given(st.text() | st.text("ab=,\\\"'[]{} $()"))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        pairs = parse(text)
    except ShorthandError as error:
        told = str(error)
    else:
        told = ""
        assert {type(part) for pair in pairs for part in pair} <= {str}
    assert "\n" not in told


_KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="=,\"'{"), min_size=1)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


@given(st.lists(st.tuples(_KEYS, _VALUES), min_size=1), st.sampled_from("\"'"))
def test_quoted_values_come_back_as_they_were(pairs: list[tuple[str, str]], quote: str) -> None:
    def quoted(value: str) -> str:
        return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote

    assert parse(",".join(f"{key}={quoted(value)}" for key, value in pairs)) == pairs


@given(st.dictionaries(st.text(), st.text()))
def test_json_comes_back_as_it_was(attributes: dict[str, str]) -> None:
    assert dict(parse(json.dumps(attributes))) == attributes


def test_an_unclosed_quote_full_of_backslashes_is_refused_without_trying_every_way_to_read_it() -> None:
    with pytest.raises(ShorthandError, match="is not closed"):  # tried every way, it would never end
        parse('a="' + "\\" * 10_001)
