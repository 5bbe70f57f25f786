"""What botocore signs is verified, whatever headers, path and query it signs: its signer is the oracle."""

import string
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.server.access.keys import KeyRing
from kube_registrar.server.access.verifying import Verifier
from tests.server.access.signing import KEY, NOW, At, signed

VERIFIER = Verifier(KeyRing([KEY]), At(NOW))

_TOKEN = string.ascii_letters + string.digits + "-_.!#$%&'*+^`|~"
_OURS = ("x-amz-date", "x-amz-target", "x-amz-content-sha256", "x-amz-security-token", "authorization", "host", "date")
_NAMES = st.text(_TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in _OURS)
# Whitespace within counts, at both ends it does not; aiohttp has taken that off before.
_VALUES = st.text(string.ascii_letters + string.digits + " \t,;:=\"'/?~ü€", max_size=30).map(str.strip)
_SEGMENTS = st.one_of(
    st.text(max_size=8).map(lambda text: quote(text, safe="-_.~")),
    st.sampled_from(["", ".", "..", "%2F", "~", "a%20b"]),
)
_PATHS = st.lists(_SEGMENTS, max_size=6).map(lambda parts: "/" + "/".join(parts))
_WORDS = st.text(max_size=6).map(lambda text: quote(text, safe="-_.~"))
_PAIRS = st.one_of(st.tuples(_WORDS, _WORDS).map("=".join), _WORDS, st.just("a=b=c"))
_QUERIES = st.lists(_PAIRS, max_size=6).map("&".join)


@given(
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=8),
    path=_PATHS,
    query=_QUERIES,
    body=st.binary(max_size=200),
)
@settings(max_examples=400, deadline=None)
def test_whatever_botocore_signs_is_verified(
    headers: list[tuple[str, str]], path: str, query: str, body: bytes
) -> None:
    target = f"{path}?{query}" if query else path
    # botocore leaves out what proxies change; so do we, for it is then not named as signed.
    assert VERIFIER.verify(signed(body, target=target, more=headers), body, target=target) == KEY


@given(name=_NAMES, value=_VALUES, other=_VALUES)
@settings(max_examples=100, deadline=None)
def test_another_value_of_a_signed_header_does_not_pass(name: str, value: str, other: str) -> None:
    headers = signed(b"{}", more=[(name, value)])
    named = f";{name.lower()};" in headers["authorization"].replace("=", ";").replace(",", ";")
    changed = {**headers, name.lower(): other}
    if not named or " ".join(other.split()) == " ".join(headers[name.lower()].split()):
        return
    try:
        VERIFIER.verify(changed, b"{}")
    except Exception as error:  # noqa: BLE001 - told below
        assert "does not match" in str(error)  # noqa: PT017 - whichever it is
    else:
        raise AssertionError("it passed")
