"""Whole lines, whatever pieces a stream comes in."""

import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.cluster import lines
from kube_registrar.cluster.lines import LineTooLong, split_lines


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def split(*parts: bytes) -> list[bytes]:
    return [line async for line in split_lines(pieces(*parts))]


@given(
    whole=st.lists(st.binary(min_size=1, max_size=9).filter(lambda line: b"\n" not in line)),
    cuts=st.lists(st.integers(0, 99)),
)
async def test_lines_are_the_same_however_they_are_cut(whole: list[bytes], cuts: list[int]) -> None:
    text = b"".join(line + b"\n" for line in whole)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert await split(*(text[a:b] for a, b in itertools.pairwise(edges))) == whole


async def test_what_has_no_end_is_no_line() -> None:
    assert await split(b"a\nb") == [b"a"]


async def test_empty_lines_are_passed_over() -> None:
    assert await split(b"\n\na\n\n") == [b"a"]


async def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES", 10)
    with pytest.raises(LineTooLong):
        await split(b"12345", b"67890", b"1")
