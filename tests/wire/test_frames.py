"""A head that is like one before is read, and verified, as if there had been none."""

from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.server.access.keys import AccessKey, KeyRing
from kube_registrar.server.access.verifying import Verifier
from kube_registrar.server.cloudmap import heads
from kube_registrar.server.cloudmap.frames import Frame, framed
from kube_registrar.server.cloudmap.heads import Head
from tests.server.access.signing import KEY, NOW, At, signed

BODY = b'{"NamespaceName":"test-namespace","ServiceName":"flask-app"}'
INVOCATION = "0f8fad5b-d9cb-469f-a165-70867728950e"
MORE = (("amz-sdk-invocation-id", INVOCATION), ("amz-sdk-request", "attempt=1"), ("User-Agent", "aws  sdk"))


def head_of(headers: Mapping[str, str], body: bytes = BODY) -> bytes:
    sent = {**headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if name != "content-length")
    return f"POST / HTTP/1.1\r\n{lines}".encode().removesuffix(b"\r\n")


def request(at: float = NOW, body: bytes = BODY, key: AccessKey = KEY, invocation: str = INVOCATION) -> bytes:
    """Return a head without its empty line, as Go and JavaScript sign it: the id and the length too."""
    more = (("amz-sdk-invocation-id", invocation), *MORE[1:], ("content-length", str(len(body))))
    return head_of(signed(body, operation="DiscoverInstances", key=key, at=at, more=more), body)


def read(head: bytes) -> Head | None:
    return heads.read(head + heads.END, len(head))


def frame_of(head: bytes) -> Frame:
    found = read(head)
    assert found is not None
    made = framed(head, found[1])
    assert made is not None
    return made


FIRST = request()
FRAME = frame_of(FIRST)
_OCTETS = st.sampled_from([bytes([one]) for one in b"\r\n: \t\0;09afAFTZz-\x7f\x80\xff"])


@example([(FIRST.index(INVOCATION.encode()), b"\r"), (FIRST.index(INVOCATION.encode()) + 1, b"\n")])
@given(st.lists(st.tuples(st.integers(0, len(FIRST) - 1), _OCTETS), min_size=1, max_size=4))
@settings(max_examples=1000, deadline=None)
def test_what_a_frame_reads_is_what_the_grammar_reads(changes: list[tuple[int, bytes]]) -> None:
    head = bytearray(FIRST)
    for place, octet in changes:
        head[place : place + 1] = octet
    found = FRAME.read(bytes(head))
    assert found is None or found == read(bytes(head))


@given(st.sampled_from(["date", "id", "length", "signature"]), st.binary(min_size=1, max_size=64))
@settings(max_examples=1000, deadline=None)
def test_nothing_is_smuggled_in_by_what_varies(which: str, octets: bytes) -> None:
    place = {
        "date": FIRST.index(b"20260202T"),
        "id": FIRST.index(INVOCATION.encode()),
        "length": FIRST.index(f": {len(BODY)}".encode()) + 2,
        "signature": FIRST.index(b"Signature=") + 10,
    }[which]
    head = FIRST[:place] + octets + FIRST[place + len(octets) :]
    found = FRAME.read(head)
    assert found is None or found == read(head)


def test_another_time_number_and_length_is_like_it() -> None:
    other = request(NOW + 7, BODY.replace(b"flask-app", b"other-service"), invocation=INVOCATION[::-1])
    assert FRAME.read(other) == read(other) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"amz-sdk-request: attempt=1", b"amz-sdk-request: attempt=2"),
        (b"DiscoverInstances", b"RegisterInstances"),
        (b"/20260202/", b"/20260203/"),
        (b"eu-west-1", b"eu-west-2"),
        (b"Signature=", b"signature="),
    ],
)
def test_what_differs_elsewhere_is_not_like_it(old: bytes, new: bytes) -> None:
    assert old in FIRST
    assert FRAME.read(FIRST.replace(old, new)) is None
    assert FRAME.read(FIRST + b"x") is None


# Verification.


def verdict(verifier: Verifier, found: Head | None, body: bytes) -> AccessKey | str:
    assert found is not None
    try:
        return verifier.verify(found[1], body)
    except CloudMapError as error:
        return f"{error.code}: {error.message}"


OTHER_SECRET = AccessKey(KEY.id, "o" * 40, KEY.role)


@given(
    at=st.integers(-400, 400),
    body=st.sampled_from([BODY, BODY.replace(b"flask", b"other"), BODY + b" "]),
    sent=st.sampled_from([BODY, BODY.replace(b"flask", b"other")]),
    key=st.sampled_from([KEY, OTHER_SECRET]),
    invocation=st.sampled_from([INVOCATION, INVOCATION[::-1]]),
    swaps=st.lists(st.tuples(st.integers(0, 63), st.sampled_from("0123456789abcdefTZ-")), max_size=1),
)
@settings(max_examples=300, deadline=None)
def test_the_verdict_is_the_same_as_without_a_frame(
    *, at: int, body: bytes, sent: bytes, key: AccessKey, invocation: str, swaps: list[tuple[int, str]]
) -> None:
    frame = frame_of(FIRST)
    known, fresh = (Verifier(KeyRing([KEY]), At(NOW)) for _ in range(2))
    assert verdict(known, frame.read(FIRST), BODY) == KEY, "from here on there is a pattern"
    head = bytearray(request(NOW + at, body, key, invocation))
    for place, character in swaps:
        first = head.index(b"Signature=") + 10 + place
        head[first : first + 1] = character.encode()
    found = frame.read(bytes(head))
    if found is not None:
        assert verdict(known, found, sent) == verdict(fresh, read(bytes(head)), sent)


@pytest.mark.parametrize("more", [(), MORE, (("X-Amz-Content-SHA256", "e" * 64),)], ids=["plain", "sdk", "hash"])
def test_each_of_many_is_verified_for_itself(more: tuple[tuple[str, str], ...]) -> None:
    first = head_of(signed(BODY, key=KEY, at=NOW, more=more))
    frame, verifier = frame_of(first), Verifier(KeyRing([KEY]), At(NOW))
    is_right = all(name != "X-Amz-Content-SHA256" for name, _ in more)
    for second in range(5):
        head = head_of(signed(BODY, key=KEY, at=NOW + second, more=more))
        assert isinstance(verdict(verifier, frame.read(head), BODY), AccessKey) is is_right
        assert "does not match" in str(verdict(verifier, frame.read(head), BODY + b" ")) or not is_right
        broken = head[:-30] + (b"0" if head[-30:-29] != b"0" else b"1") + head[-29:]
        assert frame.read(broken) is None or not isinstance(verdict(verifier, frame.read(broken), BODY), AccessKey)


def test_a_key_that_is_gone_or_exchanged_is_refused_at_once() -> None:
    ring, at = KeyRing([KEY]), At(NOW)
    frame, verifier = frame_of(FIRST), Verifier(ring, at)
    assert verdict(verifier, frame.read(FIRST), BODY) == KEY
    ring.replace([OTHER_SECRET])
    assert "does not match" in str(verdict(verifier, frame.read(FIRST), BODY))
    ring.replace([])
    assert "UnrecognizedClientException" in str(verdict(verifier, frame.read(FIRST), BODY))
    ring.replace([KEY])
    assert verdict(verifier, frame.read(FIRST), BODY) == KEY
    at.seconds += 301
    assert "Signature expired" in str(verdict(verifier, frame.read(FIRST), BODY))


def test_a_signature_that_signs_itself_has_no_pattern() -> None:
    head = FIRST.replace(b"SignedHeaders=", b"SignedHeaders=authorization;")
    frame, verifier = frame_of(head), Verifier(KeyRing([KEY]), At(NOW))
    for _ in range(2):
        assert verdict(verifier, frame.read(head), BODY) == verdict(verifier, read(head), BODY)
