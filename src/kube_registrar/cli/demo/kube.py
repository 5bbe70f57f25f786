"""As much of a Kubernetes client as the demo needs: objects in, objects out, whatever cluster a kubeconfig names.

kubectl may not be installed, and the demo must not need it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes import config

from kube_registrar.cluster import credentials
from kube_registrar.model.errors import UserError

MANAGER = "kube-registrar-demo"
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
"""On everything that the demo makes, so that it knows its own again and touches nothing else."""

_TIMEOUT_SECONDS = 10.0
_CLUSTER_SCOPED = frozenset({"CustomResourceDefinition", "Namespace", "RegistryNamespace"})
_NOT_FOUND = 404
_FIRST_ERROR = 400

Manifest = Mapping[str, Any]


class KubeError(UserError):
    """The API server refused something, or did not answer. `status` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """A client of one cluster. Raises UserError where the kubeconfig or the context is not usable."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        credentials.load(kubeconfig, context)  # says what is wrong with them in the words of `run`
        try:
            self._client: Any = config.new_client_from_config(kubeconfig, context, persist_config=False)
        except (config.ConfigException, OSError) as error:
            raise UserError(f"the kubeconfig cannot be used ({error}): correct --context or --kubeconfig") from None

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def get(self, manifest: Manifest) -> dict[str, Any] | None:
        """Return the object as the cluster has it; None where it is not there."""
        try:
            return self._call("GET", _path(manifest))
        except KubeError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def pods(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Return the pods of a Kubernetes namespace."""
        items: list[dict[str, Any]] = self._call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return items

    def apply(self, manifest: Manifest) -> None:
        """Make the object, or make it as the manifest says (server-side apply)."""
        metadata = manifest["metadata"]
        labelled = {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **LABELS}}}
        path = f"{_path(manifest)}?fieldManager={MANAGER}&force=true"
        self._call("PATCH", path, labelled, "application/apply-patch+yaml")

    def patch(self, manifest: Manifest, change: Mapping[str, Any]) -> None:
        """Change fields of an object (merge patch)."""
        self._call("PATCH", _path(manifest), change, "application/merge-patch+json")

    def delete(self, manifest: Manifest) -> None:
        """Begin to delete the object; one that is gone is done."""
        try:
            self._call("DELETE", _path(manifest))
        except KubeError as error:
            if error.status != _NOT_FOUND:
                raise

    def close(self) -> None:
        """Close its connections, and remove the key files that the kubernetes package wrote."""
        self._client.close()
        self._client.rest_client.pool_manager.clear()

    def _call(self, method: str, path: str, body: object = None, content_type: str = "") -> dict[str, Any]:
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        call = self._client.param_serialize(
            method,
            path,
            header_params=headers,
            body=None if body is None else json.dumps(body),
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*call, _request_timeout=_TIMEOUT_SECONDS)
            content = answer.read()
        except Exception as error:  # noqa: BLE001 - urllib3's errors; it is the kubernetes package's choice, not ours
            raise KubeError(f"the API server {self.server} does not answer: {_reason(error)}") from None
        parsed = _parsed(content)
        if answer.status >= _FIRST_ERROR:
            message = f"{method} {path.partition('?')[0]}: {parsed.get('message', answer.status)}"
            raise KubeError(f"the API server refuses {message}", answer.status)
        return parsed


def _parsed(content: bytes | None) -> dict[str, Any]:
    """Return the object of an answer; an unknown path and a proxy answer with text, which is no object."""
    try:
        parsed = json.loads(content or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _reason(error: BaseException) -> str:
    """Return the last of the nested reasons that urllib3 gives."""
    cause = getattr(error, "reason", None)
    return str(cause if isinstance(cause, BaseException) else error).rpartition(": ")[2]


def name_of(manifest: Manifest) -> str:
    """Name an object for people."""
    namespace = manifest["metadata"].get("namespace")
    name = manifest["metadata"]["name"]
    return f"{manifest['kind']} {namespace}/{name}" if namespace else f"{manifest['kind']} {name}"


def is_ours(found: Manifest) -> bool:
    """Whether the demo made this object."""
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in LABELS.items())


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """Return the manifest for another Kubernetes namespace; cluster-scoped ones as they are."""
    if manifest["kind"] in _CLUSTER_SCOPED:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def _path(manifest: Manifest) -> str:
    group = manifest["apiVersion"]
    metadata = manifest["metadata"]
    parts = ["/apis" if "/" in group else "/api", group]
    if manifest["kind"] not in _CLUSTER_SCOPED:
        parts += ["namespaces", metadata["namespace"]]
    return "/".join([*parts, f"{manifest['kind'].lower()}s", metadata["name"]])
