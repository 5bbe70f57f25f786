"""Heads are read as RFC 9112 has them, or left to the library: what is read is what the grammar says, and plain."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kube_registrar.server.cloudmap import heads

_GRAMMAR = re.compile(rb"POST / HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n){1,100})\r\n")
_LINES = st.sampled_from(
    [
        "Host: a",
        "host:b",
        "X-Amz-Target: c",
        "X-Amz-Date:  d  e ",
        "Content-Length: 2",
        "content-length: 002",
        "Content-Length: 99999",
        "Content-Length: +1",
        "Connection: close",
        "Connection: Keep-Alive",
        "Transfer-Encoding: chunked",
        "Expect: x",
        "!#$%: z",
    ]
).map(lambda line: f"{line}\r\n".encode())
_JUNK = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b":", b" ", b"\t", b"\0", b"\x7f", b"\xc3\xa4", b"\x85", b"x", b"(", b'"']
)
_HEADS = st.tuples(st.lists(_LINES, max_size=4), st.lists(_JUNK, max_size=2), st.lists(_LINES, max_size=4)).map(
    lambda parts: b"POST / HTTP/1.1\r\n" + b"".join(map(b"".join, parts)) + b"\r\n"
)


def _read(data: bytes) -> heads.Head | None:
    end = data.find(heads.END)
    return heads.read(data, end) if end >= 0 else None


def test_a_plain_head_is_read() -> None:
    data = b"POST / HTTP/1.1\r\nHost:a.example\r\nX-Amz-Target:  b \r\nCONTENT-LENGTH: 12\r\n\r\n{}"
    assert _read(data) == (len(data) - 2, {"host": "a.example", "x-amz-target": "b", "content-length": "12"}, 12)


@example(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nHost\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n Host: folded\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nX: a\nContent-Length: 3\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n: a\r\n\r\n")
@given(_HEADS)
def test_what_is_read_is_what_the_grammar_says(data: bytes) -> None:
    """No octet is read another way than by whoever stands before this server: nothing can be smuggled past."""
    found = _read(data)
    if found is None:
        return
    size, headers, length = found
    match = _GRAMMAR.match(data)
    assert match is not None
    lines = [line.partition(b":") for line in match[1].split(b"\r\n")[:-1]]
    assert size == match.end()
    assert headers == {name.decode().lower(): value.strip(b" ").decode() for name, _, value in lines}
    assert len(headers) == len(lines)
    assert str(length) == headers["content-length"].lstrip("0").rjust(1, "0")
    assert not headers.keys() & {"transfer-encoding", "expect", "upgrade", "content-encoding"}
    assert headers.get("connection", "keep-alive") != "close"


@pytest.mark.parametrize("count", [98, 99, 100])
def test_of_headers_there_may_be_a_hundred(count: int) -> None:
    more = b"".join(b"X-%d: y\r\n" % number for number in range(count))
    found = _read(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n" + more + b"\r\n")
    assert (found is not None) is (count < 100)


def test_a_head_is_not_waited_for_for_ever() -> None:
    assert heads.may_become(b"PO")
    assert heads.may_become(b"POST / HTTP/1.1\r\nHos")
    assert not heads.may_become(b"GET")
    assert not heads.may_become(b"POST / HTTP/1.1\r\n" + b"x" * heads.MOST_HEAD)
