"""The certificates of an etcd client, read again when their files change."""

import ssl

from kube_registrar.model.errors import Unreachable
from kube_registrar.registries.etcd.options import Options
from kube_registrar.runtime.files import tls_of


class Tls:
    """Gives the context for the next connection. Connections that are open go on with what they began with."""

    def __init__(self, options: Options) -> None:
        self._is_used = options.endpoints[0].startswith("https:")
        self._context = tls_of(options.ca_file, options.cert_file, options.key_file)

    def context(self) -> ssl.SSLContext | None:
        """Return what to connect with; None for plain HTTP. Raises Unreachable."""
        if not self._is_used:
            return None
        try:
            return self._context.get()
        except (OSError, ValueError) as error:
            named = f" (one of {', '.join(map(str, self._context.files))})" if self._context.files else ""
            raise Unreachable(
                f"etcd is not asked, for a certificate file cannot be used{named}: {error}. Correct the file"
            ) from None
