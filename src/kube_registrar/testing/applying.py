"""Server-side apply of objects: no kubectl, which takes half a second of CPU a call."""

from collections.abc import Mapping
from typing import Any

from kube_registrar.testing.api import APPLY_PATCH, ApiClient
from kube_registrar.testing.errors import GroundError

MANAGER = "kube-registrar-testing"


class Applier:
    """Applies objects of every kind that the API server serves."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def apply(self, thing: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object, or make it what this says; return it. A List applies what is in it.

        Without a namespace of its own it goes to `default`. Raises GroundError where its kind is not served, ApiError
        where it is refused.
        """
        if thing["kind"] == "List":
            return {"items": [self.apply(each) for each in thing["items"]]}
        plural, is_namespaced = self._resource(thing["apiVersion"], thing["kind"])
        metadata = thing["metadata"]
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if is_namespaced else ""
        path = f"{_root(thing['apiVersion'])}{place}/{plural}/{metadata['name']}"
        return self._api.request(
            "PATCH", f"{path}?fieldManager={MANAGER}&force=true", dict(thing), content_type=APPLY_PATCH
        )

    def _resource(self, version: str, kind: str) -> tuple[str, bool]:
        if (version, kind) not in self._resources:
            for each in self._api.get(_root(version))["resources"]:
                if "/" not in each["name"]:
                    self._resources[version, each["kind"]] = (each["name"], each["namespaced"])
        try:
            return self._resources[version, kind]
        except KeyError:
            raise GroundError(f"the API server has no kind {kind} in {version}: install its definition first") from None


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
