"""Credentials of a pod's service account: two files and two variables.

Read here and not by the `kubernetes` package, which the operator in its pod needs for nothing else, and whose import
alone takes 20 MB. Source: "Accessing the API from within a Pod" (Kubernetes documentation).
"""

import os
import time
from pathlib import Path
from urllib.request import getproxies

from kube_registrar.cluster.credentials import ROTATING_SECONDS, Credentials, Tls
from kube_registrar.model.errors import UserError


def load_in_cluster(service_account: Path) -> Credentials:
    """Read the service account of this pod. Raises UserError."""
    server = _server()
    token = _read(service_account, "token").decode("ascii", "replace").strip()  # a line break may be in no header
    return Credentials(
        server=server,
        source="the pod's service account",
        headers={"Authorization": f"Bearer {token}"},
        tls=Tls(ca=_read(service_account, "ca.crt")),
        proxy=_proxy(server),
        renew_at=time.time() + ROTATING_SECONDS,
    )


def _server() -> str:
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{each}", "") for each in ("HOST", "PORT"))
    if not (host and port):
        raise UserError(
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must both be set in a pod: "
            f"found {host!r} and {port!r}; the kubelet sets them, so do not unset them, or give --kubeconfig FILE"
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _read(service_account: Path, name: str) -> bytes:
    try:
        content = (service_account / name).read_bytes()
        why = "" if content.strip() else f"its {name} is empty"
    except OSError as error:
        why = f"its {name} cannot be read: {error.strerror}"
    if why:
        raise UserError(
            f"the pod's service account at {service_account} cannot be used ({why}): "
            "check the pod's automountServiceAccountToken"
        )
    return content


def _proxy(server: str) -> str | None:
    """Return the proxy that the environment names for this server, NO_PROXY heeded as with a kubeconfig."""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy:
        return None
    from kubernetes.client.rest import should_bypass_proxies  # noqa: PLC0415  # see above; few pods have a proxy

    return None if should_bypass_proxies(server, proxies.get("no") or "") else proxy
