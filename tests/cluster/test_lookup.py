"""Evidence: only the API server's own NotFound says that something is gone."""

from collections.abc import Callable
from typing import Any

import pytest

from kube_registrar.cluster.errors import ApiError, ApiForbidden, ApiNotFound
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.cluster.session import Session
from kube_registrar.model.records import BarePod, Pod
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, gets, lists

MakePods = Callable[..., list[str]]


async def test_a_pod_that_is_there_is_read_at_its_latest(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("ours")
    make_pods("other", annotated=False)
    lookup = Lookup(session)
    ours, other = await lookup.pod(kube_namespace, "ours"), await lookup.pod(kube_namespace, "other")
    assert isinstance(ours, Pod)
    assert ours.annotations == {"service": "shop/web"}
    assert isinstance(other, BarePod)
    assert all("resourceVersion" not in call.query for call in proxy.calls)


async def test_a_pod_that_is_not_there_is_none(session: Session, kube_namespace: str) -> None:
    assert await Lookup(session).pod(kube_namespace, "none") is None
    assert await Lookup(session).pod("no-such-namespace", "none") is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(gets("pods"), status=500), ApiError),
        (Answer(gets("pods"), status=403, reason="Forbidden"), ApiForbidden),
        (Answer(gets("pods"), status=404, reason="", message="404 page not found"), ApiError),
    ],
)
async def test_whatever_else_is_answered_is_no_evidence(
    answer: Answer, kind: type[ApiError], proxy: FaultProxy, session: Session, kube_namespace: str
) -> None:
    proxy.add(answer)
    with pytest.raises(kind) as error:
        await Lookup(session).pod(kube_namespace, "web")
    assert not isinstance(error.value, ApiNotFound)


async def test_the_identities_of_all_pods_are_read_page_by_page_and_nothing_else_of_them(
    proxy: FaultProxy, session: Session, kube_namespace: str, make_pods: MakePods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_registrar.cluster.lookup.PAGE_SIZE", 2)
    make_pods("a", "b", "c")
    make_pods("d", "e", annotated=False)
    lookup = Lookup(session)
    there = [await lookup.pod(kube_namespace, name) for name in "abcde"]
    assert await lookup.pod_uids(kube_namespace) == {pod.uid for pod in there if pod}
    lists = [call for call in proxy.calls if call.path.endswith("/pods")]
    assert len(lists) == 3
    assert all("resourceVersion" not in call.query for call in lists)
    assert await lookup.pod_uids("no-such-namespace") == frozenset()
    assert await lookup.service_uids("no-such-namespace") == frozenset()
    assert len(await lookup.service_uids("default")) == 1


@pytest.mark.parametrize(
    "answer", [Answer(lists("pods"), status=500), Answer(lists("pods"), status=403, reason="Forbidden")]
)
async def test_a_list_of_identities_that_fails_is_no_evidence(
    answer: Answer, proxy: FaultProxy, session: Session, kube_namespace: str
) -> None:
    proxy.add(answer)
    with pytest.raises(ApiError):
        await Lookup(session).pod_uids(kube_namespace)


def _placed(plane: ControlPlane, namespace: str, name: str, *ips: str, **fields: Any) -> None:
    status = {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips], **fields}
    plane.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": status})


async def test_pods_are_found_by_each_of_their_addresses_however_it_is_written(
    proxy: FaultProxy, session: Session, control_plane: ControlPlane, kube_namespace: str, make_pods: MakePods
) -> None:
    make_pods("both", "six", "ended", "none", annotated=False)
    _placed(control_plane, kube_namespace, "both", "10.200.0.1", "fd00:200::1")
    _placed(control_plane, kube_namespace, "six", "fd00:200::2", "10.200.0.2")
    _placed(control_plane, kube_namespace, "ended", "10.200.0.3", phase="Succeeded")

    pods = ["10.200.0.1", "fd00:200::1", "fd00:200:0::2", "10.200.0.2"]
    others = ["10.200.0.3", "192.0.2.1", "fd00:200::3"]
    proxy.calls.clear()
    found = await Lookup(session).namespaces_of_addresses([*pods, *others])
    assert found == dict.fromkeys(pods, kube_namespace) | dict.fromkeys(others, "")
    asked = [call for call in proxy.calls if call.path == "/api/v1/pods"]
    assert [call.query.get("resourceVersion") for call in asked] == [None]


async def test_all_pages_of_pods_are_looked_at(
    session: Session, control_plane: ControlPlane, kube_namespace: str, make_pods: MakePods, monkeypatch: Any
) -> None:
    monkeypatch.setattr("kube_registrar.cluster.lookup.PAGE_SIZE", 1)
    addresses = ["10.200.1.1", "10.200.1.2", "10.200.1.3"]
    for name, address in zip(make_pods("a", "b", "c"), addresses, strict=True):
        _placed(control_plane, kube_namespace, name, address)
    assert await Lookup(session).namespaces_of_addresses(addresses) == dict.fromkeys(addresses, kube_namespace)


async def test_a_pod_on_the_network_of_its_node_does_not_own_the_address(
    direct: Session, control_plane: ControlPlane, kube_namespace: str
) -> None:
    spec = {"hostNetwork": True, "schedulerName": "nobody", "containers": [{"name": "web", "image": "web"}]}
    body = {"metadata": {"name": "host"}, "spec": spec}
    control_plane.api.post(f"/api/v1/namespaces/{kube_namespace}/pods", body)
    _placed(control_plane, kube_namespace, "host", "10.200.0.9")
    assert await Lookup(direct).namespaces_of_addresses(["10.200.0.9"]) == {"10.200.0.9": ""}


@pytest.mark.parametrize(
    "answer", [Answer(lists("pods"), status=500), Answer(lists("pods"), status=403, reason="Forbidden")]
)
async def test_a_list_of_addresses_that_fails_is_no_answer(answer: Answer, proxy: FaultProxy, session: Session) -> None:
    proxy.add(answer)
    with pytest.raises(ApiError):
        await Lookup(session).namespaces_of_addresses(["10.200.0.1"])


async def test_an_api_server_out_of_reach_is_no_evidence(proxy: FaultProxy, session: Session) -> None:
    with proxy.down(), pytest.raises(ApiError):
        await Lookup(session).pod("default", "web")


async def test_the_cluster_is_known_by_its_kube_system_namespace(control_plane: ControlPlane, direct: Session) -> None:
    uid = control_plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert await Lookup(direct).cluster_uid() == uid


async def test_a_kubernetes_namespace_is_read_with_its_labels(direct: Session, kube_namespace: str) -> None:
    found = await Lookup(direct).namespace(kube_namespace)
    assert found is not None
    assert found.labels == {"kubernetes.io/metadata.name": kube_namespace}
    assert await Lookup(direct).namespace("no-such") is None
