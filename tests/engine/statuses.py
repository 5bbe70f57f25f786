"""The statuses of a ground's objects of our kinds, as an API server keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kube_registrar.cluster.errors import ApiConflict
from kube_registrar.cluster.status import StatusAsRead
from tests.engine.harness import Ground


def merged(there: Any, patch: Any) -> Any:
    """Return what a JSON merge patch makes of a value (RFC 7386): null takes a key out, and lists are replaced."""
    if not isinstance(patch, Mapping):
        return patch
    there = there if isinstance(there, Mapping) else {}
    result = {**there, **{key: merged(there.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in result.items() if value is not None}


class FakeStatuses:
    """The API server's side. What is written is told to the engine, as a watch does."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.objects = {thing.name: thing for thing in ground.cluster.objects}
        self.versions = dict.fromkeys(self.objects, 1)
        self.patches: list[tuple[str, Mapping[str, object]]] = []
        self.reads: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.between: dict[str, Mapping[str, Any]] = {}
        """What somebody else writes between a read and a write."""
        self.is_watched = True

    async def read(self, kind: str, namespace: str, name: str) -> StatusAsRead:
        self.reads.append(name)
        self._fail(name)
        found = StatusAsRead(self.objects[name].uid, str(self.versions[name]), self.objects[name].status)
        if name in self.between:
            self.write(name, self.between.pop(name))
        return found

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        status: Mapping[str, object],
        *,
        resource_version: str | None = None,
    ) -> None:
        self._fail(name)
        assert "conditions" not in status or resource_version, "a whole list is written over an unknown one"
        if resource_version not in {None, str(self.versions[name])}:
            raise ApiConflict("the object has been modified", status=409)
        self.patches.append((name, status))
        self.write(name, status)

    def write(self, name: str, status: Mapping[str, Any]) -> None:
        """Merge into a status, whoever does it."""
        self.versions[name] += 1
        self.objects[name] = replace(self.objects[name], status=merged(self.objects[name].status, status))
        if self.is_watched:
            self.ground.engine.intake.object_applied(self.objects[name])

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]

    def conditions(self, name: str) -> dict[str, tuple[str, str]]:
        """Return status and reason of each condition."""
        found: Sequence[Any] = self.objects[name].status.get("conditions", [])  # type: ignore[assignment]
        return {one["type"]: (one["status"], one["reason"]) for one in found}
