"""How we authenticate: every way that the `kubernetes` package's loaders know, read again whenever asked.

Order, as kubectl's: the kubeconfig that was asked for, `KUBECONFIG` as it is now, `~/.kube/config`, the service account
of this pod, for which the package is not needed (`in_cluster`). Only its loaders are used, never its API classes:
`CoreV1Api` alone would cost 78 MB.
Sources: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files" and "Accessing the Kubernetes API
from a Pod".
"""

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kube_registrar.model.errors import UserError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ROTATING_SECONDS = 60.0
"""A token in a file is read again this often: the kubelet renews it well before it expires."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What a TLS connection to the API server needs; PEM. Without a CA the machine's own are trusted."""

    ca: bytes | None = None
    certificate: bytes | None = field(default=None, repr=False)
    private_key: bytes | None = field(default=None, repr=False)
    verify: bool = True
    server_name: str | None = None
    """The name in the server's certificate, where it is not the URL's."""

    def context(self) -> ssl.SSLContext:
        """Build the SSL context. Raises UserError where the certificates are no good.

        Python reads a client key from files only: it lies in a private folder for as long as that takes.
        """
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            if self.certificate and self.private_key:
                with tempfile.TemporaryDirectory() as folder:
                    pem = Path(folder) / "client.pem"
                    pem.touch(mode=0o600)
                    pem.write_bytes(self.certificate + b"\n" + self.private_key)
                    # An encrypted key would ask for its passphrase on the terminal; no passphrase is an error instead.
                    context.load_cert_chain(pem, password="")
        except (ssl.SSLError, ValueError) as error:
            raise UserError(
                f"the kubeconfig's certificates cannot be used ({error}): check certificate-authority, "
                "client-certificate and client-key, which must be PEM without a passphrase"
            ) from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the API server is and who we are to it. `repr` shows no secret."""

    server: str
    """URL without a slash at its end."""
    source: str
    """Where this was read, for messages: `context kind-dev of ~/.kube/config`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls | None = None
    """None for plain HTTP."""
    proxy: str | None = field(default=None, repr=False)
    renew_at: float | None = None
    """Seconds since 1970 when they have to be read again; None: when they are refused."""

    @property
    def authorization(self) -> str:
        """The Authorization header, or nothing."""
        return self.headers.get("Authorization", "")


def load(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    service_account: Path = SERVICE_ACCOUNT,
) -> Credentials:
    """Read credentials; blocks while files are read, a plugin runs or an identity provider answers.

    Raises UserError: nothing is configured, the file cannot be read, the context is unknown, a plugin failed.
    """
    paths = _kubeconfig(kubeconfig or os.environ.get("KUBECONFIG"))
    if paths is not None:
        from kube_registrar.cluster.kubeconfig import load_kubeconfig  # noqa: PLC0415  # costs 40 MB

        return load_kubeconfig(paths, context)
    if context is not None:
        raise UserError(f"context {context!r} needs a kubeconfig, and ~/.kube/config does not exist: give --kubeconfig")
    if (service_account / "token").is_file() and os.environ.get("KUBERNETES_SERVICE_HOST"):
        from kube_registrar.cluster.in_cluster import load_in_cluster  # noqa: PLC0415  # it needs what is here

        return load_in_cluster(service_account)
    raise UserError(
        "no cluster is configured: KUBECONFIG is not set, ~/.kube/config does not exist, and this is not a pod "
        "with a service account. Give --kubeconfig FILE"
    )


def _kubeconfig(asked: str | None) -> str | None:
    """Return the kubeconfig paths to read, joined by os.pathsep; None where there is no file to read."""
    if asked:
        paths = [Path(path).expanduser() for path in asked.split(os.pathsep) if path]
        if not any(path.exists() for path in paths):
            raise UserError(
                f"kubeconfig {asked} does not exist: give one that does with --kubeconfig, or set KUBECONFIG"
            )
        return asked
    usual = Path("~/.kube/config").expanduser()
    return str(usual) if usual.exists() else None
