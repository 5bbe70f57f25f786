"""List-and-watch against a real API server, with a proxy between that makes go wrong what can."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest

from kube_registrar.cluster.errors import ApiElsewhere
from kube_registrar.cluster.resources import NAMESPACES, PODS
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.watching import Limits, Reflector, Watch
from kube_registrar.model.records import BarePod, Pod
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, Drop, Freeze, Hide, Reset, continued, lists, watches
from kube_registrar.testing.watched import Heard, eventually, running

MakePods = Callable[..., list[str]]


def quick() -> Backoff:
    return Backoff(first=0.01, most=0.05, draw=random.Random(1))


async def ours() -> None:
    """Nobody else answers."""


def pods_of(
    session: Session, namespace: str, heard: Heard, *, vouch: Callable[[], Awaitable[None]] = ours, **limits: Any
) -> Reflector[Pod | BarePod]:
    return Reflector(
        session,
        PODS,
        heard,
        namespace=namespace,
        keep=lambda record: isinstance(record, Pod),
        limits=Limits(**limits),
        backoff=quick(),
        vouch=vouch,
    )


def delete(plane: ControlPlane, namespace: str, *names: str) -> None:
    for name in names:
        plane.api.delete(f"/api/v1/namespaces/{namespace}/pods/{name}")


async def test_all_pages_are_told_before_it_is_synced(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    made = make_pods(*(f"web-{number}" for number in range(7)))
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard, page_size=3)
    async with running(reflector.run):
        await eventually(lambda: reflector.has_synced, "the first list")
    assert heard.log[:8] == [*(("applied", name) for name in made), ("synced", "")]
    assert [call.query.get("limit") for call in proxy.calls if lists("pods")(call)] == ["3", "3", "3"]
    assert all("resourceVersion" not in call.query for call in proxy.calls if lists("pods")(call))
    assert reflector.kept == 7


async def test_what_is_read_beside_a_watch_of_all_namespaces_is_told_page_by_page_and_once(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    made = make_pods(*(f"web-{number}" for number in range(7)))
    heard = Heard()
    reflector = pods_of(session, "", heard, page_size=3)
    await reflector.fetch(kube_namespace, {})
    assert heard.log == [("applied", name) for name in made]
    assert {call.path for call in proxy.calls if lists("pods")(call)} == {f"/api/v1/namespaces/{kube_namespace}/pods"}


async def test_changes_and_deletions_are_heard_as_they_happen(
    control_plane: ControlPlane, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: reflector.counters.watches, "the watch")
        make_pods("web")
        await eventually(lambda: "web" in heard.there, "the new pod")
        patch = {"metadata": {"annotations": {"kube-registrar.dev/attributes": "stage=dev"}}}
        control_plane.api.patch(f"/api/v1/namespaces/{kube_namespace}/pods/web", patch)
        await eventually(lambda: heard.there["web"].annotations.get("attributes") == "stage=dev", "the change")
        delete(control_plane, kube_namespace, "web")
        await eventually(lambda: heard.names("deleted") == ["web"], "the deletion")
    assert reflector.kept == 0
    assert reflector.counters.lists == 1
    assert heard.names("missing") == []


async def test_only_what_is_kept_costs_memory_and_a_pod_that_loses_its_annotations_is_forgotten(
    control_plane: ControlPlane, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("ours")
    make_pods("other", annotated=False)
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: reflector.has_synced, "the first list")
        assert reflector.kept == 1
        assert isinstance(heard.there["other"], BarePod)
        patch = {"metadata": {"annotations": {"kube-registrar.dev/service": None}}}
        control_plane.api.patch(f"/api/v1/namespaces/{kube_namespace}/pods/ours", patch)
        await eventually(lambda: isinstance(heard.there["ours"], BarePod), "the bare pod")
        assert reflector.kept == 0


async def test_a_watch_that_ends_in_410_while_pods_vanish_leaves_none_of_them(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    made = make_pods(*(f"web-{number:03}" for number in range(200)))
    vanishing, staying = made[:40], made[40:]
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        with proxy.rule(Drop(watches("pods"), dropped=lambda event: event["type"] != "BOOKMARK")):
            delete(control_plane, kube_namespace, *vanishing)
            assert sorted(heard.there) == made
            assert proxy.expire("pods") == 1
            await eventually(lambda: heard.syncs == 2, "the second list")
    assert sorted(heard.there) == staying
    assert heard.names("missing") == vanishing
    assert heard.names("deleted") == []
    assert reflector.kept == 160
    assert reflector.counters.synthesised == 40
    assert reflector.trouble == ""


async def test_a_watch_refused_with_410_lists_anew(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web")
    proxy.add(Answer(watches("pods"), status=410, reason="Expired", times=1))
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: heard.syncs == 2 and reflector.counters.watches, "a second list and a watch")
    assert sorted(heard.there) == ["web"]


async def test_a_pod_made_anew_under_its_name_while_nobody_looked_was_deleted_for_certain(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0")
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        before = heard.there["web-0"].uid
        with proxy.rule(Freeze(watches("pods"))):
            delete(control_plane, kube_namespace, "web-0")
            make_pods("web-0")
            proxy.expire("pods")
            await eventually(lambda: heard.syncs == 2, "the second list")
    assert heard.there["web-0"].uid != before
    assert heard.log[-3:] == [("deleted", "web-0"), ("applied", "web-0"), ("synced", "")]


@pytest.mark.parametrize("inside_event", [False, True])
async def test_a_watch_that_is_cut_goes_on_where_it_was(
    *,
    inside_event: bool,
    control_plane: ControlPlane,
    proxy: FaultProxy,
    session: Session,
    kube_namespace: str,
    make_pods: MakePods,
) -> None:
    make_pods("first", "second")
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        with proxy.rule(Reset(watches("pods"))):
            assert proxy.cut("pods", inside_event=inside_event) == 1
            make_pods("third")
            delete(control_plane, kube_namespace, "first")
            await eventually(lambda: reflector.trouble, "the trouble to be noticed")
        await eventually(lambda: heard.names("deleted") == ["first"], "the deletion")
        await eventually(lambda: reflector.trouble == "", "the recovery")
    assert sorted(heard.there) == ["second", "third"]
    assert heard.syncs == 1, "no list was needed"


async def test_a_list_whose_next_page_expires_begins_anew_and_deletes_nothing(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    made = make_pods(*(f"web-{number}" for number in range(5)))
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard, page_size=2)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        proxy.add(Answer(continued("pods"), status=410, reason="Expired", times=2))
        proxy.expire("pods")
        await eventually(lambda: heard.syncs == 2, "the second list")
    assert sorted(heard.there) == made
    assert heard.names("missing") == []
    assert heard.names("deleted") == []
    firsts = [call for call in proxy.calls if lists("pods")(call) and "continue" not in call.query]
    assert len(firsts) == 4, "once at the start, three times after the 410"


async def test_lists_that_fail_are_tried_again_and_said_once(
    proxy: FaultProxy,
    session: Session,
    kube_namespace: str,
    make_pods: MakePods,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_pods("web")
    proxy.add(Answer(lists("pods"), status=500, message="etcd is away", times=3))
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    with caplog.at_level("INFO", logger="kube_registrar.cluster"):
        async with running(reflector.run):
            await eventually(lambda: reflector.has_synced, "the list")
    path = f"/api/v1/namespaces/{kube_namespace}/pods"
    assert [record.message for record in caplog.records] == [
        f"cannot list pods in namespace {kube_namespace} (GET {path}: etcd is away); it is tried again by itself",
        f"GET {path}: all is well again",
    ]
    assert reflector.counters.errors == 3


async def test_a_missing_right_is_named(
    proxy: FaultProxy, session: Session, kube_namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.add(Answer(watches("pods"), status=403, reason="Forbidden", message="no", times=1))
    reflector = pods_of(session, kube_namespace, Heard())
    async with running(reflector.run):
        await eventually(lambda: reflector.counters.watches, "the watch")
    assert caplog.messages[0] == (
        f"not allowed to watch pods in namespace {kube_namespace}: grant the verb 'watch' on pods "
        f"(GET /api/v1/namespaces/{kube_namespace}/pods: no); it is tried again by itself"
    )
    assert reflector.counters.lists == 1


async def test_a_missing_right_is_named_though_another_trouble_was_said_before(
    proxy: FaultProxy, session: Session, kube_namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.add(Answer(lists("pods"), status=500, message="etcd is away", times=2))
    proxy.add(Answer(lists("pods"), status=403, reason="Forbidden", message="no", times=2))
    reflector = pods_of(session, kube_namespace, Heard())
    async with running(reflector.run):
        await eventually(lambda: reflector.counters.watches, "the watch")
    assert [message.split(" (")[0] for message in caplog.messages] == [
        f"cannot list pods in namespace {kube_namespace}",
        f"not allowed to list pods in namespace {kube_namespace}: grant the verb 'list' on pods",
    ]


async def test_a_watch_that_keeps_failing_is_listed_anew(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web")
    proxy.add(Answer(watches("pods"), status=500, times=5))
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: reflector.counters.watches, "the watch")
    assert reflector.counters.lists == 3, "after the 2nd and the 4th failure"


async def test_an_error_inside_a_watch_that_is_no_410_goes_on_where_it_was(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        proxy.fail("pods", {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is away"})
        await eventually(lambda: "etcd is away" in reflector.trouble, "the trouble")
        make_pods("web")
        await eventually(lambda: "web" in heard.there, "the new pod")
        assert reflector.trouble == ""
    assert reflector.counters.lists == 1


async def test_a_watch_that_is_silent_is_cut_and_made_anew_and_listed_anew_if_that_does_not_help(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web")
    heard = Heard()
    frozen = proxy.add(Freeze(watches("pods")))
    reflector = pods_of(session, kube_namespace, heard, silence_seconds=0.2)
    async with running(reflector.run):
        await eventually(lambda: reflector.has_synced, "the first list")
        delete(control_plane, kube_namespace, "web")
        await eventually(lambda: heard.names("missing") == ["web"], "a list that shows the deletion")
        assert reflector.counters.watches >= 2
        proxy.remove(frozen)
        make_pods("next")
        await eventually(lambda: "next" in heard.there, "the watch to be heard again")


async def test_an_api_server_that_is_away_for_a_while_is_found_again(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1")
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: reflector.counters.watches, "the watch")
        with proxy.down():
            delete(control_plane, kube_namespace, "web-0")
            await eventually(lambda: "cannot be reached" in reflector.trouble, "the trouble")
        await eventually(lambda: heard.names("deleted") == ["web-0"], "the deletion")
    assert sorted(heard.there) == ["web-1"]


class OtherCluster:
    """Whether another cluster answers."""

    def __init__(self) -> None:
        self.answers = False
        self.asked = 0

    async def vouch(self) -> None:
        """Raise while it does."""
        self.asked += 1
        if self.answers:
            raise ApiElsewhere("another cluster answers")


async def test_a_list_of_another_cluster_tells_nothing(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1", "web-2")
    heard, other = Heard(), OtherCluster()
    reflector = pods_of(session, kube_namespace, heard, vouch=other.vouch)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        await eventually(lambda: other.asked == 2, "who answers it")  # a watch in which nobody trusts is given up
        told = list(heard.log)
        other.answers, asked = True, other.asked
        with proxy.rule(Drop(watches("pods"), dropped=lambda event: event["type"] != "BOOKMARK")):
            delete(control_plane, kube_namespace, "web-0", "web-1")
            make_pods("web-1")
            assert proxy.expire("pods") == 1
            await eventually(lambda: other.asked >= asked + 3, "tries")
        assert heard.log == told
        assert "another cluster answers" in reflector.trouble
        other.answers = False
        await eventually(lambda: heard.syncs == 2, "the second list")
    assert (heard.names("missing"), heard.names("deleted"), sorted(heard.there)) == (
        ["web-0"],
        ["web-1"],
        ["web-1", "web-2"],
    )


async def test_what_misses_from_a_list_is_told_only_once_our_cluster_answered_after_it(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1")
    heard, other = Heard(), OtherCluster()

    async def vouch() -> None:
        listed = sum(lists("pods")(call) for call in proxy.calls)
        other.answers = listed == 2  # it came between the list and what its absences are worth
        await other.vouch()

    reflector = pods_of(session, kube_namespace, heard, vouch=vouch)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        proxy.add(Hide(lists("pods"), hidden=lambda pod: pod["metadata"]["name"] == "web-0", times=1))
        proxy.expire("pods")
        await eventually(lambda: reflector.trouble, "the list that does not count")
    assert heard.names("missing") == []


async def test_a_watch_of_another_cluster_tells_nothing(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1")
    heard, other = Heard(), OtherCluster()
    reflector = pods_of(session, kube_namespace, heard, vouch=other.vouch)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        await eventually(lambda: other.asked == 2, "who answers it")
        told = list(heard.log)
        other.answers, asked = True, other.asked
        proxy.cut("pods")
        delete(control_plane, kube_namespace, "web-0")
        await eventually(lambda: other.asked >= asked + 2, "tries")
        assert heard.log == told
        other.answers = False
        await eventually(lambda: "web-0" not in heard.there, "the deletion")
    assert (heard.names("deleted"), heard.syncs) == (["web-0"], 1)


async def test_objects_that_a_list_hides_are_told_as_missing_never_as_seen(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1")
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        proxy.add(Hide(lists("pods"), hidden=lambda pod: pod["metadata"]["name"] == "web-0"))
        proxy.expire("pods")
        await eventually(lambda: heard.syncs == 2, "the second list")
    assert heard.names("missing") == ["web-0"]


async def test_several_namespaces_feed_one_listener_that_is_synced_when_all_are(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    other = f"{kube_namespace}-b"
    control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": other}})
    make_pods("web-a")
    make_pods("web-b", namespace=other)
    hold = proxy.add(Answer(lambda call: lists("pods")(call) and other in call.path, status=500))
    heard = Heard()
    watch = Watch(session, PODS, heard, [kube_namespace, other])
    async with running(watch.run):
        await eventually(lambda: watch.reflectors[0].has_synced, "the first namespace")
        assert (heard.syncs, watch.has_synced) == (0, False)
        proxy.remove(hold)
        await eventually(lambda: watch.has_synced, "the second namespace")
        assert heard.syncs == 1
        assert sorted(heard.there) == ["web-a", "web-b"]
        assert watch.counters.lists == 2
    control_plane.api.delete(f"/api/v1/namespaces/{other}")


async def test_cluster_scoped_kinds_are_watched_whole(session: Session, kube_namespace: str) -> None:
    heard = Heard()
    watch = Watch(session, NAMESPACES, heard, [kube_namespace])
    async with running(watch.run):
        await eventually(lambda: watch.has_synced, "the list")
    assert {"kube-system", kube_namespace} <= heard.there.keys()


async def test_a_listener_that_raises_hears_of_all_others(
    session: Session, kube_namespace: str, make_pods: MakePods, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Heard):
        def applied(self, record: Any) -> None:
            if record.name == "bad":
                raise ValueError("made up")
            super().applied(record)

    make_pods("bad", "good")
    heard = Clumsy()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: reflector.has_synced, "the list")
    assert sorted(heard.there) == ["good"]
    assert caplog.messages == [
        f"{kube_namespace}/bad could not be taken in; this is a mistake in kube-registrar",
    ]


async def test_a_watch_that_is_cut_tells_nothing_twice(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    heard = Heard()
    reflector = pods_of(session, kube_namespace, heard)
    async with running(reflector.run):
        await eventually(lambda: proxy.open_watches("pods") == 1, "the watch")
        make_pods("before")
        await eventually(lambda: "before" in heard.there, "the first pod")
        proxy.cut("pods")
        make_pods("after")
        await eventually(lambda: "after" in heard.there, "the second pod")
    pod = control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods/before")
    versions = [call.query["resourceVersion"] for call in proxy.calls if watches("pods")(call)]
    assert versions[1:] == [pod["metadata"]["resourceVersion"]]
    assert [name for said, name in heard.log if said == "applied"] == ["before", "after"]


class Scripted:
    """In place of a session: lists and watches with what a real API server never sends."""

    def __init__(self, *lists: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
        self.clock = SystemClock()
        self._lists = [json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode() for items in lists]
        self._lines = [json.dumps(line).encode() for line in lines]

    async def get(self, path: str, params: Any, *, seconds: float) -> bytes:
        return self._lists.pop(0)

    @asynccontextmanager
    async def stream(self, path: str, params: Any, *, silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        async def lines() -> AsyncIterator[bytes]:
            while self._lines:
                yield self._lines.pop(0)
            await asyncio.Event().wait()

        yield lines()


def manifest(name: str, **metadata: Any) -> dict[str, Any]:
    annotations = {"kube-registrar.dev/service": "shop/web"}
    return {"metadata": {"name": name, "namespace": "shop", "uid": name, "annotations": annotations, **metadata}}


async def test_an_object_that_cannot_be_read_is_not_taken_for_gone_and_hurts_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unreadable = manifest("web", labels={"a": 1})
    session = Scripted(
        [manifest("web"), manifest("other")],
        [unreadable],
        lines=[
            {"type": "MODIFIED", "object": unreadable},
            {"type": "MODIFIED", "object": manifest("next", resourceVersion="2")},
            {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}},
        ],
    )
    heard = Heard()
    reflector = pods_of(session, "shop", heard)  # type: ignore[arg-type]
    async with running(reflector.run):
        await eventually(lambda: heard.syncs == 2, "the second list")
    assert sorted(heard.there) == ["web"]
    assert heard.names("missing") == ["next", "other"]
    assert reflector.counters.unreadable == 2
    assert "shop/web" in caplog.text


async def test_a_mistake_of_ours_makes_no_watch_deaf(caplog: pytest.LogCaptureFixture) -> None:
    session = Scripted([manifest("web")], lines=[])
    session.get = Mock(side_effect=[RuntimeError("made up"), session.get("", None, seconds=1.0)])  # type: ignore[method-assign]
    heard = Heard()
    reflector = pods_of(session, "shop", heard)  # type: ignore[arg-type]
    async with running(reflector.run):
        await eventually(lambda: heard.syncs == 1, "the list")
    assert sorted(heard.there) == ["web"]
    assert "this is a mistake in kube-registrar" in caplog.text
