"""What is kept of an EndpointSlice: nil conditions as Kubernetes means them, and targets that may be believed."""

import json
from typing import Any

import pytest

from kube_registrar.cluster.projection import endpoint_slices
from kube_registrar.model.records import Endpoint, Slice


def _endpoint(**fields: Any) -> Endpoint:
    manifest = {
        "metadata": {
            "namespace": "default",
            "name": "web-1",
            "uid": "u",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.7"], **fields}],
        "ports": [{"name": "http", "port": 80}, {"name": "all"}, {"port": 81}],
    }
    found = endpoint_slices(lambda *_: True).one(json.dumps(manifest).encode())
    assert isinstance(found, Slice)
    assert found.ports == (("http", 80), ("", 81))
    (one,) = found.endpoints
    return one


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, (True, True, False)),
        ({"ready": None, "serving": None, "terminating": None}, (True, True, False)),
        ({"ready": False}, (False, False, False)),
        ({"ready": True}, (True, True, False)),
        ({"ready": False, "serving": True, "terminating": True}, (False, True, True)),
        ({"serving": False}, (True, False, False)),
    ],
)
def test_absent_conditions_mean_what_kubernetes_means(
    conditions: dict[str, bool | None], expected: tuple[bool, bool, bool]
) -> None:
    one = _endpoint(conditions=conditions)
    assert (one.ready, one.serving, one.terminating) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, ("", None)),
        ({"kind": "Pod", "name": "web", "uid": "p"}, ("web", "p")),
        ({"kind": "Pod", "namespace": "default", "name": "web", "uid": "p"}, ("web", "p")),
        ({"kind": "Pod", "namespace": "other", "name": "web", "uid": "p"}, ("?", None)),
        ({"kind": "Pod", "name": "web"}, ("?", None)),
        ({"kind": "Pod", "uid": "p"}, ("?", None)),
        ({"kind": "Node", "name": "node-1", "uid": "n"}, ("", None)),
    ],
)
def test_a_target_is_a_pod_of_its_own_namespace_or_nobody(
    target: dict[str, str] | None, expected: tuple[str, str | None]
) -> None:
    one = _endpoint(targetRef=target)
    assert (one.pod, one.pod_uid) == expected
