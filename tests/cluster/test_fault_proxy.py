"""The fault proxy itself: kubectl works through it, and each rule does what it says."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import CommandFailed
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import (
    Answer,
    Call,
    Delay,
    Hide,
    LoseReply,
    Reset,
    continued,
    everything,
    gets,
    lists,
    watches,
    writes,
)
from kube_registrar.testing.waiting import wait_until

MakePods = Callable[..., list[str]]


@pytest.fixture
def kubectl(control_plane: ControlPlane, proxy: FaultProxy, kube_namespace: str, tmp_path: Path) -> Callable[..., str]:
    kubeconfig = proxy.write_kubeconfig(tmp_path / "proxy.yaml")
    return lambda *arguments: control_plane.kubectl(f"--namespace={kube_namespace}", *arguments, kubeconfig=kubeconfig)


def get(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_what_nothing_is_done_to_passes_through(kubectl: Callable[..., str], make_pods: MakePods) -> None:
    make_pods("web-0", "web-1")
    assert kubectl("get", "pods", "--output=name").split() == ["pod/web-0", "pod/web-1"]
    kubectl("annotate", "pod", "web-0", "a=b")
    assert kubectl("get", "pod", "web-0", "--output=jsonpath={.metadata.annotations.a}") == "b"


def test_hidden_objects_are_in_no_list_but_can_be_read(
    control_plane: ControlPlane, proxy: FaultProxy, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("web-0", "web-1")
    path = f"/api/v1/namespaces/{kube_namespace}/pods"
    with proxy.rule(Hide(lists("pods"), hidden=lambda pod: pod["metadata"]["name"] == "web-0")):
        listed = get(f"{proxy.url}{path}", control_plane.token)
        assert [pod["metadata"]["name"] for pod in listed["items"]] == ["web-1"]
        assert get(f"{proxy.url}{path}/web-0", control_plane.token)["metadata"]["name"] == "web-0"
    assert len(get(f"{proxy.url}{path}", control_plane.token)["items"]) == 2


def test_an_answer_is_given_so_many_times(proxy: FaultProxy, kubectl: Callable[..., str]) -> None:
    kubectl("get", "pods")
    proxy.add(Answer(lists("pods"), status=403, reason="Forbidden", message="made up", times=1))
    with pytest.raises(CommandFailed, match="made up"):
        kubectl("get", "pods")
    kubectl("get", "pods")


def test_a_write_can_be_done_and_its_reply_lost(
    control_plane: ControlPlane, proxy: FaultProxy, kubectl: Callable[..., str], kube_namespace: str
) -> None:
    proxy.add(LoseReply(writes("configmaps"), times=1))
    with pytest.raises(CommandFailed, match=r"EOF|reset"):
        kubectl("create", "configmap", "one")
    assert control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/configmaps/one")


def test_while_it_is_down_nobody_listens_and_then_it_is_at_the_same_address(
    control_plane: ControlPlane, proxy: FaultProxy
) -> None:
    url = proxy.url
    with proxy.down(), pytest.raises(urllib.error.URLError, match="refused"):
        get(f"{url}/version", control_plane.token)
    assert get(f"{url}/version", control_plane.token)["gitVersion"]
    assert proxy.url == url


def test_a_reset_and_a_delay(control_plane: ControlPlane, proxy: FaultProxy) -> None:
    proxy.add(Reset(everything, times=1))
    with pytest.raises((OSError, urllib.error.URLError)):
        get(f"{proxy.url}/version", control_plane.token)
    proxy.add(Delay(everything, seconds=0.3, times=1))
    begun = time.monotonic()
    get(f"{proxy.url}/version", control_plane.token)
    assert time.monotonic() - begun >= 0.3


def test_nothing_of_it_runs_after_its_end(control_plane: ControlPlane) -> None:
    with FaultProxy.before(control_plane) as proxy:
        url = proxy.url
        watch = urllib.request.Request(
            f"{url}/api/v1/pods?watch=1", headers={"Authorization": f"Bearer {control_plane.token}"}
        )
        answer = urllib.request.urlopen(watch, timeout=30)
        wait_until(lambda: proxy.open_watches("pods") == 1, "the watch")
    with answer, pytest.raises((OSError, http.client.HTTPException)):
        answer.read()
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/version", control_plane.token)


@pytest.mark.parametrize(
    ("verb", "path", "query", "plural", "name"),
    [
        ("GET", "/api/v1/pods", {}, "pods", ""),
        ("GET", "/api/v1/namespaces/shop/pods", {}, "pods", ""),
        ("GET", "/api/v1/namespaces/shop/pods/web", {}, "pods", "web"),
        ("GET", "/api/v1/namespaces/shop/pods/web/status", {}, "pods", "web"),
        ("GET", "/api/v1/namespaces", {}, "namespaces", ""),
        ("GET", "/api/v1/namespaces/shop", {}, "namespaces", "shop"),
        ("PUT", "/api/v1/namespaces/shop/finalize", {}, "namespaces", "shop"),
        ("GET", "/apis/kube-registrar.dev/v1alpha1/registrynamespaces/n", {}, "registrynamespaces", "n"),
        ("GET", "/apis/kube-registrar.dev/v1alpha1/namespaces/shop/registryservices", {}, "registryservices", ""),
        ("GET", "/version", {}, "", ""),
    ],
)
def test_a_call_is_understood(verb: str, path: str, query: dict[str, str], plural: str, name: str) -> None:
    call = Call(verb, path, query)
    assert (call.plural, call.name) == (plural, name)


def test_matches_are_told_apart() -> None:
    page = Call("GET", "/api/v1/pods", {"limit": "500"})
    second = Call("GET", "/api/v1/pods", {"limit": "500", "continue": "t"})
    watch = Call("GET", "/api/v1/pods", {"watch": "1"})
    one = Call("GET", "/api/v1/namespaces/shop/pods/web", {})
    write = Call("PATCH", "/api/v1/namespaces/shop/pods/web", {})
    calls = [page, second, watch, one, write]
    matched = {
        kind.__name__: [call for call in calls if kind("pods")(call)]
        for kind in (lists, continued, watches, gets, writes)
    }
    assert matched == {
        "lists": [page, second],
        "continued": [second],
        "watches": [watch],
        "gets": [one],
        "writes": [write],
    }
    assert not any(lists("nodes")(call) for call in calls)


def test_a_connection_that_is_told_after_the_end_is_broken_off(control_plane: ControlPlane) -> None:
    """Else its task is pending when the loop closes, and whichever test collects that garbage fails."""
    with FaultProxy.before(control_plane) as proxy:
        told, writer = proxy._connected, Mock()
    told(Mock(), writer)
    writer.transport.abort.assert_called_once_with()
    assert not proxy._tasks
