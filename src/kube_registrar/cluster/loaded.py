"""What the loaders of the `kubernetes` package found, made credentials of ours."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies

from kube_registrar.cluster.credentials import Credentials, Tls
from kube_registrar.model.errors import UserError

_RENEW_AT = 0.8
"""A token that names its end is renewed after this share of what is left of it."""


def made(
    found: Configuration,
    source: str,
    *,
    impersonate: Mapping[str, str] | None = None,
    renew_at: float | None = None,
) -> Credentials:
    """Take over what a loader has set in `found`. Raises UserError where a file that it names cannot be read."""
    # Files end in a line break that no header may hold.
    token = str(found.api_key.get("BearerToken") or "").strip()
    headers = {"Authorization": token, **(impersonate or {})} if token else dict(impersonate or {})
    bypass = not found.proxy or should_bypass_proxies(found.host, found.no_proxy or "")
    return Credentials(
        server=found.host.rstrip("/"),
        source=source,
        headers=headers,
        tls=_tls(found) if found.host.startswith("https:") else None,
        proxy=None if bypass else str(found.proxy),
        renew_at=renew_at,
    )


def _tls(found: Configuration) -> Tls:
    return Tls(
        ca=_read(found.ssl_ca_cert),
        certificate=_read(found.cert_file),
        private_key=_read(found.key_file),
        verify=bool(found.verify_ssl),
        server_name=found.tls_server_name,
    )


def _read(path: Any) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}, which the kubeconfig names, cannot be read: {error.strerror}") from None


def renewal(expires: datetime, now: float) -> float:
    """Return when a token that ends at `expires` has to be renewed; both in seconds since 1970."""
    return now + max(0.0, expires.timestamp() - now) * _RENEW_AT
