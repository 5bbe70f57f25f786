"""One session to a real API server: what an answer means, and who we are to it."""

import asyncio
import json
import logging
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from kube_registrar.cluster import credentials
from kube_registrar.cluster.credentials import Credentials
from kube_registrar.cluster.errors import (
    ApiConflict,
    ApiError,
    ApiForbidden,
    ApiGone,
    ApiNotFound,
    ApiSilent,
    ApiThrottled,
    ApiUnauthorized,
    ApiUnreachable,
)
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.model.errors import UserError
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import (
    Answer,
    Delay,
    Freeze,
    LoseReply,
    Reset,
    everything,
    gets,
    watches,
    writes,
)
from kube_registrar.testing.watched import eventually

SYSTEM = "/api/v1/namespaces/kube-system"


class Logins:
    """Gives the tokens of a list, one at each login, and then the last one again and again."""

    def __init__(self, first: Credentials, *tokens: str, renew_at: float | None = None) -> None:
        self._first = first
        self._tokens = list(tokens)
        self._renew_at = renew_at
        self.count = 0

    def __call__(self) -> Credentials:
        token = self._tokens[min(self.count, len(self._tokens) - 1)]
        self.count += 1
        if token == "fails":
            raise UserError("the plugin is gone")
        renew_at = self._renew_at if self.count == 1 else None
        return replace(self._first, headers={"Authorization": f"Bearer {token}"}, renew_at=renew_at)


@pytest.fixture
def administrator(control_plane: ControlPlane) -> Credentials:
    return credentials.load(str(control_plane.kubeconfig))


async def test_it_says_who_it_is(proxy: FaultProxy, session: Session) -> None:
    assert json.loads(await session.get(SYSTEM))["metadata"]["name"] == "kube-system"
    [call] = proxy.calls
    assert call.headers["user-agent"] == f"kube-registrar/{version('kube-registrar')}"


async def test_it_verifies_the_certificate_of_the_api_server(direct: Session, administrator: Credentials) -> None:
    assert await direct.get(SYSTEM)
    assert administrator.tls is not None
    stranger = replace(administrator, tls=replace(administrator.tls, ca=None))
    async with open_session(load=lambda: stranger) as session:
        with pytest.raises(ApiUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await session.get(SYSTEM)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (Answer(everything, status=403, reason="Forbidden", message="no"), ApiForbidden, f"GET {SYSTEM}: no"),
        (Answer(everything, status=404, reason="NotFound", message="gone"), ApiNotFound, f"GET {SYSTEM}: gone"),
        (Answer(everything, status=404, reason="", message=""), ApiError, f"GET {SYSTEM}: HTTP 404"),
        (Answer(everything, status=409, reason="Conflict", message="new"), ApiConflict, f"GET {SYSTEM}: new"),
        (Answer(everything, status=410, reason="Expired", message="old"), ApiGone, f"GET {SYSTEM}: old"),
        (Answer(everything, status=500, message="etcd"), ApiError, f"GET {SYSTEM}: etcd"),
        (Answer(everything, status=302, message="", headers={"Location": "/x"}), ApiError, f"GET {SYSTEM}: HTTP 302"),
    ],
)
async def test_an_answer_is_an_error_of_its_kind(
    answer: Answer, kind: type[ApiError], message: str, proxy: FaultProxy, session: Session
) -> None:
    proxy.add(answer)
    with pytest.raises(ApiError) as error:
        await session.get(SYSTEM)
    assert type(error.value) is kind
    assert (str(error.value), error.value.status) == (message, answer.status)


async def test_a_throttled_answer_says_how_long_to_wait(proxy: FaultProxy, session: Session) -> None:
    proxy.add(Answer(everything, status=429, reason="TooManyRequests", headers={"Retry-After": "7"}, times=1))
    with pytest.raises(ApiThrottled) as error:
        await session.get(SYSTEM)
    assert error.value.after == 7.0


async def test_an_object_that_is_not_there_is_told_from_a_kind_that_is_not(direct: Session) -> None:
    with pytest.raises(ApiNotFound):
        await direct.get("/api/v1/namespaces/no-such")
    with pytest.raises(ApiError) as error:
        await direct.get("/apis/nobody.example/v1/things/x")
    assert not isinstance(error.value, ApiNotFound)
    assert error.value.status == 404


async def test_messages_are_cut_and_hold_no_token(
    proxy: FaultProxy, control_plane: ControlPlane, session: Session
) -> None:
    proxy.add(Answer(everything, status=500, message=f"bad token {control_plane.token} {'x' * 300}"))
    with pytest.raises(ApiError) as error:
        await session.get(SYSTEM)
    said = str(error.value).removeprefix(f"GET {SYSTEM}: ")
    assert said.startswith("bad token … xxx")
    assert said.endswith("x…")
    assert control_plane.token not in str(error.value)
    assert len(said) <= 256


async def test_an_answer_that_takes_too_long_is_no_answer(proxy: FaultProxy, tmp_path: Path) -> None:
    kubeconfig = proxy.write_kubeconfig(tmp_path / "proxy.yaml")
    proxy.add(Delay(everything, seconds=60))
    async with open_session(str(kubeconfig), request_seconds=0.2) as session:
        with pytest.raises(ApiUnreachable, match=f"^GET {SYSTEM}: no answer from {proxy.url} within 0.2 s$"):
            await session.get(SYSTEM)
        with pytest.raises(ApiUnreachable, match=r"no answer from .* within 0.2 s$"):
            async with session.stream("/api/v1/pods", {"watch": "1"}, silence=60.0):
                pass


async def test_nobody_listens(proxy: FaultProxy, session: Session) -> None:
    with proxy.down(), pytest.raises(ApiUnreachable, match=f"^GET {SYSTEM}: {proxy.url} cannot be reached"):
        await session.get(SYSTEM)
    assert await session.get(SYSTEM)


async def test_a_connection_that_is_reset_is_no_answer(proxy: FaultProxy, session: Session) -> None:
    proxy.add(Reset(gets("namespaces"), times=3))  # aiohttp itself tries a GET once more
    with pytest.raises(ApiUnreachable):
        await session.get(SYSTEM)


async def test_a_write_whose_answer_is_lost_was_done_and_is_not_repeated(
    proxy: FaultProxy, session: Session, control_plane: ControlPlane, kube_namespace: str
) -> None:
    proxy.add(LoseReply(writes("configmaps"), times=1))
    path = f"/api/v1/namespaces/{kube_namespace}/configmaps"
    with pytest.raises(ApiUnreachable):
        await session.post(path, {"metadata": {"name": "one"}})
    assert control_plane.api.get(f"{path}/one")["metadata"]["name"] == "one"
    with pytest.raises(ApiConflict):
        await session.post(path, {"metadata": {"name": "one"}})
    assert [call.verb for call in proxy.calls if writes("configmaps")(call)] == ["POST", "POST"]


async def test_writes_reach_the_api_server(direct: Session, kube_namespace: str) -> None:
    path = f"/api/v1/namespaces/{kube_namespace}/configmaps"
    made = json.loads(await direct.post(path, {"metadata": {"name": "one"}, "data": {"a": "1"}}))
    merged = json.loads(await direct.patch(f"{path}/one", {"data": {"b": "2"}}))
    assert merged["data"] == {"a": "1", "b": "2"}
    with pytest.raises(ApiConflict):
        await direct.put(f"{path}/one", made)
    await direct.delete(f"{path}/one")
    with pytest.raises(ApiNotFound):
        await direct.get(f"{path}/one")


async def test_a_stream_gives_lines_as_they_come(
    control_plane: ControlPlane, direct: Session, kube_namespace: str
) -> None:
    path = f"/api/v1/namespaces/{kube_namespace}/configmaps"
    async with direct.stream(path, {"watch": "1"}, silence=30.0) as lines:
        names = []
        async for line in lines:
            event = json.loads(line)
            if event["object"]["metadata"]["name"] == "kube-root-ca.crt":
                control_plane.api.post(path, {"metadata": {"name": "big"}, "data": {"x": "y" * 300_000}})
                continue
            names.append((event["type"], event["object"]["metadata"]["name"], len(event["object"]["data"]["x"])))
            break
    assert names == [("ADDED", "big", 300_000)]


async def test_a_stream_that_says_nothing_is_silent(proxy: FaultProxy, session: Session) -> None:
    proxy.add(Freeze(watches("pods")))
    async with session.stream("/api/v1/pods", {"watch": "1"}, silence=0.2) as lines:
        with pytest.raises(ApiSilent, match=r"^GET /api/v1/pods: silent for 0.2 s$"):
            await anext(lines)
    await eventually(lambda: proxy.open_watches("pods") == 0, "the connection to be closed")


async def test_a_token_that_was_rotated_is_read_again_and_the_call_done(
    administrator: Credentials, control_plane: ControlPlane
) -> None:
    logins = Logins(administrator, "expired", control_plane.token)
    async with open_session(load=logins) as session:
        await asyncio.gather(*(session.get(SYSTEM) for _ in range(5)))
        assert logins.count == 2, "once for all five"


async def test_a_stream_with_a_token_that_was_rotated(administrator: Credentials, control_plane: ControlPlane) -> None:
    async with (
        open_session(load=Logins(administrator, "expired", control_plane.token)) as session,
        session.stream("/api/v1/namespaces", {"watch": "1"}, silence=10.0) as lines,
    ):
        assert b"ADDED" in await anext(lines)


async def test_credentials_that_stay_wrong_are_an_error_after_one_more_try(administrator: Credentials) -> None:
    logins = Logins(administrator, "wrong")
    async with open_session(load=logins) as session:
        with pytest.raises(ApiUnauthorized):
            await session.get(SYSTEM)
    assert logins.count == 2


async def test_credentials_that_cannot_be_read_again_are_used_on(
    administrator: Credentials, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock(time=1_000.0)
    logins = Logins(administrator, control_plane.token, "fails", renew_at=1_100.0)
    async with open_session(load=logins, clock=clock) as session:
        await session.get(SYSTEM)
        assert logins.count == 1
        await clock.advance(100.0)
        await session.get(SYSTEM)
        assert caplog.messages == ["credentials could not be read again, those at hand are used on: the plugin is gone"]
        await session.get(SYSTEM)
        assert logins.count == 2, "not at every call"
        await clock.advance(10.0)
        await session.get(SYSTEM)
        assert logins.count == 3


async def test_credentials_are_read_again_before_they_end(
    administrator: Credentials, control_plane: ControlPlane
) -> None:
    clock = FakeClock(time=1_000.0)
    logins = Logins(administrator, "ends-soon", control_plane.token, renew_at=1_050.0)
    async with open_session(load=logins, clock=clock) as session:
        await clock.advance(50.0)
        await session.get(SYSTEM)
        assert session.credentials.authorization == f"Bearer {control_plane.token}"


async def test_another_client_gets_credentials_that_were_just_read(administrator: Credentials) -> None:
    logins = Logins(administrator, "first", "second", renew_at=0.0)
    async with open_session(load=logins) as session:
        assert session.login().authorization == "Bearer second"
        assert session.credentials.authorization == "Bearer first"


async def test_no_log_holds_a_token(
    administrator: Credentials, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with open_session(load=Logins(administrator, "expired-secret", control_plane.token)) as session:
            await session.get(SYSTEM)
    assert control_plane.token not in caplog.text
    assert "expired-secret" not in caplog.text


async def test_a_kubeconfig_that_is_no_good_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        async with open_session(str(tmp_path / "none")):
            pass


async def test_a_password_in_the_url_is_not_shown(administrator: Credentials) -> None:
    secret = replace(administrator, server="https://ada:secret@kube.example", tls=None)
    async with open_session(load=lambda: secret) as session:
        assert session.server == "https://kube.example"
