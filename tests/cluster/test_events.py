"""Events as people see them on the real API server, and what the recorder does when they are too many."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kube_registrar.cluster.events import Recorder
from kube_registrar.cluster.session import Session
from kube_registrar.model.refs import ObjectRef, Uid
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, LoseReply, writes
from kube_registrar.testing.watched import eventually, running

MakePods = Callable[..., list[str]]


@pytest.fixture
def web(control_plane: ControlPlane, kube_namespace: str, make_pods: MakePods) -> ObjectRef:
    make_pods("web")
    uid = control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods/web")["metadata"]["uid"]
    return ObjectRef("v1", "Pod", kube_namespace, "web", Uid(uid))


def events(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    found = plane.api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    return [event for event in found if event["reportingController"] == "kube-registrar.dev/registrar"]


async def test_an_event_is_seen_with_kubectl_describe(
    control_plane: ControlPlane, direct: Session, web: ObjectRef
) -> None:
    recorder = Recorder(direct, instance="registrar-0")
    recorder.record(web, "Normal", "Registered", "Registered as web-1 in default:shop/web")
    async with running(recorder.run):
        await eventually(lambda: recorder.counters.posted == 1, "the event")
    described = control_plane.kubectl("describe", "pod", "web", f"--namespace={web.namespace}")
    _, _, shown = described.partition("Events:")
    [line] = [line for line in shown.splitlines() if "Registered" in line]
    assert line.split()[0] == "Normal"
    assert line.split()[1] == "Registered"
    assert line.endswith("kube-registrar.dev/registrar  Registered as web-1 in default:shop/web")
    [event] = events(control_plane, web.namespace)
    assert event["reportingInstance"] == "registrar-0"
    assert event["metadata"]["name"].startswith("web.")


async def test_the_same_is_counted_and_not_posted_anew(
    control_plane: ControlPlane, direct: Session, web: ObjectRef
) -> None:
    recorder = Recorder(direct)
    recorder.record(web, "Warning", "UnknownService", "no such service")
    await recorder.flush()
    for _ in range(4):
        recorder.record(web, "Warning", "UnknownService", "no such service")
    recorder.record(web, "Warning", "UnknownService", "another message")
    await recorder.flush()
    first, second = sorted(events(control_plane, web.namespace), key=lambda event: event["note"], reverse=True)
    assert (first["note"], first["series"]["count"]) == ("no such service", 5)
    assert (second["note"], second.get("series")) == ("another message", None)
    assert recorder.counters.posted == 3
    described = control_plane.kubectl("describe", "pod", "web", f"--namespace={web.namespace}")
    assert "(x5 over" in described


async def test_what_was_counted_before_it_could_be_posted_begins_with_its_count(
    control_plane: ControlPlane, direct: Session, web: ObjectRef
) -> None:
    recorder = Recorder(direct)
    for _ in range(3):
        recorder.record(web, "Normal", "Registered", "again")
    await recorder.flush()
    [event] = events(control_plane, web.namespace)
    assert event["series"]["count"] == 3
    assert recorder.counters.posted == 1


async def test_an_event_that_the_api_server_forgot_is_posted_anew(
    control_plane: ControlPlane, direct: Session, web: ObjectRef
) -> None:
    recorder = Recorder(direct)
    recorder.record(web, "Normal", "Registered", "again")
    await recorder.flush()
    [event] = events(control_plane, web.namespace)
    control_plane.api.delete(f"/apis/events.k8s.io/v1/namespaces/{web.namespace}/events/{event['metadata']['name']}")
    recorder.record(web, "Normal", "Registered", "again")
    await recorder.flush()
    [event] = events(control_plane, web.namespace)
    assert event["series"]["count"] == 2


async def test_a_long_message_is_cut_at_a_whole_character(
    control_plane: ControlPlane, direct: Session, web: ObjectRef
) -> None:
    recorder = Recorder(direct)
    recorder.record(web, "Normal", "Registered", "ü" * 600)
    await recorder.flush()
    [event] = events(control_plane, web.namespace)
    assert event["note"] == "ü" * 510 + "…"
    assert len(event["note"].encode()) == 1023


async def test_an_event_of_a_cluster_scoped_object_lies_in_default(
    control_plane: ControlPlane, direct: Session
) -> None:
    recorder = Recorder(direct)
    name = "registry-namespace-for-an-event"
    ref = ObjectRef("kube-registrar.dev/v1alpha1", "RegistryNamespace", "", name, Uid("u-1"))
    recorder.record(ref, "Normal", "Created", "made")
    await recorder.flush()
    [event] = [one for one in events(control_plane, "default") if one["regarding"]["name"] == name]
    assert event["regarding"] == {
        "apiVersion": "kube-registrar.dev/v1alpha1",
        "kind": "RegistryNamespace",
        "name": name,
        "uid": "u-1",
    }


async def test_names_at_their_limit_are_accepted(
    control_plane: ControlPlane, direct: Session, kube_namespace: str
) -> None:
    recorder = Recorder(direct, instance="i" * 300)
    recorder.record(ObjectRef("v1", "Pod", kube_namespace, "a." * 126 + "a", Uid("u")), "Normal", "Registered", "x")
    await recorder.flush()
    assert recorder.counters.failed == 0
    assert len(events(control_plane, kube_namespace)) == 1


async def test_a_reply_that_was_lost_makes_no_second_event(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, web: ObjectRef
) -> None:
    proxy.add(LoseReply(writes("events"), times=1))
    recorder = Recorder(session)
    recorder.record(web, "Normal", "Registered", "once")
    await recorder.flush()
    assert len(events(control_plane, web.namespace)) == 1
    assert (recorder.counters.posted, recorder.counters.failed) == (1, 0)


async def test_what_may_pass_is_tried_again_but_not_for_ever(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, web: ObjectRef
) -> None:
    recorder = Recorder(session)
    proxy.add(Answer(writes("events"), status=500, times=2))
    recorder.record(web, "Normal", "Registered", "at the third try")
    await recorder.flush()
    assert recorder.counters.posted == 1
    proxy.calls.clear()
    proxy.add(Answer(writes("events"), status=500, times=4))
    recorder.record(web, "Normal", "Registered", "never")
    await recorder.flush()
    assert recorder.counters.failed == 1
    assert len([call for call in proxy.calls if writes("events")(call)]) == 4


async def test_what_is_forbidden_is_said_once_and_stops_nothing(
    proxy: FaultProxy, session: Session, web: ObjectRef, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(session)
    proxy.add(Answer(writes("events"), status=403, reason="Forbidden", message="no right", times=3))
    async with running(recorder.run):
        for number in range(4):
            recorder.record(web, "Normal", "Registered", f"number {number}")
        await eventually(lambda: recorder.counters.posted == 1, "the fourth")
    assert recorder.counters.failed == 3
    path = f"/apis/events.k8s.io/v1/namespaces/{web.namespace}/events"
    assert caplog.messages == [
        f"event Registered on {web} could not be posted (POST {path}: no right); more of this kind are only counted"
    ]


async def test_a_namespace_that_is_being_deleted_takes_no_events_and_that_is_not_tried_again(
    control_plane: ControlPlane, proxy: FaultProxy, session: Session, kube_namespace: str
) -> None:
    path = f"/api/v1/namespaces/{kube_namespace}"
    held = {"metadata": {"name": "held", "finalizers": ["tests.example/hold"]}}
    control_plane.api.post(f"{path}/configmaps", held)
    control_plane.api.delete(path)
    await eventually(lambda: control_plane.api.get(path)["status"]["phase"] == "Terminating", "the deletion to begin")
    recorder = Recorder(session)
    recorder.record(ObjectRef("v1", "Pod", kube_namespace, "web", Uid("u")), "Normal", "Deregistered", "gone")
    await recorder.flush()
    assert recorder.counters.failed == 1
    assert len([call for call in proxy.calls if writes("events")(call)]) == 1
    control_plane.api.patch(f"{path}/configmaps/held", {"metadata": {"finalizers": None}})


class Posts:
    """In place of a session: counts what is posted, on a clock that stands still until told."""

    def __init__(self) -> None:
        self.clock = self
        self.now = 1_000.0
        self.notes: list[str] = []
        self.counts: list[int] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        self.notes.append(body["note"])
        return json.dumps(body).encode()

    async def patch(self, path: str, body: dict[str, Any]) -> bytes:
        self.counts.append(body["series"]["count"])
        return b""


def pod(number: int) -> ObjectRef:
    return ObjectRef("v1", "Pod", "shop", f"web-{number}", Uid(f"u-{number}"))


async def test_one_object_gets_a_burst_and_then_one_a_minute() -> None:
    posts = Posts()
    recorder = Recorder(posts)  # type: ignore[arg-type]
    for number in range(30):
        recorder.record(pod(0), "Normal", "Registered", f"{number}")
    recorder.record(pod(1), "Normal", "Registered", "another object")
    await recorder.flush()
    assert posts.notes == [*(f"{number}" for number in range(25)), "another object"]
    assert recorder.counters.dropped == 5
    posts.now += 60.0
    recorder.record(pod(0), "Normal", "Registered", "a minute later")
    recorder.record(pod(0), "Normal", "Registered", "too soon")
    await recorder.flush()
    assert posts.notes[-1] == "a minute later"


async def test_all_objects_together_are_limited_by_waiting() -> None:
    posts = Posts()
    recorder = Recorder(posts)  # type: ignore[arg-type]
    for number in range(140):
        recorder.record(pod(number), "Normal", "Registered", "x")
    await recorder.flush()
    assert len(posts.notes) == 140
    assert posts.now == pytest.approx(1_000.0 + 40 / 20)


async def test_when_too_many_wait_the_oldest_is_dropped_and_counted() -> None:
    posts = Posts()
    recorder = Recorder(posts, capacity=3)  # type: ignore[arg-type]
    for number in range(5):
        recorder.record(pod(number), "Normal", "Registered", f"{number}")
    await recorder.flush()
    assert posts.notes == ["2", "3", "4"]
    assert recorder.counters.dropped == 2


async def test_after_ten_minutes_of_silence_the_same_is_a_new_event() -> None:
    posts = Posts()
    recorder = Recorder(posts)  # type: ignore[arg-type]
    for pause in (0.0, 600.0, 601.0):
        posts.now += pause
        recorder.record(pod(0), "Normal", "Registered", "x")
        await recorder.flush()
    assert posts.notes == ["x", "x"]
    assert posts.counts == [2]
