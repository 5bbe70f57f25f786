"""Who signed it: what is right passes, and all else is refused in AWS's words."""

import hashlib
import re
from collections.abc import Callable

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.server.access.keys import AccessKey, KeyRing, Role
from kube_registrar.server.access.verifying import Verifier
from tests.server.access.signing import KEY, NOW, SECRET, At, signed

BODY = b'{"MaxResults":5}'
MISMATCH = "The request signature we calculated does not match the signature you provided."


def verifier(at: float = NOW, *keys: AccessKey) -> Verifier:
    return Verifier(KeyRing(keys or (KEY,)), At(at))


def refusal(headers: dict[str, str], body: bytes = BODY, *, at: float = NOW, target: str = "/") -> tuple[str, str]:
    with pytest.raises(CloudMapError) as caught:
        verifier(at).verify(headers, body, target=target)
    assert SECRET not in str(caught.value)
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


def without(headers: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def signed_without(name: str, **arguments: str) -> dict[str, str]:
    """Return headers of which one is not named as signed; the signature is then another's, which is looked at later."""
    headers = signed(BODY, **arguments)  # type: ignore[arg-type]
    names = re.sub(rf"(?<=[=;]){name}(;|(?=,))", "", headers["authorization"]).replace(";,", ",")
    return {**headers, "authorization": names}


def test_what_a_known_key_signed_is_that_keys() -> None:
    asked = verifier()
    for _ in range(2):  # the second time with a derived key that was kept
        assert asked.verify(signed(BODY), BODY) == KEY


def test_the_region_is_the_clients_choice() -> None:
    assert verifier().verify(signed(BODY, region="ap-southeast-2"), BODY) == KEY


def test_a_body_hash_that_is_right_may_be_sent_beside() -> None:
    more = [("X-Amz-Content-SHA256", hashlib.sha256(BODY).hexdigest())]
    assert verifier().verify(signed(BODY, more=more), BODY) == KEY


def test_nothing_signed_is_missing_a_token() -> None:
    assert refusal(without(signed(BODY), "authorization")) == (
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )


def test_an_unknown_key_is_unrecognized() -> None:
    assert refusal(signed(BODY, key=AccessKey("AKIDOTHER", SECRET, Role.ADMIN))) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_session_token_is_nothing_that_this_registry_gave() -> None:
    code, message = refusal(signed(BODY, token="FwoGZXIvYXdzEJr"))
    assert code == "UnrecognizedClientException"
    assert "AWS_SESSION_TOKEN" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: {**headers, "host": "other.example:8443"},
        lambda headers: {**headers, "x-amz-target": headers["x-amz-target"].replace("List", "Delete")},
        lambda headers: {**headers, "content-type": "text/plain"},
        lambda headers: {**headers, "authorization": headers["authorization"].replace("eu-west-1", "eu-west-2")},
        lambda headers: {**headers, "authorization": headers["authorization"][:-64] + "0" * 64},
    ],
    ids=["host", "operation", "header", "region", "signature"],
)
def test_what_was_changed_on_the_way_does_not_match(change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    code, message = refusal(change(signed(BODY)))
    assert code == "InvalidSignatureException"
    assert message.startswith(MISMATCH)


def test_another_body_path_or_query_does_not_match() -> None:
    for body, target in ((b'{"MaxResults":6}', "/"), (b"", "/"), (BODY, "/other"), (BODY, "/?a=b")):
        assert refusal(signed(BODY), body, target=target)[1].startswith(MISMATCH)


def test_a_wrong_secret_does_not_match() -> None:
    assert refusal(signed(BODY, key=AccessKey(KEY.id, SECRET + "x", Role.ADMIN)))[1].startswith(MISMATCH)


@pytest.mark.parametrize("said", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64])
def test_a_body_that_is_not_signed_is_refused(said: str) -> None:
    code, message = refusal(signed(BODY, more=[("X-Amz-Content-SHA256", said)]))
    assert code == "InvalidSignatureException"
    assert "the body must be signed" in message


@pytest.mark.parametrize("apart", [-300, -299, 0, 299, 300])
def test_clocks_may_be_five_minutes_apart(apart: float) -> None:
    assert verifier(NOW + apart).verify(signed(BODY), BODY) == KEY


def test_an_old_signature_has_expired_and_a_young_one_is_not_yet_current() -> None:
    assert refusal(signed(BODY), at=NOW + 301) == (
        "InvalidSignatureException",
        "Signature expired: 20260202T024000Z is now earlier than 20260202T024001Z (20260202T024501Z - 5 min.)",
    )
    assert refusal(signed(BODY), at=NOW - 301) == (
        "InvalidSignatureException",
        "Signature not yet current: 20260202T024000Z is still later than 20260202T023959Z (20260202T023459Z + 5 min.)",
    )


def test_a_date_that_is_none_or_of_another_day_is_refused() -> None:
    for date in ("", "today", "20260202T024000"):
        assert refusal({**signed(BODY), "x-amz-date": date})[0] == "IncompleteSignatureException"
    assert refusal(without(signed(BODY), "x-amz-date"))[0] == "IncompleteSignatureException"
    code, message = refusal({**signed(BODY), "x-amz-date": "20260203T024000Z"}, at=NOW + 86_400)
    assert (code, message[:24]) == ("InvalidSignatureException", "Date in Credential scope")


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
def test_what_the_answer_depends_on_must_be_signed(name: str) -> None:
    code, message = refusal(signed_without(name))
    assert code == "InvalidSignatureException"
    assert message.lower().startswith(f"'{name}'")
    assert message.endswith("must be a 'SignedHeader' in the AWS Authorization.")


def test_a_signed_header_that_is_not_there_is_refused() -> None:
    assert refusal(without(signed(BODY), "content-type"))[0] == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("service", "message"),
    [("execute-api", "Credential should be scoped to correct service: 'servicediscovery'.")],
)
def test_a_signature_for_another_service_is_refused(service: str, message: str) -> None:
    assert refusal(signed(BODY, service=service)) == ("InvalidSignatureException", message)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 ", "Bearer ", "IncompleteSignatureException"),
        ("SignedHeaders=", "Headers=", "IncompleteSignatureException"),
        ("/aws4_request", "", "IncompleteSignatureException"),
        ("/aws4_request", "/aws3_request", "InvalidSignatureException"),
        ("/eu-west-1/", "//", "InvalidSignatureException"),
        ("/eu-west-1/", "/EU/", "InvalidSignatureException"),
        ("Signature=", "Signature=x", "IncompleteSignatureException"),
        (", ", "; ", "InvalidSignatureException"),
    ],
)
def test_an_authorization_that_is_none_is_incomplete_or_invalid(old: str, new: str, code: str) -> None:
    headers = signed(BODY)
    changed = headers["authorization"].replace(old, new)
    assert changed != headers["authorization"]
    assert refusal({**headers, "authorization": changed})[0] == code


def test_no_refusal_repeats_an_authorization() -> None:
    _, message = refusal({**signed(BODY), "authorization": "Bearer a-token-of-somebody"})
    assert message == (
        "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' "
        "parameter. Authorization header requires 'Signature' parameter."
    )


def test_a_header_that_comes_twice_is_signed_as_both() -> None:
    headers = signed(BODY, more=[("X-Amz-Meta", "one"), ("X-Amz-Meta", "two")])
    assert headers["x-amz-meta"] == "one,two"
    assert verifier().verify(headers, BODY) == KEY


def test_an_exchanged_secret_holds_at_once_and_the_old_one_no_more() -> None:
    ring = KeyRing([KEY])
    asked = Verifier(ring, At(NOW))
    new = AccessKey(KEY.id, "b" * 40, Role.READ)
    asked.verify(signed(BODY), BODY)
    ring.replace([new])
    with pytest.raises(CloudMapError, match="does not match"):
        asked.verify(signed(BODY), BODY)
    assert asked.verify(signed(BODY, key=new), BODY) == new


def test_strangers_fill_nothing() -> None:
    asked = verifier()
    for number in range(50):
        headers = signed(BODY, region=f"eu-west-{number}", key=AccessKey(KEY.id, "w" * 40, Role.ADMIN))
        with pytest.raises(CloudMapError, match="does not match"):
            asked.verify(headers, BODY)
    assert asked._derived == {}


def test_a_secret_is_in_no_text_that_is_made_of_a_key() -> None:
    assert SECRET not in f"{KEY} {KEY!r} {KeyRing([KEY]).keys}"
