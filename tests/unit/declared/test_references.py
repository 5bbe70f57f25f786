"""The grammar of service references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.declared.references import (
    MAX_REFERENCES,
    ArnReference,
    LocalReference,
    NameReference,
    Reference,
    read_references,
)

ARN = "arn:aws:servicediscovery:eu-west-1:000000000000:service/srv-abcd1234"


def _named(text: str, service: str, *readings: tuple[str, str]) -> NameReference:
    return NameReference(text, readings, service)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("test-namespace/flask-app", _named("test-namespace/flask-app", "flask-app", ("", "test-namespace"))),
        ("example.com/_http._tcp", _named("example.com/_http._tcp", "_http._tcp", ("", "example.com"))),
        ("a/b/c", _named("a/b/c", "c", ("", "a/b"))),
        ("/a/b", _named("/a/b", "b", ("", "/a"))),
        ("edge:a/b", _named("edge:a/b", "b", ("edge", "a"), ("", "edge:a"))),
        ("edge:a/b/c", _named("edge:a/b/c", "c", ("edge", "a/b"), ("", "edge:a/b"))),
        ("edge:a:b/c", _named("edge:a:b/c", "c", ("edge", "a:b"), ("", "edge:a:b"))),
        ("Edge:a/b", _named("Edge:a/b", "b", ("", "Edge:a"))),
        ("a/b:c/d", _named("a/b:c/d", "d", ("", "a/b:c"))),
        (":a/b", _named(":a/b", "b", ("", ":a"))),
        ("edge:/b", _named("edge:/b", "b", ("", "edge:"))),
        ("flask-app", LocalReference("flask-app")),
        ("flask.app", LocalReference("flask.app")),
        (ARN, ArnReference(ARN)),
        (ARN.replace("aws", "aws-us-gov"), ArnReference(ARN.replace("aws", "aws-us-gov"))),
    ],
)
def test_each_form_has_one_meaning(text: str, reference: Reference) -> None:
    assert read_references(text) == ((reference,), ())
    assert read_references(f"  {text}\n") == ((reference,), ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "/",
        "a/",
        "/a",
        "a b/c",
        "a/b c",
        "a/b:c",
        "a/-b",
        "a/b-",
        "a/.b",
        "a/b..c",
        "ä/b",
        "a/ä",
        "A",
        "a_b",
        "-a",
        "a:b",
        "a/" + "x" * 128,
        "x" * 1025 + "/a",
        "x" * 254,
        "arn:aws:s3:::bucket",
        "arn:aws:servicediscovery:eu-west-1:1:service/srv-a",
        ARN + "/x",
    ],
)
def test_what_has_no_meaning_is_told(text: str) -> None:
    references, problems = read_references(text)
    assert references == ()
    assert {one.reason for one in problems} == {"MalformedAnnotation"}


def test_the_good_ones_of_a_list_are_read_and_repeats_are_one() -> None:
    references, problems = read_references(f"a/b, //, x, a/b, {ARN}")
    assert [one.text for one in references] == ["a/b", "x", ARN]
    assert len(problems) == 1


def test_a_list_has_an_end() -> None:
    assert len(read_references(",".join(f"a/s{n}" for n in range(MAX_REFERENCES)))[0]) == MAX_REFERENCES
    references, problems = read_references(",".join(f"a/s{n}" for n in range(MAX_REFERENCES + 1)))
    assert (references, len(problems)) == ((), 1)


@given(st.text())
def test_no_text_raises_anything(text: str) -> None:
    references, problems = read_references(text)
    assert references or problems
    assert all(one.message.isascii() and "\n" not in one.message for one in problems)


_NAMES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",:"), min_size=1, max_size=40
)
_SERVICES = st.from_regex(r"[A-Za-z0-9_]{1,20}(\.[A-Za-z0-9_]{1,20})?", fullmatch=True)


@given(_NAMES, _SERVICES)
def test_every_namespace_and_service_can_be_written(namespace: str, service: str) -> None:
    references, problems = read_references(f"{namespace}/{service}")
    assert problems == ()
    assert references == (NameReference(f"{namespace}/{service}", (("", namespace),), service),)
