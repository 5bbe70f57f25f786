"""Pods by the thousand, as large as real ones, without a kubelet: made, made Ready, touched and deleted at once.

kwok leaves them alone, so that it costs nothing while something is measured.
"""

import asyncio
import itertools
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from kube_registrar.testing.api import MERGE_PATCH, STRATEGIC_PATCH
from kube_registrar.testing.builders import pod_manifest
from kube_registrar.testing.components import BY_HAND
from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.place import OURS, Place

AT_ONCE = 48
SETTINGS = 40
"""Variables of each container: with them a pod has some 9 KB, as many real ones do."""

_WHEN = "2026-01-01T00:00:00Z"
_ORDER = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Member:
    """One pod to be made; `annotations` are whole."""

    namespace: str
    name: str
    node: str = "node-0"
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Its path at the API server."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


class Crowd:
    """Writes to one API server with many requests at a time. Each method returns when all are answered."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def make(self, members: Sequence[Member], *, large: bool = True) -> None:
        """Make Ready pods."""
        addresses = {member.name: _address(next(_ORDER)) for member in members}

        async def one(session: aiohttp.ClientSession, member: Member) -> None:
            path = member.path.rpartition("/")[0]
            await _call(session, "POST", path, _manifest(member, large=large))
            status = _status(addresses[member.name])
            await _call(session, "PATCH", f"{member.path}/status", {"status": status}, STRATEGIC_PATCH)

        self._all(members, one)

    def annotate(self, members: Sequence[Member], annotations: Callable[[Member], Mapping[str, str | None]]) -> None:
        """Set annotations, each named whole; None takes one away."""

        async def one(session: aiohttp.ClientSession, member: Member) -> None:
            await _call(session, "PATCH", member.path, {"metadata": {"annotations": dict(annotations(member))}})

        self._all(members, one)

    def set_ready(self, members: Sequence[Member], *, ready: bool, by_kubelet: bool = True) -> None:
        """Write whether they are Ready: as a kubelet does, or as Kubernetes does for a node that fell silent."""
        state = "True" if ready else "False"
        kinds = ("ContainersReady", "Ready") if by_kubelet else ("Ready",)
        conditions = [{"type": kind, "status": state} for kind in kinds]

        async def one(session: aiohttp.ClientSession, member: Member) -> None:
            body = {"status": {"conditions": conditions}}
            await _call(session, "PATCH", f"{member.path}/status", body, STRATEGIC_PATCH)

        self._all(members, one)

    def delete(self, members: Sequence[Member]) -> None:
        """Delete them for good, without a grace period."""

        async def one(session: aiohttp.ClientSession, member: Member) -> None:
            await _call(session, "DELETE", member.path, {"gracePeriodSeconds": 0})

        self._all(members, one)

    def _all(self, members: Sequence[Member], one: Callable[[aiohttp.ClientSession, Member], Awaitable[None]]) -> None:
        async def main() -> None:
            context = ssl.create_default_context(cafile=str(self._plane.ca_file))
            headers = {"Authorization": f"Bearer {self._plane.token}"}
            connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=context)
            queue = iter(members)
            async with aiohttp.ClientSession(self._plane.url, headers=headers, connector=connector) as session:

                async def work() -> None:
                    for member in queue:
                        await one(session, member)

                await asyncio.gather(*(work() for _ in range(AT_ONCE)))

        asyncio.run(main())


def declare(place: Place, services: Sequence[str], **spec: Any) -> None:
    """Apply a RegistryNamespace and RegistryServices, and wait for nothing: there may be no operator yet."""
    place.plane.api.post(f"{OURS}/registrynamespaces", place.registry_namespace_manifest())
    path = f"{OURS}/namespaces/{place.namespace}/registryservices"
    with ThreadPoolExecutor(8) as pool:
        manifests = [place.registry_service_manifest(name, **spec) for name in services]
        list(pool.map(lambda manifest: place.plane.api.post(path, manifest), manifests))


async def _call(
    session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any], kind: str = MERGE_PATCH
) -> None:
    headers = {"Content-Type": kind} if method == "PATCH" else {}
    async with session.request(method, path, json=body, headers=headers) as answer:
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
        await answer.read()


def _manifest(member: Member, *, large: bool) -> dict[str, Any]:
    annotations = {"checksum/config": "0" * 64, BY_HAND: "true", **member.annotations}
    labels = {"app.kubernetes.io/name": "web", "pod-template-hash": "7c9f8d6b5", **member.labels}
    manifest = pod_manifest(member.name, member.namespace, annotations=annotations, labels=labels, nodeName=member.node)
    if large:
        settings = [{"name": f"SETTING_{index}", "value": "x" * 40} for index in range(SETTINGS)]
        manifest["spec"]["containers"][0]["env"] = settings
    return manifest


def _status(address: str) -> dict[str, Any]:
    kinds = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled")
    container = {
        "name": "web",
        "image": "registry.k8s.io/pause:3.10",
        "imageID": "registry.k8s.io/pause@sha256:" + "0" * 64,
        "containerID": "containerd://" + "0" * 64,
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": _WHEN}},
    }
    return {
        "phase": "Running",
        "startTime": _WHEN,
        "hostIP": "10.199.0.1",
        "hostIPs": [{"ip": "10.199.0.1"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": _WHEN} for kind in kinds],
        "containerStatuses": [container],
    }


def _address(number: int) -> str:
    """Return an address that no other pod has, neither one of a Place nor one that kwok gave."""
    return f"10.{210 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
