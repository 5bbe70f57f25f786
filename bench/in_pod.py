"""The operator as it is in its pod: logged in by a service account's files, and without a kubeconfig.

There are no mounts without a container, so the process is started by a line that names another folder for them.
"""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kube_registrar.testing.control_plane import ControlPlane
from tests.scenarios.harness import Operator

NAMESPACE, NAME = "default", "kube-registrar"
_START = (
    "import sys; from pathlib import Path; from kube_registrar.cluster import credentials; "
    "credentials.load.__kwdefaults__['service_account'] = Path({account!r}); "
    "from kube_registrar.cli.main import main; main()"
)


class InPod(Operator):
    """An operator that is started as its Deployment starts it, but for rights: it may do anything."""

    def __init__(self, folder: Path, plane: ControlPlane, **kwargs: Any) -> None:
        where = urlsplit(plane.url)
        pod = {
            "HOME": str(folder),
            "KUBERNETES_SERVICE_HOST": str(where.hostname),
            "KUBERNETES_SERVICE_PORT": str(where.port),
        }
        super().__init__(folder, plane.kubeconfig, variables=pod, **kwargs)
        self._account = folder / "serviceaccount"
        self._account.mkdir()
        (self._account / "token").write_text(_token(plane))
        (self._account / "ca.crt").write_bytes(Path(plane.ca_file).read_bytes())

    @property
    def command(self) -> list[str]:
        """What it is started by: the flags are those of any operator, but for the kubeconfig."""
        flags = list(self.arguments)
        at = flags.index("--kubeconfig")
        del flags[at : at + 2]
        return [sys.executable, "-c", _START.format(account=str(self._account)), *flags]


def _token(plane: ControlPlane) -> str:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    plane.apply([account, binding])
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    token: str = plane.api.post(path, asked)["status"]["token"]
    return token
