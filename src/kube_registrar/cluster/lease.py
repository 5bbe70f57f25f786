"""One Lease of the API: read, made, written over what was read, and watched.

Source: Kubernetes documentation, "Leases"; client-go's `resourcelock.LeaseLock`, for what stands in which field.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import msgspec

from kube_registrar.cluster.errors import ApiError, ApiNotFound, error_of, status_of
from kube_registrar.cluster.session import Session

GROUP, PLURAL = "coordination.k8s.io", "leases"
SILENCE_SECONDS = 30.0
"""A leader renews every few seconds; a watch that says nothing for so long may be cut."""
_WATCH_SECONDS = "300"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Lease:
    """What a Lease says. Two are equal if its holder wrote nothing between; times are the holder's, RFC 3339."""

    holder: str
    """Empty: it was released."""
    seconds: int
    acquired: str
    renewed: str
    transitions: int
    body: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The whole object: where to write on from, and what others put into it."""


class LeaseStore(Protocol):
    """One Lease, wherever it is kept. Everything raises ApiError."""

    async def read(self) -> Lease | None:
        """Return it as it is now; None if there is none."""

    async def write(self, lease: Lease) -> Lease:
        """Make it, or write over what `lease.body` says was read; ApiConflict if somebody else was faster."""

    def watch(self) -> AsyncGenerator[Lease | None]:
        """Yield it as it is, and after each change, until the API server ends that; None when it is gone."""


class ApiLease:
    """A `LeaseStore` at the API server."""

    def __init__(self, session: Session, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._session = session
        self._leases = f"/apis/{GROUP}/v1/namespaces/{namespace}/{PLURAL}"
        self._path = f"{self._leases}/{name}"

    def __str__(self) -> str:
        return f"Lease {self.namespace}/{self.name}"

    async def read(self) -> Lease | None:
        """Return it as it is now; None if there is none."""
        try:
            return _lease(await self._session.get(self._path), self._path)
        except ApiNotFound:
            return None

    async def write(self, lease: Lease) -> Lease:
        """Make it, or write over what was read. What others put into it stays."""
        spec = {
            **lease.body.get("spec", {}),
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": lease.seconds,
            "acquireTime": lease.acquired,
            "renewTime": lease.renewed,
            "leaseTransitions": lease.transitions,
        }
        metadata = {"name": self.name, "namespace": self.namespace, **lease.body.get("metadata", {})}
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        if lease.body:
            return _lease(await self._session.put(self._path, body), self._path)
        return _lease(await self._session.post(self._leases, body), self._path)

    async def watch(self) -> AsyncGenerator[Lease | None]:
        """Yield it as it is, and after each change."""
        params = {"watch": "1", "fieldSelector": f"metadata.name={self.name}", "timeoutSeconds": _WATCH_SECONDS}
        async with self._session.stream(self._leases, params, silence=SILENCE_SECONDS) as lines:
            async for line in lines:
                event = _decoded(line, self._path)
                if event.get("type") == "ERROR":
                    status = status_of(msgspec.json.encode(event.get("object")))
                    raise error_of(f"GET {self._leases}", status.code or HTTPStatus.INTERNAL_SERVER_ERROR, status)
                yield None if event.get("type") == "DELETED" else _of(event.get("object"), self._path)


def own_namespace(path: Path = _NAMESPACE_FILE) -> str:
    """Return the Kubernetes namespace of the pod that this process is in; `default` outside of one."""
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "default"
    return found if _LABEL.fullmatch(found) else "default"


def micro_time(moment: float) -> str:
    """Return seconds since 1970 as a MicroTime of the API."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(body: bytes, path: str) -> Lease:
    return _of(_decoded(body, path), path)


def _decoded(body: bytes, path: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(f"GET {path}: not a Lease: {error}") from None


def _of(body: Any, path: str) -> Lease:
    """Read a Lease. All fields of its spec are optional: what is not there, its holder did not write."""
    try:
        spec = body.get("spec") or {}
        return Lease(
            holder=str(spec.get("holderIdentity") or ""),
            seconds=int(spec.get("leaseDurationSeconds") or 0),
            acquired=str(spec.get("acquireTime") or ""),
            renewed=str(spec.get("renewTime") or ""),
            transitions=int(spec.get("leaseTransitions") or 0),
            body={"metadata": dict(body["metadata"]), "spec": dict(spec)},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ApiError(f"GET {path}: not a Lease") from None
