"""From JSON to slim records: what is read, and what becomes of a pod."""

import gc
import json
import sys
from typing import Any

import pytest

from kube_registrar.cluster.codec import Unreadable
from kube_registrar.cluster.resources import NAMESPACES, PODS, REGISTRY_NAMESPACES, REGISTRY_SERVICES
from kube_registrar.model.records import BarePod, ContainerPort, CustomObject, KubeNamespace, Pod

OURS = {"kube-registrar.dev/service": "shop/web", "other.example/x": "y"}


def body(metadata: dict[str, Any], spec: Any = None, status: Any = None) -> bytes:
    meta = {"name": "web-0", "namespace": "shop", "uid": "u-1", "resourceVersion": "7", **metadata}
    return json.dumps({"kind": "Pod", "metadata": meta, "spec": spec or {}, "status": status or {}}).encode()


def pod(metadata: dict[str, Any] | None = None, spec: Any = None, status: Any = None) -> Pod:
    found = PODS.codec.one(body({"annotations": OURS, **(metadata or {})}, spec, status))
    assert isinstance(found, Pod)
    return found


def test_a_pod_with_an_annotation_of_ours_keeps_ours_only_without_the_prefix() -> None:
    assert pod().annotations == {"service": "shop/web"}


@pytest.mark.parametrize(
    "annotations",
    [None, {}, {"other.example/x": "y"}, {"kube-registrar.dev": "x"}, {"x.kube-registrar.dev/service": "x"}],
)
def test_a_pod_without_an_annotation_of_ours_is_bare(annotations: dict[str, str] | None) -> None:
    found = PODS.codec.one(
        body({"annotations": annotations, "deletionTimestamp": "2026-01-01T00:00:00Z"}, None, {"phase": "Running"})
    )
    assert found == BarePod("shop", "web-0", PODS.codec.one(body({})).uid, terminating=True, phase="Running")


def test_a_whole_pod_is_read() -> None:
    found = pod(
        {"labels": {"app": "web"}, "ownerReferences": [{"kind": "StatefulSet", "name": "web", "controller": True}]},
        {
            "nodeName": "node-1",
            "containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}]}],
        },
        {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "conditions": [{"type": "Ready", "status": "True"}]},
    )
    assert found == Pod(
        namespace="shop",
        name="web-0",
        uid=found.uid,
        annotations={"service": "shop/web"},
        labels={"app": "web"},
        ips=("10.0.0.1",),
        ports=(ContainerPort("web", "http", 80, "TCP"),),
        node="node-1",
        workload="StatefulSet/web",
        ready=True,
        terminating=False,
        phase="Running",
    )
    assert found.uid == "u-1"


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        (None, False),
        ([], False),
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Ready", "status": "Unknown"}], False),
        ([{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}], False),
        ([{"type": "ContainersReady", "status": "True"}], False),
    ],
)
def test_ready_is_the_condition_ready(conditions: Any, ready: bool) -> None:
    assert pod(status={"conditions": conditions}).ready is ready


@pytest.mark.parametrize(
    ("ready", "containers", "other", "is_silent"),
    [
        ("False", "True", "True", True),
        ("False", "False", "True", False),
        ("False", None, "True", False),
        ("False", "True", "False", False),
        ("False", "True", None, False),
        ("True", "True", "True", False),
    ],
)
def test_a_pod_whose_containers_and_gates_are_ready_was_not_called_unready_by_its_kubelet(
    ready: str, containers: str | None, other: str | None, is_silent: bool
) -> None:
    statuses = {"Ready": ready, "ContainersReady": containers, "example.com/other": other}
    conditions = [{"type": kind, "status": status} for kind, status in statuses.items() if status]
    spec = {"readinessGates": [{"conditionType": "example.com/other"}]}
    assert pod(spec=spec, status={"conditions": conditions}).silent is is_silent


@pytest.mark.parametrize(
    ("owners", "labels", "workload"),
    [
        (None, {}, ""),
        ([], {}, ""),
        ([("ReplicaSet", "web-abc12", True)], {"pod-template-hash": "abc12"}, "Deployment/web"),
        ([("ReplicaSet", "web-v2-abc12", True)], {"pod-template-hash": "abc12"}, "Deployment/web-v2"),
        ([("ReplicaSet", "web-abc12", True)], {}, "ReplicaSet/web-abc12"),
        ([("ReplicaSet", "web-abc12", True)], {"pod-template-hash": "bc12"}, "ReplicaSet/web-abc12"),
        ([("ReplicaSet", "web", True)], {"pod-template-hash": "abc12"}, "ReplicaSet/web"),
        ([("Job", "tick-29", True)], {}, "Job/tick-29"),
        ([("Rollout", "x", False), ("StatefulSet", "db", True)], {}, "StatefulSet/db"),
        ([("Rollout", "x", None)], {}, "Rollout/x"),
    ],
)
def test_the_workload_is_the_controller_or_the_deployment_behind_its_replica_set(
    owners: list[tuple[str, str, bool | None]] | None, labels: dict[str, str], workload: str
) -> None:
    references = None if owners is None else [{"kind": k, "name": n, "controller": c, "uid": "x"} for k, n, c in owners]
    assert pod({"ownerReferences": references, "labels": labels}).workload == workload


@pytest.mark.parametrize(
    ("status", "ips"),
    [
        ({}, ()),
        ({"podIP": "10.0.0.1"}, ("10.0.0.1",)),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, ("10.0.0.1", "fd00::1")),
        ({"podIP": "", "podIPs": [{}]}, ()),
    ],
)
def test_addresses(status: dict[str, Any], ips: tuple[str, ...]) -> None:
    assert pod(status=status).ips == ips


def test_ports_are_those_of_containers_and_then_of_init_containers_that_keep_running() -> None:
    spec = {
        "initContainers": [
            {"name": "migrate", "ports": [{"containerPort": 1}]},
            {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "envoy", "containerPort": 15001}]},
        ],
        "containers": [
            {"name": "web", "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]},
            {"name": "log"},
        ],
    }
    assert pod(spec=spec).ports == (
        ContainerPort("web", "http", 80, "TCP"),
        ContainerPort("web", "", 53, "UDP"),
        ContainerPort("proxy", "envoy", 15001, "TCP"),
    )


@pytest.mark.parametrize(("phase", "terminal"), [("Running", False), ("Succeeded", True), ("Failed", True)])
def test_a_pod_that_ran_to_its_end_is_terminal(phase: str, terminal: bool) -> None:
    assert pod(status={"phase": phase}).is_terminal is terminal


def test_a_pod_that_is_being_deleted_is_terminating() -> None:
    assert pod({"deletionTimestamp": "2026-01-01T00:00:00Z"}).terminating is True


def test_a_kubernetes_namespace_keeps_its_labels() -> None:
    found = NAMESPACES.codec.one(b'{"metadata": {"name": "shop", "uid": "u", "labels": {"team": "a"}}}')
    assert found == KubeNamespace("shop", found.uid, {"team": "a"})


def test_our_kinds_keep_spec_and_status_as_they_are_and_know_their_kind() -> None:
    raw: dict[str, Any] = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 3, "deletionTimestamp": "2026"},
        "spec": {"dns": {"records": [{"type": "A", "ttlSeconds": 60}]}},
        "status": {"id": "srv-1"},
    }
    found = REGISTRY_SERVICES.codec.one(json.dumps(raw).encode())
    assert found == CustomObject(
        "RegistryService", "shop", "web", found.uid, 3, raw["spec"], terminating=True, status={"id": "srv-1"}
    )
    bare = REGISTRY_NAMESPACES.codec.one(b'{"metadata": {"name": "n", "uid": "u"}}')
    assert bare == CustomObject("RegistryNamespace", "", "n", bare.uid, 0, {})


def test_a_page_gives_its_records_and_where_to_go_on() -> None:
    items = [json.loads(body({"name": "a"})), json.loads(body({"name": "b"}))]
    page = PODS.codec.page(json.dumps({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": items}).encode())
    assert [record.name for record in page.records] == ["a", "b"]
    assert (page.resource_version, page.token, list(page.unreadable)) == ("9", "t", [])


def test_an_empty_list_may_have_null_for_its_items() -> None:
    assert list(PODS.codec.page(b'{"metadata": {"resourceVersion": "9"}, "items": null}').records) == []


def test_one_object_that_cannot_be_read_is_named_and_hurts_no_other() -> None:
    good, bad = json.loads(body({"name": "good"})), json.loads(body({"name": "bad", "labels": {"a": 1}}))
    page = PODS.codec.page(json.dumps({"metadata": {"resourceVersion": "9"}, "items": [bad, good]}).encode())
    assert [record.name for record in page.records] == ["good"]
    assert page.unreadable == [("shop", "bad")]


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"kind": "Status"}'])
def test_what_is_no_list_is_an_error(answer: bytes) -> None:
    with pytest.raises(Unreadable, match="not a list"):
        PODS.codec.page(answer)


def test_events_are_told_apart() -> None:
    added = PODS.codec.event(b'{"type":"ADDED","object":' + body({}) + b"}")
    assert (added.type, added.resource_version, added.record and added.record.name) == ("ADDED", "7", "web-0")
    bookmark = PODS.codec.event(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}')
    assert (bookmark.type, bookmark.resource_version, bookmark.record) == ("BOOKMARK", "8", None)
    error = PODS.codec.event(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}')
    assert error.status is not None
    assert (error.status.code, error.status.reason) == (410, "Expired")
    with pytest.raises(Unreadable, match=r"shop/web-0: .*labels"):
        PODS.codec.event(b'{"type":"MODIFIED","object":' + body({"labels": {"a": 1}}) + b"}")


def test_a_record_does_not_keep_its_page_alive() -> None:
    padding = {"metadata": {"annotations": {"other.example/x": "x" * 100_000}}}
    items = [json.loads(body({"name": f"web-{number}"})) | {"padding": padding} for number in range(10)]
    page = json.dumps({"metadata": {"resourceVersion": "9"}, "items": items}).encode()
    before = sys.getrefcount(page)
    records = PODS.codec.page(page).records
    gc.collect()
    assert len(records) == 10
    assert sys.getrefcount(page) == before
